"""Bounds of what sigma-delta neurons hold: no run leaves them, and simple graphs reach them."""

import dataclasses

import numpy as np
import pytest
import torch

import pumice
from pumice.ir import Cuba, Delta, Dense, Direct, Graph, Input, Sigma, SigmaDelta, Timing
from pumice.nn import sigma_delta as sd
from pumice.passes.check_ranges import check_ranges
from pumice.passes.value_bounds import value_bounds


def graph(weight=((-3, 2),), state_exp=0, relu=True, **options):
    populations = (
        Delta("a", (2,), vth=2, spike_exp=1, state_exp=0),
        SigmaDelta("b", (1,), vth=3, bias=5, relu=relu, spike_exp=0, state_exp=state_exp),
        Sigma("c", (1,)),
    )
    synapses = (
        Direct("input", "a", graded=True),
        Dense("a", "b", True, weight=np.array(weight)),
        Dense("b", "c", True, weight=np.array([[4]])),
    )
    return Graph(Input("input", (2,), (-1, 7)), populations, synapses, ("c",), timing=Timing(10, 16), **options)


def ends(bounds):
    return [float(bound.reshape(-1)[0]) for bound in bounds]


def test_bounds_of_a_chain():
    bounds = value_bounds(graph())
    assert ends(bounds["a"]) == [-2, 14]
    assert ends(bounds["b"]) == [-3 * 14 - 2 * 2, 3 * 2 + 2 * 14 + 5]  # 5 below comes with the bias later
    assert ends(bounds["c"]) == [0, 4 * 39]
    assert ends(value_bounds(graph(relu=False))["c"]) == [4 * -46, 4 * 39]


def test_what_is_cut_off_adds_up():
    cut = value_bounds(graph(state_exp=2))
    steps = 16 + graph().latency
    assert ends(cut["c"]) == [-4 * steps, 4 * 39 / 4]
    forever = graph(state_exp=2).replace(timing=None)
    assert ends(value_bounds(forever)["c"])[0] == -np.inf


@pytest.mark.parametrize("seed", range(5))
def test_no_run_leaves_them(seed):
    rng = np.random.default_rng(seed)
    for state_exp in (0, 3):
        found = graph(rng.integers(-20, 21, (1, 2)), state_exp, relu=bool(seed % 2))
        x = rng.choice([-1, 7], (found.timing.period_steps + found.latency, 2))
        records = pumice.run(found, x, record=True, backend="reference").records
        bounds = value_bounds(found)
        for name, state in (("a", "act"), ("b", "sigma"), ("c", "sigma")):
            low, high = bounds[name]
            assert (records[name].states[state] >= low).all()
            assert (records[name].states[state] <= high).all()


def test_spikes_and_input_without_encoder_count_in_every_step():
    populations = (Cuba("a", (2,), vth_mant=10), Sigma("b", (1,)))
    synapses = (
        Dense("input", "a", weight=np.array([[20, 0], [0, 20]])),
        Dense("a", "b", weight=np.array([[6, -2]])),
        dataclasses.replace(Dense("input", "b", True, weight=np.array([[2, 2]])), balance_steps=1),
    )
    found = Graph(Input("input", (2,), (0, 3)), populations, synapses, ("b",), timing=Timing(4, 4))
    assert ends(value_bounds(found)["b"]) == [-2 * 6, 6 * 6 + 4 * 3 * 6]


def test_a_small_network_is_proved_and_a_huge_one_announced():
    torch.manual_seed(0)
    model = torch.nn.Sequential(sd.Input(fraction_bits=4), sd.Dense({}, 3, 4), sd.Output(4, 1))
    model[1].neuron.bias.data.uniform_(-1, 1)
    lowered = pumice.lower(model, torch.randint(-20, 21, (2, 3, 9)).float())
    assert check_ranges(lowered) == []
    wide = lowered.replace(input=dataclasses.replace(lowered.input, value_range=(-(1 << 18), 1 << 18)))
    assert any("dense1: its sum could reach" in line for line in check_ranges(wide))
