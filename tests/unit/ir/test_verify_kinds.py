"""The kinds of synapses and populations beyond dense, convolution and CUBA."""

from dataclasses import replace

import numpy as np
import pytest

from pumice.errors import GraphError
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Delta,
    Dense,
    Graph,
    Input,
    OneToOne,
    Reset,
    Resonator,
    SigmaDelta,
    Sparse,
    TokenMixing,
    verify_graph,
)

IMAGE = (2, 3, 4)
MIX = TokenMixing("input", "n", weight=np.ones((2, 6, 6), int))
ONE = OneToOne("input", "n", weight=np.ones(4, int))
SPARSE = Sparse("input", "n", rows=np.array([0, 23]), columns=np.array([3, 1]), values=np.array([2, -2]))
REAL = Dense("input", "n", weight=np.ones((2, 24), int))
CONV = Conv("input", "n", weight=np.ones((2, 1, 1, 4), int), target_channels=(1, 3))


def graph(synapse, population=None):
    return Graph(Input("input", IMAGE), (population or Cuba("n", IMAGE, vth_mant=1),), (synapse,), outputs=("n",))


@pytest.mark.parametrize("synapse", [MIX, ONE, SPARSE, CONV])
def test_good_synapses_pass(synapse):
    verify_graph(graph(synapse))


@pytest.mark.parametrize(
    ("synapse", "changes", "message"),
    [
        (MIX, {"weight": np.ones((2, 5, 5), int)}, r"weight must have shape \(heads, 6, 6\), got \(2, 5, 5\)"),
        (MIX, {"weight": np.ones((3, 6, 6), int)}, "3 heads do not divide 4 channels"),
        (MIX, {"weight": np.full((2, 6, 6), 300)}, r"weight must lie in -256\.\.255"),
        (MIX, {"delay_steps": np.zeros(3, int)}, "one per channel"),
        (MIX, {"target_channels": (0, 2)}, r"keeps an image's shape .*got \(2, 3, 4\) and \(2, 3, 2\)"),
        (ONE, {"weight": np.ones(3, int)}, r"one per channel \(4,\) or one per neuron"),
        (ONE, {"delay_steps": 60, "balance_steps": 3}, "together must not exceed 62, got 63"),
        (ONE, {"balance_steps": -1}, r"balance_steps must lie in 0\.\.62"),
        (ONE, {"target_channels": (3, 5)}, "0 <= first < stop <= 4, got 3, 5"),
        (ONE, {"part": "imag"}, "part 'imag': a Cuba has real"),
        (SPARSE, {"rows": np.array([0, 24])}, r"rows must lie in 0\.\.23, got 0 to 24"),
        (SPARSE, {"columns": np.array([0])}, "must have one length"),
        (SPARSE, {"delay_steps": np.zeros(3, int)}, r"one per weight \(2,\)"),
    ],
)
def test_bad_synapses_are_named(synapse, changes, message):
    with pytest.raises(GraphError, match=message):
        verify_graph(graph(replace(synapse, **changes)))


@pytest.mark.parametrize(
    "population",
    [Accumulator("n", (2,)), Delta("n", (2,), vth=3), SigmaDelta("n", (2,), vth=3), Resonator("n", (2,), 9, 1, 2)],
)
def test_good_populations_pass(population):
    verify_graph(graph(REAL, population))


@pytest.mark.parametrize(
    ("population", "message"),
    [
        (Accumulator("n", (2,), v_decay_q12=5000), r"v_decay_q12 must lie in 0\.\.4096"),
        (Delta("n", (2,), vth=-1), "vth must lie in"),
        (SigmaDelta("n", (2,), vth=3, state_exp=8), r"state_exp must lie in 0\.\.7"),
        (SigmaDelta("n", (2,), vth=3, bias=np.zeros(3, int)), r"bias of shape \(3,\) does not fit"),
        (Resonator("n", (2,), 9, 2**15, 2), "sin_decay must lie in"),
        (Cuba("n", (2,), vth_mant=np.array([1, 2])), "vth_mant must be one number"),
        (Delta("n", (2,), vth=1, reset=Reset(4)), "a Delta cannot be reset"),
    ],
)
def test_bad_populations_are_named(population, message):
    with pytest.raises(GraphError, match=message):
        verify_graph(graph(REAL, population))
