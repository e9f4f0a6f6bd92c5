"""SpikingJelly's `lava_exchange` makes lava-dl blocks; the NetX file that these write is read as any other."""

import h5py
import numpy as np
import pytest
import torch

import pumice

pytest.importorskip("spikingjelly")
from spikingjelly.activation_based import lava_exchange, layer, neuron

pytestmark = pytest.mark.slow
STEPS = 20


def exported(blocks, path):
    """As lava-dl's own `export_hdf5` of a network does."""
    with h5py.File(path, "w") as file:
        layers = file.create_group("layer")
        for index, block in enumerate(blocks):
            block.export_hdf5(layers.create_group(str(index)))


def test_its_blocks_come_as_a_file(tmp_path):
    torch.manual_seed(0)
    node = {"tau": 2.0, "decay_input": False, "v_threshold": 1.0, "v_reset": 0.0, "step_mode": "m"}
    network = [
        *(layer.Linear(6, 8, bias=False, step_mode="m"), neuron.LIFNode(**node)),
        *(layer.Linear(8, 4, bias=False, step_mode="m"), neuron.LIFNode(**node)),
    ]
    with torch.no_grad():
        for linear in network[::2]:
            linear.weight *= 3
    blocks = lava_exchange.to_lava_blocks(network)
    x = (torch.rand(1, 6, STEPS) < 0.5).float()
    spikes = x
    with torch.no_grad():
        for block in blocks:
            block.eval()
            spikes = block(spikes)
    assert spikes.any()
    exported(blocks, tmp_path / "network.net")
    graph = pumice.load(tmp_path / "network.net")
    stream = np.concatenate([x[0].T.numpy().astype(np.int32), np.zeros((graph.latency, 6), np.int32)])
    found = pumice.run(graph, stream, backend="reference").spikes[graph.latency :]
    assert np.array_equal(found, spikes[0].T.numpy())
