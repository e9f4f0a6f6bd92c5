"""NIR files of a test's own, and a float simulation that walks a file node by node and composes nothing."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pumice import PumiceError, to_nir
from pumice.backends import get_backend
from pumice.ir import Accumulator, Conv, Cuba, Dense, Graph, Input, from_stream, to_stream, with_reset_schedule

NEURONS = ("IF", "LIF", "CubaLIF", "Threshold", "I", "LI", "CubaLI")


def _put(group, nodes, edges):
    group["type"] = "NIRGraph"
    group.create_dataset("edges", data=np.array(edges, dtype=h5py.string_dtype()).reshape(-1, 2))
    for name, fields in nodes.items():
        entry = group.create_group(f"nodes/{name}")
        if "nodes" in fields:
            _put(entry, fields["nodes"], fields["edges"])
        else:
            for key, value in fields.items():
                entry[key] = value


@pytest.fixture
def write_nir(tmp_path):
    """Function: write nodes (name -> fields, with type) and edges as the nir package lays them out."""

    def write(nodes, edges, name="network.nir"):
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file["version"] = "1.0.8"
            _put(file.create_group("node"), nodes, edges)
        return path

    return write


@pytest.fixture
def chain_nir(write_nir):
    """Function: write a chain between an Input and an Output."""

    def write(shape, *nodes):
        names = [f"n{i}" for i in range(len(nodes))]
        all_names = ["input", *names, "output"]
        ends = {"input": {"type": "Input", "shape": np.array(shape)}, "output": {"type": "Output", "shape": [1]}}
        return write_nir({**ends, **dict(zip(names, nodes, strict=True))}, list(pairwise(all_names)))

    return write


@pytest.fixture
def slow_loop(write_nir):
    """Function: a random layer that feeds itself, with a current of so long a memory that 24 bits are nearly full."""

    def write(seed, dt=1e-4):
        r = np.random.default_rng(seed)
        m, n, tau_syn = int(r.integers(1, 5)), int(r.integers(1, 9)), float(np.exp(r.uniform(2, 4.4)))
        full = {"tau_syn": tau_syn * dt, "tau_mem": 4 * dt, "r": 4.0, "w_in": 1.0, "v_leak": 0.0}
        full |= {"v_threshold": 1.0, "v_reset": 0.0}
        nodes = {
            "input": {"type": "Input", "shape": [n]},
            "fc": {"type": "Linear", "weight": r.uniform(-0.5 * (seed % 2), 0.7, (m, n))},
            "lif": {"type": "CubaLIF", **{key: np.full(m, value) for key, value in full.items()}},
            "back": {"type": "Linear", "weight": r.uniform(-0.5, 0.5, (m, m))},
            "output": {"type": "Output", "shape": [m]},
        }
        edges = [("input", "fc"), ("fc", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")]
        return write_nir(nodes, edges), n

    return write


class Simulator:
    """Forward Euler (or exponential decays), `>`, hard reset, recurrence one step late; options are defects."""

    def __init__(self, path, n, *, dt=1e-4, exponential=False, at_threshold=False, soft=False, late=0):
        self.dt, self.exponential, self.at_threshold, self.soft, self.late = dt, exponential, at_threshold, soft, late
        self.n, self.nodes, self.edges, self.state, self.history = n, {}, [], {}, []
        with h5py.File(path) as file:
            for name, group in file["node/nodes"].items():
                self.nodes[name] = {k: v[()] for k, v in group.items() if k != "metadata"}
                self.nodes[name]["type"] = self.nodes[name]["type"].decode()
            self.edges = [(a.decode(), b.decode()) for a, b in file["node/edges"][()]]

    def run(self, x):
        """(n, T, *shape) -> (n, T, *shape) of the only output."""
        (output,) = (name for name, node in self.nodes.items() if node["type"] == "Output")
        sent = []
        for t in range(x.shape[1]):
            self.now, self.under_way, self.x = {}, set(), x[:, t].astype(float)
            self.value(output)
            self.history.append({k: v for k, v in self.now.items() if self.nodes[k]["type"] in NEURONS})
            sent.append(self.now[output])
        return np.stack(sent, 1)

    def value(self, name):
        if name in self.now:
            return self.now[name]
        node = self.nodes[name]
        if node["type"] in NEURONS and name in self.under_way:  # its own spikes, a step ago (or later, planted)
            back = 1 + self.late
            return self.history[-back][name] if len(self.history) >= back else None
        self.under_way.add(name)
        parts = [self.value(source) for source, target in self.edges if target == name]
        known = [part for part in parts if part is not None]
        if node["type"] == "Input":
            result = self.x
        elif not known:
            result = None
        else:
            result = getattr(self, node["type"], self.neuron)(node, name, sum(known))
            if any(part is None for part in parts) and node["type"] not in NEURONS:
                result = result if known else None
        self.under_way.discard(name)
        if result is not None and not (self.under_way & {name}):
            self.now[name] = result
        return result

    def Output(self, node, name, x):
        return x

    def Flatten(self, node, name, x):
        return x.reshape(len(x), -1)

    def Scale(self, node, name, x):
        return x * node["scale"]

    def Affine(self, node, name, x):
        return x @ node["weight"].T + node.get("bias", 0)

    Linear = Affine

    def Conv2d(self, node, name, x):
        padding = node["padding"]
        if isinstance(padding, bytes):  # "same": what is odd goes behind
            kh, kw = np.array(node["weight"].shape[2:]) - 1
            x, padding = np.pad(x, ((0, 0), (0, 0), (kh // 2, kh - kh // 2), (kw // 2, kw - kw // 2))), (0, 0)
        geometry = {k: tuple(np.broadcast_to(node[k], 2).tolist()) for k in ("stride", "dilation")}
        weight, bias = (torch.from_numpy(np.asarray(node[k], float)) for k in ("weight", "bias"))
        image = torch.from_numpy(x)
        return F.conv2d(image, weight, bias, padding=tuple(padding), groups=int(node["groups"]), **geometry).numpy()

    def Conv1d(self, node, name, x):
        weight, bias = (torch.from_numpy(np.asarray(node[k], float)) for k in ("weight", "bias"))
        geometry = {k: int(node[k]) for k in ("stride", "padding", "dilation", "groups")}
        return F.conv1d(torch.from_numpy(x), weight, bias, **geometry).numpy()

    def AvgPool2d(self, node, name, x):
        size, stride, padding = (
            tuple(np.broadcast_to(node[k], 2).tolist()) for k in ("kernel_size", "stride", "padding")
        )
        return F.avg_pool2d(torch.from_numpy(x), size, stride, padding).numpy()

    def SumPool2d(self, node, name, x):
        return self.AvgPool2d(node, name, x) * np.prod(np.broadcast_to(node["kernel_size"], 2))

    def Delay(self, node, name, x):
        buffer = self.state.setdefault(name, [])
        buffer.append(x)
        steps = np.rint(np.broadcast_to(node["delay"], x.shape[1:]) / self.dt).astype(int) + self.late
        out = np.zeros_like(x)
        for index in np.ndindex(x.shape[1:]):
            at = (slice(None), *index)
            if len(buffer) > steps[index]:
                out[at] = buffer[-1 - steps[index]][at]
        return out

    def share(self, tau):
        return 1 - np.exp(-self.dt / tau) if self.exponential else self.dt / tau

    def neuron(self, node, name, x):
        kind, r = node["type"], node.get("r", 1.0)
        start = np.broadcast_to(node.get("v_reset", 0.0), x.shape).astype(float)
        u, v = self.state.get(name, (np.zeros(x.shape), start))
        leak, w_in = node.get("v_leak", 0.0), node.get("w_in", 1.0)
        if kind == "Threshold":
            v, threshold = x, node["threshold"]
        elif kind in ("IF", "I"):
            v, threshold = v + x * (1.0 if np.all(r == 1) else self.dt * r), node.get("v_threshold")
        else:
            if kind.startswith("Cuba"):
                a = self.share(node["tau_syn"])
                u = u + a * (w_in * x - u)
                x = u
            a = self.share(node["tau_mem" if kind.startswith("Cuba") else "tau"])
            v, threshold = v + a * (leak - v + r * x), node.get("v_threshold")
        if kind in ("I", "LI", "CubaLI"):
            self.state[name] = u, v
            return v
        fires = v >= threshold if self.at_threshold else v > threshold
        reset = v - threshold if self.soft else node.get("v_reset", 0.0)
        self.state[name] = u, np.where(fires, reset, v)
        return fires.astype(float)


@pytest.fixture
def simulate():
    """Function: (path, x of shape (n, T, *shape), **options) -> what the file's output sends."""
    return lambda path, x, **options: Simulator(path, len(x), **options).run(x)


