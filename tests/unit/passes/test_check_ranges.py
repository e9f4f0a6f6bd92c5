from dataclasses import replace

import numpy as np
import pytest

from pumice.backends import run
from pumice.backends.reference import backend
from pumice.backends.reference.neurons import Neurons
from pumice.ir import (
    Accumulator,
    Conv,
    Cuba,
    Delta,
    Dense,
    Direct,
    Graph,
    Input,
    OneToOne,
    Reset,
    Resonator,
    Sigma,
    SigmaDelta,
)
from pumice.ir.builder import chain
from pumice.ir.relays import value_relay
from pumice.passes.check_ranges import check_ranges
from pumice.passes.current_bounds import current_bounds
from pumice.testing import cases, example


def large_chain(n, **neuron):
    graph = chain((n,), [2], seed=0)
    synapse = replace(graph.synapses[0], weight=np.full((2, n), 254))
    population = replace(graph.output, **{"i_decay_q12": 4096, "v_decay_q12": 4096, "reset": Reset(16), **neuron})
    return graph.replace(synapses=(synapse,), populations=(population,))


def test_a_wrap_is_predicted_exactly_where_it_can_happen():
    safe, wrapping = large_chain(516), large_chain(517)
    assert check_ranges(safe) == []
    assert "dense0: the current u could reach" in check_ranges(wrapping)[0]
    u = [
        run(g, np.ones((2, g.input.size), int), record=True, backend="reference").records["dense0"].u[1, 0]
        for g in (safe, wrapping)
    ]
    assert u[0] > 0 > u[1]


def test_a_clip_is_predicted_from_memory_and_bias():
    assert check_ranges(large_chain(50)) == []
    assert check_ranges(large_chain(50, v_decay_q12=0, bias_mant=4095, bias_exp=7)) == []  # spikes cut it off
    (line,) = check_ranges(large_chain(50, v_decay_q12=0, bias_mant=-4096, bias_exp=7))
    assert "voltage v could reach" in line


def test_graded_input_counts_with_its_range():
    graph = large_chain(10)
    graph = graph.replace(synapses=(replace(graph.synapses[0], graded=True),))
    assert check_ranges(graph.replace(input=Input("input", (10,), (0, 51)))) == []
    assert check_ranges(graph.replace(input=Input("input", (10,), (0, 52))))
    assert check_ranges(graph)  # nothing promised: the worst


def test_every_kind_has_a_bound():
    conv = Conv("input", "n", weight=np.full((1, 3, 3, 60), 254))
    graph = Graph(Input("input", (3, 3, 60)), (Cuba("n", (1, 1, 1), vth_mant=1),), (conv,), outputs=("n",))
    assert check_ranges(graph)
    direct = Graph(Input("input", (3,)), (Cuba("n", (3,), vth_mant=1),), (Direct("input", "n"),), outputs=("n",))
    assert check_ranges(direct) == []


def clock_into(weight, delays, **clock):
    """A clock of three neurons that fire every 4 steps (or as `clock` says) into one neuron."""
    source = Cuba("clock", (3,), **{"vth_mant": 3, "bias_mant": 1, "reset": Reset(8, 1), **clock})
    target = Cuba("n", (1,), vth_mant=2**16)
    synapses = (
        Dense("input", "n", weight=np.array([[2]])),
        Dense("clock", "n", weight=np.array([weight]), delay_steps=np.array(delays)),
    )
    return Graph(Input("input", (1,)), (source, target), synapses, outputs=("n",))


@pytest.mark.parametrize(
    ("weight", "delays", "clock", "expected"),
    [
        ([10, 20, 40], [0, 0, 0], {}, (0, 70)),
        ([10, 20, 40], [0, 1, 2], {}, (0, 40)),  # never together
        ([10, 20, 40], [0, 4, 1], {}, (0, 40)),  # the first two meet, a period apart
        ([10, 20, 16], [0, 4, 1], {}, (0, 30)),
        ([-10, 20, -16], [0, 4, 4], {}, (-10, 0)),  # at first alone, then with the others
        ([10, 20, 40], [0, 0, 0], {"bias_mant": np.array([1, 2, 1])}, (0, 70)),  # one fires twice as often
        ([10, 20, 40], [0, 0, 0], {"reset": None}, (0, 70)),
        ([10, 20, 40], [0, 1, 2], {"reset": None}, (0, 70)),  # nothing is known of it
    ],
)
def test_spikes_of_clocks_meet_where_they_do(weight, delays, clock, expected):
    graph = clock_into(weight, delays, **clock)
    low, high = current_bounds(graph, "n")
    assert (low[0], high[0] - 2) == expected  # the input adds at most 2
    u = run(graph, np.zeros((60, 1), int), record=True, backend="reference").records["n"].u // 64
    if clock.get("reset", 1) is not None:
        assert (min(u.min(), 0), u.max()) == expected
    assert low[0] <= u.min()
    assert u.max() <= high[0]


def test_without_a_reset_states_build_up_for_ever():
    assert check_ranges(large_chain(50, v_decay_q12=0, bias_mant=-64, bias_exp=0)) == []
    (line,) = check_ranges(large_chain(50, v_decay_q12=0, bias_mant=-64, bias_exp=0, reset=None))
    assert "voltage v could reach -6.4e+13" in line


