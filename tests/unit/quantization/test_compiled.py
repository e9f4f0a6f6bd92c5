"""Networks that torch.compile has wrapped, whole or in part, deploy and lower as those that it has not."""

import pytest
import torch

import pumice
from pumice import nn
from pumice.errors import InputError

LIF = {"threshold": 0.5, "current_decay": 0.5, "voltage_decay": 0.25}


def network():
    torch.manual_seed(0)
    sizes = [(6, 8), (8, 3)]
    return torch.nn.Sequential(*(nn.Dense(LIF, *size, weight_scale=3) for size in sizes))


def whole(model):
    return torch.compile(model, backend="eager")


def whole_in_place(model):
    model.compile(backend="eager")
    return model


def part(model):
    model[1] = torch.compile(model[1], backend="eager")
    return model


def part_in_place(model):
    model[1].compile(backend="eager")
    return model


@pytest.fixture
def x():
    return (torch.rand(4, 6, 10) < 0.5).float()


@pytest.mark.filterwarnings("ignore:.*grad attribute of a Tensor")  # dynamo looks at it
@pytest.mark.parametrize("compiled", [whole, whole_in_place, part, part_in_place])
@pytest.mark.parametrize("first", ["compiled", "lowered"])
def test_a_compiled_network_lowers_to_the_same_graph(x, compiled, first):
    torch._dynamo.reset()
    plain = network()
    expected = pumice.lower(plain, x)
    if first == "compiled":
        model = compiled(network())
        model(x)
        graph = pumice.lower(model, x)
    else:
        model = network()
        graph = pumice.lower(model, x)
        model = compiled(model)
    assert [p.name for p in graph.populations] == [p.name for p in expected.populations]
    assert plain(x).any()
    assert torch.equal(model(x), plain(x))
    assert torch.equal(pumice.run(graph, x).spikes, plain(x))
    assert pumice.lower(model, x).populations[0].vth_mant == graph.populations[0].vth_mant
    with pytest.raises((InputError, RuntimeError), match=r"whole numbers 0\.\.1"):
        model(2 * x)
