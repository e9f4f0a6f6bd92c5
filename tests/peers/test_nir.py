"""Files that `pumice.to_nir` writes, in the readers of other frameworks: equal spikes where conventions allow.

Each test needs one framework; `scripts/test_peers.sh` has them all.
"""

import numpy as np
import pytest
import torch

import pumice
from pumice import nn
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


def float_model(kind):
    """A model before quantization, and what enters it."""
    torch.manual_seed(3)
    image = kind == "image"
    decays = {"IF": (1.0, 0.0), "CubaLIF": (0.5, 0.25)}.get(kind, (1.0, 0.3))
    neurons = {"dynamics": "float", "threshold": 1.0, "current_decay": decays[0], "voltage_decay": decays[1]}
    first, n = (nn.ConvSynapse(2, 3, 3), 90) if image else (nn.DenseSynapse(6, 8), 8)
    flatten = [nn.Flatten()] if image else []
    model = torch.nn.Sequential(nn.Merge(neurons, first), *flatten, nn.Merge(neurons, nn.DenseSynapse(n, 4)))
    with torch.no_grad():
        for part in model.parameters():
            if part.ndim > 1:
                n_in = part[0].numel()
                part.normal_(1.5 / n_in, n_in**-0.5)
    shape = (2, 7, 8) if image else (6,)
    return model, (torch.rand(1, *shape, STEPS) < 0.4).float()


def of_model(kind, tmp_path):
    """A model's file as it is read, what enters it, step by step, and what the model fires."""
    model, x = float_model(kind)
    path = pumice.to_nir(model, tmp_path / "model.nir", x, dt=DT)
    with torch.no_grad():
        expected = model(x)
    assert 0.02 < expected.mean() < 0.98
    return nir.read(path), x.movedim(-1, 0), expected[0].T


def of_graph(kind, tmp_path):
    """The same of a graph's file."""
    graph = GRAPHS[kind]()
    x, expected = samples(graph)
    return written(graph, tmp_path), x, expected


WRITERS = [of_graph, of_model]


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
@pytest.mark.parametrize("writer", WRITERS)
def test_spikingjelly(kind, writer, tmp_path):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    file, x, expected = writer(kind, tmp_path)
    network = import_from_nir(file, dt=DT)
    state, out = None, []
    with torch.no_grad():
        for step in x:
            y, state = network(step, state)
            out.append(y)
    assert torch.equal(torch.cat(out), expected)


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF", "image"])
@pytest.mark.parametrize("writer", WRITERS)
def test_snntorch(kind, writer, tmp_path):
    """Its reader takes no IF but of r = 1, as a neuron that leaks."""
    pytest.importorskip("snntorch")
    from snntorch.import_nir import import_from_nir

    file, x, expected = writer(kind, tmp_path)
    network = import_from_nir(file)
    state, out = None, []
    with torch.no_grad():
        for step in x:
            y, state = network(step, state)
            out.append(y.reshape(1, -1))  # its flatten takes the batch, too
    assert torch.equal(torch.cat(out), expected)


@pytest.mark.parametrize("kind", ["IF", "CubaLIF"])
@pytest.mark.parametrize("writer", WRITERS)
def test_norse(kind, writer, tmp_path):
    """Its reader leaves out r of a LIF."""
    pytest.importorskip("norse")
    from norse.torch.utils.import_nir import from_nir

    file, x, expected = writer(kind, tmp_path)
    network = from_nir(file, dt=DT)
    state, out = None, []
    with torch.no_grad():
        for step in x:
            y, state = network(step, state)
            out.append(y)
    assert torch.equal(torch.cat(out), expected)


@pytest.mark.parametrize("of", ["graph", "model"])
def test_sinabs(of, tmp_path):
    """It reads no Linear; it subtracts the threshold, and sends several spikes: equal where each spike fires one."""
    pytest.importorskip("sinabs")
    from sinabs.nir import from_nir

    a = Cuba("a", (4, 3, 2), vth_mant=61, i_decay_q12=ALL, v_decay_q12=0)
    b = Cuba("b", (4, 3, 2), vth_mant=81, i_decay_q12=ALL, v_decay_q12=0)
    each, crossed = np.eye(2, dtype=np.int64)[:, None, None], np.eye(2, dtype=np.int64)[::-1, None, None]
    synapses = (Conv("input", "a", weight=62 * each), Conv("a", "b", weight=82 * crossed))
    graph = Graph(Input("input", (4, 3, 2)), (a, b), synapses, ("b",))
    x, expected = samples(graph)
    file = written(graph, tmp_path)
    if of == "model":
        model = torch.nn.Sequential(*(nn.Merge(neurons(p), nn.ConvSynapse(2, 2, 1)) for p in (a, b)))
        with torch.no_grad():
            for block, synapse in zip(model, synapses, strict=True):
                block.synapses[0].weight.copy_(torch.as_tensor(synapse.weight.copy()).reshape(2, 2, 1, 1, 1))
        file = nir.read(pumice.to_nir(model, tmp_path / "model.nir", x.movedim(0, -1), dt=DT))
    network = from_nir(file, batch_size=1)
    with torch.no_grad():
        got, _ = network(x[:, 0])
    assert torch.equal(torch.as_tensor(torch_to_lava(got.movedim(0, -1)[None].numpy())[0]), expected)


def neurons(population):
    """A population's, in floating point."""
    decays = population.i_decay_q12 / ALL, population.v_decay_q12 / ALL
    threshold = float(population.vth_mant)
    return {"dynamics": "float", "threshold": threshold, "current_decay": decays[0], "voltage_decay": decays[1]}
