"""Sums of deployed convolutions between 2^23 and 2^24 wrap as the chip's, though the example shows none of them."""

import pytest
import torch
from torch.nn import Sequential

import pumice
from pumice import nn
from pumice.errors import LoweringError

LIF = {"threshold": 100.0, "current_decay": 1.0, "voltage_decay": 0.25}


def constant(block, value):
    with torch.no_grad():
        block.weight.fill_(value)
    return block


class Summed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.sum = nn.Merge(
            LIF, constant(nn.ConvSynapse(1, 1, 1), 170 / 64), constant(nn.ConvSynapse(1, 1, 1), 2 / 64)
        )

    def forward(self, x):
        return self.sum(x, x)


def conv():
    block = nn.Conv(LIF, 1, 1, 1)
    constant(block.synapse, 170 / 64)
    return Sequential(block)


NETS = {"conv": (conv, 65535), "pool": (lambda: Sequential(nn.Pool(LIF, 2, weight_scale=2.5)), 20000)}


@pytest.mark.filterwarnings("ignore::pumice.errors.PumiceWarning")  # thresholds above 64, sums that wrap
@pytest.mark.parametrize("name", NETS)
def test_the_deployed_network_is_its_graph_beyond_the_example(name):
    make, high = NETS[name]
    torch.manual_seed(0)
    model = make()
    example = torch.randint(0, 200, (2, 1, 4, 4, 8)).float()
    graph = pumice.lower(model, example, input_range=(0, high))
    x = torch.randint(3 * high // 4, high + 1, (4, 1, 4, 4, 8)).float()
    expected = model(x)
    assert torch.equal(pumice.run(graph, x, backend="reference").spikes, expected)
    largest = int(abs(graph.synapses[0].weight).max()) * high * (4 if name == "pool" else 1)
    assert 2**23 < largest < 2**24


@pytest.mark.filterwarnings("ignore::pumice.errors.PumiceWarning")
def test_several_that_are_summed_are_refused():
    with pytest.raises(LoweringError, match=r"block 'sum'.*must add up to less than 8388608.*got 11140950"):
        pumice.lower(Summed(), torch.ones(1, 1, 4, 4, 8), input_range=(0, 65535))
