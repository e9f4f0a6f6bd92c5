"""Files that `pumice.to_nir` writes, in the readers of other frameworks: equal spikes where their conventions allow.

Each test needs one framework; `scripts/test_peers.sh` has them all.
"""

import numpy as np
import pytest
import torch

import pumice
from pumice.ir import Conv, Cuba, Dense, Graph, Input, latencies, torch_to_lava

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.slow
DT, STEPS = 1e-4, 20
ALL, HALF = 4096, 2048


def dense_network(i_decay, v_decay, low=-20, vth=31):
    """Even weights and odd thresholds, so that no voltage without a leak meets its threshold."""
    rng = np.random.default_rng(3)
    populations = [
        Cuba(name, (n,), vth_mant=vth, i_decay_q12=i_decay, v_decay_q12=v_decay) for name, n in (("a", 8), ("b", 4))
    ]
    synapses = [
        Dense(source, target, weight=2 * rng.integers(low, 40, shape))
        for source, target, shape in (("input", "a", (8, 6)), ("a", "b", (4, 8)))
    ]
    return Graph(Input("input", (6,)), tuple(populations), tuple(synapses), ("b",))


def image_network():
    rng = np.random.default_rng(4)
    a = Cuba("a", (6, 5, 3), vth_mant=31, i_decay_q12=ALL, v_decay_q12=HALF)
    b = Cuba("b", (4,), vth_mant=31, i_decay_q12=ALL, v_decay_q12=HALF)
    conv = Conv("input", "a", weight=2 * rng.integers(-20, 40, (3, 3, 3, 2)))
    return Graph(
        Input("input", (8, 7, 2)), (a, b), (conv, Dense("a", "b", weight=2 * rng.integers(-20, 20, (4, 90)))), ("b",)
    )


def samples(graph):
    """Spikes as torch has them, (time, 1, *shape), and what the graph makes of them."""
    shape = graph.input.shape[::-1]
    x = (np.random.default_rng(5).random((STEPS, *shape)) < 0.4).astype(np.int32)
    steps = latencies(graph)["b"]
    stream = torch_to_lava(np.moveaxis(x, 0, -1)[None])[0]
    stream = np.concatenate([stream, np.zeros((steps, *stream.shape[1:]), np.int32)])
    spikes = pumice.run(graph, stream, backend="reference").spikes[steps:]
    assert spikes.any()
    return torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(spikes, dtype=torch.float32)


def written(graph, tmp_path):
    path = tmp_path / "network.nir"
    pumice.to_nir(graph, path, dt=DT)
    return nir.read(path)


GRAPHS = {
    "IF": lambda: dense_network(ALL, 0),
    "LIF": lambda: dense_network(ALL, HALF),
    "CubaLIF": lambda: dense_network(HALF, 1024),
    "image": image_network,
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_spikingjelly(kind, tmp_path):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    graph = GRAPHS[kind]()
    x, expected = samples(graph)
    network = import_from_nir(written(graph, tmp_path), dt=DT)
    state, out = None, []
    with torch.no_grad():
        for step in x:
            y, state = network(step, state)
            out.append(y)
    assert torch.equal(torch.cat(out), expected)


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF", "image"])
def test_snntorch(kind, tmp_path):
    """Its reader takes no IF but of r = 1, as a neuron that leaks."""
    pytest.importorskip("snntorch")
    from snntorch.import_nir import import_from_nir

    graph = GRAPHS[kind]()
    x, expected = samples(graph)
    network = import_from_nir(written(graph, tmp_path))
    state, out = None, []
    with torch.no_grad():
        for step in x:
            y, state = network(step, state)
            out.append(y.reshape(1, -1))  # its flatten takes the batch, too
    assert torch.equal(torch.cat(out), expected)


@pytest.mark.parametrize("kind", ["IF", "CubaLIF"])
def test_norse(kind, tmp_path):
    """Its reader leaves out r of a LIF."""
    pytest.importorskip("norse")
    from norse.torch.utils.import_nir import from_nir

    graph = GRAPHS[kind]()
    x, expected = samples(graph)
    network = from_nir(written(graph, tmp_path), dt=DT)
    state, out = None, []
    with torch.no_grad():
        for step in x:
            y, state = network(step, state)
            out.append(y)
    assert torch.equal(torch.cat(out), expected)


def test_sinabs(tmp_path):
    """It reads no Linear; it subtracts the threshold, and sends several spikes: equal where each spike fires one."""
    pytest.importorskip("sinabs")
    from sinabs.nir import from_nir

    a = Cuba("a", (4, 3, 2), vth_mant=61, i_decay_q12=ALL, v_decay_q12=0)
    b = Cuba("b", (4, 3, 2), vth_mant=81, i_decay_q12=ALL, v_decay_q12=0)
    each, crossed = np.eye(2, dtype=np.int64)[:, None, None], np.eye(2, dtype=np.int64)[::-1, None, None]
    synapses = (Conv("input", "a", weight=62 * each), Conv("a", "b", weight=82 * crossed))
    graph = Graph(Input("input", (4, 3, 2)), (a, b), synapses, ("b",))
    x, expected = samples(graph)
    network = from_nir(written(graph, tmp_path), batch_size=1)
    with torch.no_grad():
        got, _ = network(x[:, 0])
    assert torch.equal(torch.as_tensor(torch_to_lava(got.movedim(0, -1)[None].numpy())[0]), expected)
