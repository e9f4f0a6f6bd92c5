"""All steps at once, until nothing changes, against one step after the other."""

import pytest
import torch

from pumice.nn import CubaNeuron
from pumice.nn.blocks.recurrent import recur
from pumice.nn.neurons.inhibition import from_neighbors, inhibited_spikes

PARAMS = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.25}


@pytest.mark.parametrize("seed", range(4))
def test_the_fixed_point_is_the_recurrence(seed):
    """With excitation, too, which the argument does not exclude; seeds with few and with many rounds."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randint(-16, 40, (3, 5, 30), generator=generator) / 32
    matrix = torch.randint(-64, 16 * (seed % 2) + 1, (5, 5), generator=generator) / 32
    found = inhibited_spikes(CubaNeuron(**PARAMS), z, matrix)
    assert torch.equal(found, recur(z, CubaNeuron(**PARAMS, persistent_state=True), lambda s: matrix @ s))
    assert 0.02 < found.mean() < 0.9
    assert not torch.equal(found, CubaNeuron(**PARAMS)(z))


def test_no_more_rounds_than_steps():
    """A wave that each round carries one step further."""
    calls = []

    class Counting(CubaNeuron):
        def spikes_by_slayer(self, input):
            calls.append(1)
            return super().spikes_by_slayer(input)

    at_once = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 1.0}
    z, ring = torch.zeros(1, 3, 12), 2 * torch.eye(3).roll(1, 0)
    z[0, 0, 0] = 2
    assert inhibited_spikes(Counting(**at_once), z, ring).argmax(1).flatten().tolist() == [0, 1, 2] * 4
    assert len(calls) == 12
    calls.clear()
    assert not inhibited_spikes(Counting(**at_once), torch.zeros(1, 3, 12), ring).any()
    assert len(calls) == 1


def test_spikes_arrive_a_step_later():
    spikes = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    assert from_neighbors(spikes, torch.tensor([[0.0, 3.0], [5.0, 0.0]])).tolist() == [[[0, 0, 0], [0, 5, 0]]]
