"""The reference on every kind of synapse and population."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pumice.backends import run
from pumice.ir import (
    Accumulator,
    Cuba,
    Delta,
    Dense,
    Direct,
    Graph,
    Input,
    OneToOne,
    Resonator,
    Sigma,
    SigmaDelta,
    Sparse,
    TokenMixing,
    latencies,
    torch_to_lava,
)

IMAGE = (3, 2, 4)


pytestmark = pytest.mark.usefixtures("on_reference_and_fast")


def current(synapse, x, shape=IMAGE, steps=6):
    """The current u / 64 of a memory-less population that gets `x` once, at step 0."""
    target = Cuba("n", shape, vth_mant=2**17)
    graph = Graph(Input("input", x.shape), (target,), (synapse,), outputs=("n",))
    stream = np.zeros((steps, *x.shape), int)
    stream[0] = x
    return run(graph, stream, record=True).records["n"].u // 64


@pytest.fixture
def x():
    return np.random.default_rng(0).integers(-9, 10, IMAGE)


def test_token_mixing_is_the_papers():
    """Oracle 4a: D=4, H=2, N=3."""
    tokens = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]])  # (channel, token)
    weight = np.array(
        [[[5, 2, -1], [0, 3, 4], [1, 0, 6]], [[10, 0, 0], [5, 5, 0], [0, -10, 20]]],
    )
    image = torch_to_lava(tokens.reshape(1, 4, 1, 3, 1))[0, 0]
    got = current(TokenMixing("input", "n", weight=weight), image, shape=(3, 1, 4))[1]
    assert got[:, 0].T.tolist() == [[4, 4, 7], [1, 7, 6], [10, 10, -10], [0, 0, 20]]


def test_token_numbers_run_along_x_first(x):
    """A matrix that moves token 1 to token 0 moves the value at (x=1, y=0) to (x=0, y=0)."""
    weight = np.zeros((1, 6, 6), int)
    weight[0, 0, 1] = 1
    got = current(TokenMixing("input", "n", graded=True, weight=weight), x)[1]
    expected = np.zeros(IMAGE, int)
    expected[0, 0] = x[1, 0]
    assert_array_equal(got, expected)


def test_one_to_one_multiplies_in_place(x):
    weight = np.array([2, -4, 0, 6])
    got = current(OneToOne("input", "n", graded=True, weight=weight, weight_exp=1), x)
    assert_array_equal(got[1], 2 * weight * x)


def test_sparse_is_dense_without_the_zeros(x):
    rng = np.random.default_rng(1)
    weight = 2 * rng.integers(-99, 99, (5, 24)) * (rng.random((5, 24)) < 0.2)
    delays = rng.integers(0, 4, weight.shape)
    rows, columns = np.nonzero(weight)
    sparse = Sparse(
        "input",
        "n",
        graded=True,
        rows=rows,
        columns=columns,
        values=weight[rows, columns],
        delay_steps=delays[rows, columns],
    )
    dense = Dense("input", "n", graded=True, weight=weight, delay_steps=delays)
    assert_array_equal(current(sparse, x, shape=(5,)), current(dense, x, shape=(5,)))


@pytest.mark.parametrize("make", [
    lambda **k: OneToOne("input", "n", weight=2, **k),
    lambda **k: TokenMixing("input", "n", weight=2 * np.eye(6, dtype=int)[None], **k),
])  # fmt: skip
def test_delays_are_per_channel_and_balance_is_added(make):
    got = current(make(delay_steps=np.array([0, 1, 0, 2]), balance_steps=1), np.ones(IMAGE, int))
    expected = np.zeros((6, *IMAGE), int)
    for channel, arrival in enumerate((2, 3, 2, 4)):
        expected[arrival, ..., channel] = 2
    assert_array_equal(got, expected)


def test_two_synapses_into_disjoint_channels_concatenate(x):
    target = Cuba("n", IMAGE, vth_mant=2**17)
    left = OneToOne("left", "n", weight=2, target_channels=(0, 1))
    right = OneToOne("right", "n", weight=4, target_channels=(1, 4))
    parts = tuple(Cuba(name, (*IMAGE[:2], n), vth_mant=1) for name, n in (("left", 1), ("right", 3)))
    into = tuple(
        Sparse("input", p.name, rows=np.arange(p.size), columns=np.zeros(p.size, int), values=np.full(p.size, 2))
        for p in parts
    )
    graph = Graph(Input("input", (1,)), (*parts, target), (*into, left, right), outputs=("n",))
    u = run(graph, np.ones((3, 1), int), record=True).records["n"].u[2]
    assert_array_equal(u[..., 0], 2 * 64)
    assert_array_equal(u[..., 1:], 4 * 64)


def test_balance_counts_as_latency():
    synapse = OneToOne("input", "n", weight=2, balance_steps=3, delay_steps=2)
    graph = Graph(Input("input", IMAGE), (Cuba("n", IMAGE, vth_mant=1),), (synapse,), outputs=("n",))
    assert latencies(graph)["n"] == 4


def direct_then(*populations, **options):
    """The input directly into the first population, the others one to one behind it."""
    names = [p.name for p in populations]
    synapses = [Direct("input", names[0], graded=True)]
    synapses += [OneToOne(a, b, graded=True, weight=2) for a, b in pairwise(names)]
    return Graph(Input("input", (1,)), populations, tuple(synapses), outputs=(names[-1],), **options)


def test_an_accumulator_shows_its_voltage_and_never_fires():
    graph = direct_then(Accumulator("n", (1,), v_decay_q12=2048))
    assert run(graph, np.array([[8], [0], [2**17]])).spikes[:, 0].tolist() == [512, 256, 2**23 - 1]


def test_delta_then_sigma_gives_the_input_back():
    graph = direct_then(Delta("d", (1,), vth=1, spike_exp=6, state_exp=0), Sigma("s", (1,)))
    x = np.array([[3], [-5], [-5], [40], [0]])
    assert run(graph, x).spikes[:, 0].tolist() == [0, *(2 * 64 * x[:-1, 0]).tolist()]


def test_sigma_delta_rectifies_and_keeps_what_it_does_not_send():
    graph = direct_then(SigmaDelta("n", (1,), vth=100, bias=10, state_exp=2))
    result = run(graph, np.array([[-50], [60], [200], [-1000]]), record=True)
    assert result.records["n"].states["act"][:, 0].tolist() == [0, 20, 220, 0]
    assert result.spikes[:, 0].tolist() == [0, 0, 220 >> 2, -220 >> 2]


def test_a_resonator_has_two_inputs():
    rest = Resonator("n", (1,), vth=1000, sin_decay=4096, cos_decay=0)
    synapses = tuple(
        Dense("input", "n", graded=True, weight=np.array([[w]]), part=part) for part, w in (("real", 2), ("imag", 4))
    )
    graph = Graph(Input("input", (1,)), (rest,), synapses, outputs=("n",))
    states = run(graph, np.array([[1], [0], [0]]), record=True).records["n"].states
    assert states["real"][:, 0].tolist() == [0, 128, -256]
    assert states["imag"][:, 0].tolist() == [0, 256, 128]
    assert replace(rest, izhikevich=True).parts == ("real", "imag")
