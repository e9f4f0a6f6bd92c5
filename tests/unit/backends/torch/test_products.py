"""Products in floating point are exact, also of weights that no kind of the package has."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.backends.torch import TorchBackend
from pumice.backends.torch.products import ByDefinition, arrivals
from pumice.errors import InputError
from pumice.ir import Graph, Input, SigmaDelta, Synapse, register_kind, unregister_kind
from pumice.ir.limits import SIGNED_32, Limit
from pumice.ir.synapses.base import non_zero


@dataclass(frozen=True, eq=False, kw_only=True)
class Wide(Synapse):
    """A matrix of 32 bits."""

    limits: ClassVar = {"matrix": Limit(*SIGNED_32)}
    matrix: np.ndarray

    @property
    def weights(self):
        return self.matrix

    def problems(self, source, target):
        yield from ()

    def entries(self, source, target):
        rows, columns = np.indices(self.matrix.shape)
        return non_zero(rows, columns, self.matrix, 0)


@pytest.fixture
def wide():
    register_kind(Wide)
    yield Wide
    unregister_kind(Wide)


def test_weights_too_large_to_split_go_by_the_definition(wide):
    rng = np.random.default_rng(0)
    matrix = rng.integers(2**30, 2**31 - 1, (2, 300)) | 1
    relay = SigmaDelta("a", (2,), vth=0, relu=False, spike_exp=0, state_exp=0)
    synapse = wide("input", "a", True, matrix=matrix)
    graph = Graph(Input("input", (300,), (0, 65535)), (relay,), (synapse,), outputs=("a",))
    assert type(next(arrivals(graph, synapse, TorchBackend("cpu").device))) is ByDefinition
    x = rng.integers(65000, 65536, (3, 300))
    expected = get_backend("reference").run(graph, x).spikes
    assert np.array_equal(TorchBackend("cpu").run(graph, x).spikes, expected)
    assert expected.any()


@pytest.mark.parametrize("device", ["cuda:99", "nowhere"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(InputError, match=f"device '{device}' cannot be used"):
        TorchBackend(device)
