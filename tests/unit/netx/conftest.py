import h5py
import numpy as np
import pytest

NEURON = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 40, "refDelay": 1, "gradedSpike": False}


def put(group, fields):
    for name, value in fields.items():
        if isinstance(value, dict):
            put(group.create_group(name), value)
        else:
            group.create_dataset(name, data=value)


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

    def make(shape, n_in, kernel, **more):
        weight = 2 * np.random.default_rng(shape[0]).integers(-30, 60, size=(shape[0], n_in, *kernel))
        fields = {"type": "conv", "shape": shape, "weight": weight, "neuron": NEURON, "groups": 1}
        return {**fields, "stride": 1, "padding": 0, "dilation": 1, **more}

    return make


@pytest.fixture
def write(tmp_path):
    """Function: write layers to a file."""

    def make(*layers, **others):
        path = tmp_path / "network.net"
        with h5py.File(path, "w") as file:
            put(file, {"layer": {str(i): layer for i, layer in enumerate(layers)}, **others})
        return path

    return make