def _run(graph, x, name):
    """What the first output sends, (n, T, *shape) in NIR's order; x likewise."""
    image = x.ndim == 5
    x = x.transpose(0, 1, 4, 3, 2) if image else x[:, :, :, None].transpose(0, 1, 4, 3, 2) if x.ndim == 4 else x
    x, backend = x.astype(np.int32), get_backend(name)
    if graph.timing is not None:
        out = from_stream(graph, backend.run(graph, to_stream(graph, x)).spikes, len(x))
    else:
        tail = np.zeros((graph.latency, *x.shape[2:]), np.int32)
        out = np.stack([backend.run(graph, np.concatenate([s, tail])).spikes[graph.latency :] for s in x])
    return out.transpose(0, 1, 4, 3, 2) if out.ndim == 5 else out


@pytest.fixture
def run_graph():
    """Function: run samples on reference and fast, which must agree."""

    def run(graph, x):
        slow, fast = (_run(graph, x, name) for name in ("reference", "fast"))
        np.testing.assert_array_equal(slow, fast)
        return slow

    return run


@pytest.fixture
def spikes(rng):
    """Function: random input of 0 and 1."""
    return lambda *shape, rate=0.3: (rng.random(shape) < rate).astype(np.int64)


def weights(*shape, seed=1, low=-4, high=14):
    return np.random.default_rng(seed).integers(low, high, shape)


