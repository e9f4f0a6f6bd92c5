import copy
import pickle

import pytest
import torch
from torch import nn

import pumice
from pumice.errors import InputError
from pumice.frameworks.converting import convert


def converted(toy, spikes):
    network = nn.Sequential(nn.Linear(6, 8), toy.Lif(), nn.Linear(8, 4), toy.Lif())
    return convert(network, spikes(4, 6), toy.framework, approximate=False)


def test_copies_and_checkpoints_compute_the_same(toy, spikes):
    found, x = converted(toy, spikes), spikes(3, 6, 9)
    expected = found(3 * x)
    twin = converted(toy, spikes)
    twin.load_state_dict(found.state_dict())
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found)), twin):
        assert torch.equal(other(3 * x), expected)
    pumice.quantize_(found, x)
    assert torch.equal(pickle.loads(pickle.dumps(found))(x), found(x))


@pytest.mark.parametrize("x", [torch.ones(2, 6), "spikes"])
def test_other_shapes_are_refused(toy, spikes, x):
    with pytest.raises(InputError, match=r"takes \(batch, n, time\) or"):
        converted(toy, spikes)(x)
