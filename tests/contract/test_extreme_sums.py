"""Sums at and beyond 2^23, 2^24 and 2^31, for each kind of synapse: where they wrap, all backends wrap alike."""

import numpy as np
import pytest

from pumice.backends import get_backend
from pumice.backends.fast.bounds import activation_types, largest_sum
from pumice.backends.lava import LavaBackend
from pumice.backends.verify import first_difference
from pumice.ir import Accumulator, Conv, Cuba, Dense, Graph, Input, OneToOne, Sigma, Sparse, TokenMixing

SHAPE = (3, 2, 2)
SIZE = 12
ROWS, COLUMNS = (a.ravel() for a in np.indices((SIZE, SIZE)))
EDGES = [2**15 - 1, 2**15, 2**23 - 1, 2**23, 2**23 + 1, 2**24 - 1, 2**24, 2**24 + 1, 2**31 - 1, 2**31]
"""Largest sums; they are reached exactly where the weights divide them, else by the next one below."""


def of_every_kind(rng, weight, delays):
    """Synapses from the input whose weights have one size, with signs at random or all alike."""

    def w(*shape):
        signs = rng.choice([-1, 1], shape) if rng.integers(2) else rng.choice([-1, 1])
        return np.broadcast_to(weight * signs, shape).astype(np.int64)

    def d(*shape):
        return rng.integers(0, 4, shape) if delays else 0

    yield "dense", {"weight": w(5, SIZE), "delay_steps": d(5, SIZE)}, Dense, (5,)
    yield "by_source", {"weight": w(5, SIZE), "delay_steps": d(SIZE)}, Dense, (5,)
    yield "by_target", {"weight": w(5, SIZE), "delay_steps": d(5, 1) + np.zeros((5, SIZE), int)}, Dense, (5,)
    values = {"rows": ROWS, "columns": COLUMNS, "values": w(SIZE * SIZE), "delay_steps": d(SIZE * SIZE)}
    yield "sparse", values, Sparse, SHAPE
    yield "conv", {"weight": w(2, 3, 2, 2), "delay_steps": d(2)}, Conv, (1, 1, 2)
    yield "padded", {"weight": w(4, 3, 3, 1), "groups": 2, "padding": (1, 1), "delay_steps": d(2)}, Conv, (3, 2, 4)
    yield "one_to_one", {"weight": w(*SHAPE), "delay_steps": d(2)}, OneToOne, SHAPE
    yield "mixing", {"weight": w(2, 6, 6), "delay_steps": d(2)}, TokenMixing, SHAPE


def extreme(seed, value):
    """Three readers of every kind of synapse on one input of values up to `value`."""
    rng = np.random.default_rng(seed)
    populations, synapses = [], []
    weight, delays = int(rng.choice([1, 2, 127, 254])), bool(rng.integers(2))
    for label, fields, kind, shape in of_every_kind(rng, weight, delays):
        readers = Cuba("cuba", shape, vth_mant=int(rng.choice([0, 2**15, 2**17 - 1])), i_decay_q12=100)
        for p in (readers, Accumulator("accumulator", shape, 4096, 4096), Sigma("sigma", shape)):
            name = f"{label}_{p.name}"
            entering = [kind("in", name, True, **fields)]
            entering += [OneToOne("in", name, True, weight=weight)] * (shape == SHAPE and bool(rng.integers(2)))
            populations.append(type(p)(**{**vars(p), "name": name}))
            synapses += entering
    return Graph(
        Input("in", SHAPE, (-value, value)), tuple(populations), tuple(synapses), tuple(p.name for p in populations)
    )


def values(seed, value, n_steps):
    """Either end of the range, alone, or with everything between: dense enough for products of floats."""
    rng = np.random.default_rng(seed)
    shape = (n_steps, *SHAPE)
    ends = rng.choice([-value, value], shape)
    return [np.full(shape, value), ends, rng.integers(-value, value + 1, shape)][seed % 3]


def largest_input(seed, edge):
    """The value whose largest sum over the synapses of `extreme` is at most `edge`, but within 24 bits."""
    graph = extreme(seed, 1)
    weight = max(s.largest_sum(*graph.ends_of(s)) << s.shift_bits for s in graph.synapses)
    return max(1, min(edge // weight, 2**23 - 1))


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
def test_fast_equals_reference(seed, edge):
    value = largest_input(seed, edge)
    graph, x = extreme(seed, value), values(seed, value, 80)
    expected, got = (get_backend(name).run(graph, x, record=True).records for name in ("reference", "fast"))
    assert first_difference(expected, got) is None


@pytest.mark.parametrize("edge", [2**15 - 1, 2**15 + 256 * 64])
def test_the_narrow_activation_is_left_in_time(edge):
    """At most 2^15 - 1 over all that arrives at a population, or 32 bits."""
    graph = extreme(3, largest_input(3, edge))
    for name, dtype in activation_types(graph).items():
        total = sum(largest_sum(graph, s) for s in graph.into(name))
        fits = total < 2**15 and not isinstance(graph.population(name), Sigma)
        assert dtype is (np.int16 if fits else np.int32)


@pytest.mark.lava
@pytest.mark.parametrize(
    "edge",
    [2**23, 2**24 + 1, 2**31 - 1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2**23 - 1, 2**25, 2**28))],
)
def test_lava_equals_reference(edge):
    seed = EDGES.index(edge) if edge in EDGES else 1
    value = largest_input(seed, edge)
    graph, x = extreme(seed, value), values(seed, value, 12)
    expected = get_backend("reference").run(graph, x, record=True).records
    assert first_difference(expected, LavaBackend(in_threads=True).run(graph, x, record=True).records) is None