@pytest.mark.parametrize("vth_mant", [2**17 - 1, 2**17])
def test_a_voltage_that_no_spike_cuts_off_can_clip_upward(vth_mant):
    """A threshold of 18 bits is out of the voltage's reach, and an accumulator has none."""
    graph = large_chain(400, v_decay_q12=0, reset=Reset(4), vth_mant=vth_mant)
    assert len(check_ranges(graph)) == (vth_mant == 2**17)
    p = graph.output
    accumulator = Accumulator(p.name, p.shape, p.i_decay_q12, p.v_decay_q12, reset=p.reset)
    (line,) = check_ranges(graph.replace(populations=(accumulator,)))
    assert "dense0: the voltage v could reach 2.6e+07 and clip at 8388607" in line
    v = run(graph.replace(populations=(accumulator,)), np.ones((9, 400), int), backend="reference").spikes
    assert v.max() == 2**23 - 1


def fed(population, value_range, weight=1, **synapse):
    into = OneToOne("in", population.name, graded=True, weight=weight, **synapse)
    return Graph(Input("in", (1,), value_range), (population,), (into,), (population.name,))


@pytest.mark.parametrize("cum_error", [False, True])
def test_the_change_of_a_delta(cum_error):
    """Shifted by 14: from one end of -255..256 to the other it is 511 * 2^14, just below 2^23."""
    delta = Delta("d", (1,), vth=2**12, spike_exp=7, state_exp=7, cum_error=cum_error)
    assert check_ranges(fed(delta, (-255, 256))) == []
    (line,) = check_ranges(fed(delta, (-256, 256)))
    assert "d: the change of its input could reach 8.39e+06" in line
    sent = run(fed(delta, (-256, 256)), np.array([[-256], [256], [0]]), backend="reference").spikes
    assert sent[2, 0] << 7 == 2**23


@pytest.mark.parametrize("kind", [Sigma, SigmaDelta])
def test_that_the_sum_of_changes_is_not_covered_is_said(kind):
    p = kind("s", (1,)) if kind is Sigma else kind("s", (1,), vth=9)
    (line,) = check_ranges(fed(p, (0, 1)))
    assert line.startswith(f"s: no bound is known for the sum of a {kind.__name__}")


def test_a_relay_of_values_passes_on_what_it_gets():
    relay = value_relay("r", (1,))
    assert check_ranges(fed(relay, (-(2**23), 2**23 - 1), 255)) == []
    (line,) = check_ranges(fed(relay, (-(2**23), 2**23 - 1), 255, weight_exp=1))
    assert "r: the values that it passes on could reach 4.28e+09 and wrap at 2147483648" in line


@pytest.mark.parametrize(
    "onward", [OneToOne("r", "n", True, weight=3), Dense("r", "n", True, weight=np.array([[3]]))]
)
def test_bounds_go_through_a_relay_of_values(onward):
    graph = fed(value_relay("r", (1,)), (-2, 5), 7)
    graph = graph.replace(
        populations=(*graph.populations, Cuba("n", (1,), 1)), synapses=(*graph.synapses, onward), outputs=("n",)
    )
    assert [float(b[0]) for b in current_bounds(graph, "n")] == [-42, 105]


def test_states_of_resonators():
    """They hold 1 / (1 - 0.75) times what arrives, and clip where that is beyond 24 bits."""

    def graph(high, decay=3072):
        return fed(Resonator("r", (1,), vth=64, sin_decay=0, cos_decay=decay, state_exp=6), (0, high))

    assert check_ranges(graph(32_000)) == []
    (line,) = check_ranges(graph(2**15))
    assert "r: its states could reach 8.39e+06 and clip" in line
    real = run(graph(2**15), np.full((60, 1), 2**15), record=True, backend="reference").records["r"].states["real"]
    assert real.max() == pytest.approx(2**23, rel=1e-4)
    assert "could reach 6.6e+13" in check_ranges(graph(1, decay=4096))[0]  # without decay there is no bound


@pytest.mark.parametrize("seed", range(8))
def test_sums_keep_within_their_bounds(seed, monkeypatch):
    """Of every kind of synapse and population, with extreme values, where nothing wraps."""
    graph, x = example(cases(12, n_steps=30, longest_delay=5), 7000 + seed)
    seen = {}

    def watched(population):
        cells = Neurons(population)
        step = cells.step

        def note(t, activation):
            for part, a in activation.items():
                low, high = seen.get((population.name, part), (0, 0))
                seen[population.name, part] = np.minimum(low, a), np.maximum(high, a)
            return step(t, activation)

        cells.step = note
        return cells

    monkeypatch.setattr(backend, "Neurons", watched)
    run(graph, x, backend="reference")
    compared = 0
    for (name, part), (low, high) in seen.items():
        least, most = current_bounds(graph, name, part)
        if max(-least.min(), most.max()) < 2**23:
            assert np.all(least <= low), name
            assert np.all(high <= most), name
            compared += np.any(low) + np.any(high)
    assert compared > 5
