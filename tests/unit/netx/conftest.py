from functools import partial

import numpy as np
import pytest

NEURON = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 40, "refDelay": 1, "gradedSpike": False}


@pytest.fixture
def dense():
    """Function: the fields of a dense layer."""

    def make(n_out, n_in, **more):
        weight = 2 * np.random.default_rng(n_out).integers(-30, 60, size=(n_out, n_in))
        return {"type": np.array([b"dense"]), "shape": [n_out], "weight": weight, "neuron": NEURON, **more}

    return make


@pytest.fixture
def conv():
    """Function: the fields of a convolution; `shape` is (channel, height, width)."""

    def make(shape, n_in, kernel, *, weight=None, **more):
        if weight is None:
            weight = 2 * np.random.default_rng(shape[0]).integers(-30, 60, size=(shape[0], n_in, *kernel))
        fields = {"type": "conv", "shape": shape, "weight": weight, "neuron": NEURON, "groups": 1}
        return {**fields, "stride": 1, "padding": 0, "dilation": 1, **more}

    return make


@pytest.fixture
def write(tmp_path, write_net):
    """Function: write layers to a file."""
    return partial(write_net, tmp_path / "network.net")