def network(shape, *layers, value_range=(0, 1)):
    """A chain: (population, synapse without ends) pairs; synapses may come in tuples, further ones as they are."""
    populations, synapses, before = [], [], "input"
    for population, into in layers:
        own = [replace(s, source=s.source or before, target=population.name) for s in into]
        populations.append(population)
        synapses += own
        before = population.name
    return Graph(Input("input", shape, value_range), tuple(populations), tuple(synapses), (before,))


def dense(n_out, n_in, source="", *, seed=1, **more):
    return Dense(source, "", weight=weights(n_out, n_in, seed=seed), **more)


def fine(n_out, n_in):
    """Sums of which the fractions that decays drop are a small part."""
    return dense(n_out, n_in, weight_exp=5)


def conv(weight, **more):
    return Conv("", "", weight=weight, **more)


def cuba(name="a", shape=(5,), vth=16, i=4096, v=0, **more):
    return Cuba(name, shape, vth_mant=vth, i_decay_q12=i, v_decay_q12=v, **more)


@pytest.fixture(scope="session")
def m():
    """Makes graphs: `m.network(shape, (population, [synapses]), ...)`, and parts with few arguments."""
    return SimpleNamespace(network=network, dense=dense, fine=fine, conv=conv, cuba=cuba, weights=weights)


@pytest.fixture
def exported(tmp_path):
    return lambda graph, **options: to_nir(graph, tmp_path / "a.nir", **options)


@pytest.fixture
def stream(rng):
    """Function: random input of a graph, in NIR's order."""

    def draw_one(graph, n=3, steps=30):
        low, high = graph.input.value_range
        shape = (n, steps, *graph.input.shape[::-1])
        return rng.integers(low, high + 1, shape) if high > 1 else (rng.random(shape) < 0.3).astype(int)

    return draw_one


def _compared(graph, run_graph, x):
    """What the output sends, in NIR's units; biases begin with a sample's first input."""
    unscheduled = graph.timing is None and not any(p.reset for p in graph.populations)
    got = run_graph(with_reset_schedule(graph, 1000, offset=1) if unscheduled else graph, x)
    got = got.reshape(*got.shape[:2], -1)
    return got / 64 if isinstance(graph.output, Accumulator) else got


def _difference(expected, got):
    """Read-outs drop fractions in each decay."""
    expected = expected.reshape(got.shape)
    return np.abs(expected - got) > 2 / 64 if got.dtype.kind == "f" else expected != got


@pytest.fixture
def compared(run_graph):
    """Function: (graph, x) -> what its output sends, in NIR's units."""
    return lambda graph, x: _compared(graph, run_graph, x)


@pytest.fixture
def difference():
    """Function: where a float simulation and integers are not the same."""
    return _difference


@pytest.fixture
def exported_or_why(exported):
    """Function: the file of a graph, or the message of its refusal."""

    def export(graph):
        try:
            return exported(graph)
        except PumiceError as error:
            return str(error)

    return export
