from dataclasses import replace

import numpy as np
import pytest

from pumice.hardware import violations
from pumice.ir import Delta, Direct, Resonator, SigmaDelta
from pumice.ir.builder import chain


def with_population(**changes):
    graph = chain((4,), [3], seed=0)
    return graph.replace(populations=(replace(graph.populations[0], **changes),))


def with_weight(weight):
    graph = chain((4,), [3], seed=0)
    return graph.replace(synapses=(replace(graph.synapses[0], weight=np.full((3, 4), weight)),))


def test_what_fits_has_no_violation():
    assert violations(with_population(vth_mant=2**17 - 1, bias_mant=-4096, bias_exp=7)) == []
    assert violations(chain((4,), [4], seed=0).replace(synapses=(Direct("input", "dense0"),))) == []


@pytest.mark.parametrize(
    ("graph", "line"),
    [
        (with_population(vth_mant=2**17), "population dense0: vth_mant must lie in 0..131071, got 131072"),
        (
            with_population(bias_mant=np.array([0, 1, 4096])),
            "population dense0: bias_mant must lie in -4096..4095, got 0 to 4096",
        ),
        (with_weight([1, -201, 2, 2]), "with odd ones"),
        (with_weight(300), "weights must fit 8 bits"),
    ],
)
def test_each_violation_is_named(graph, line):
    (found,) = violations(graph)
    assert line in found


def test_all_are_listed():
    graph = with_weight(300)
    population = replace(graph.populations[0], vth_mant=2**17, bias_mant=-5000)
    assert len(violations(graph.replace(populations=(population,)))) == 3


@pytest.mark.parametrize(
    ("population", "parameter"),
    [
        (Delta("dense0", (3,), vth=2**23), "vth"),
        (SigmaDelta("dense0", (3,), vth=2**23), "vth"),
        (SigmaDelta("dense0", (3,), vth=1, bias=np.array([0, 2**23, 1])), "bias"),
        (Resonator("dense0", (3,), 2**23, 0, 0), "vth"),
    ],
)
def test_what_is_compared_with_a_state_has_its_bits(population, parameter):
    (line,) = violations(chain((4,), [3], seed=0).replace(populations=(population,)))
    assert f"population dense0: {parameter} must lie in -8388608..8388607, got" in line
