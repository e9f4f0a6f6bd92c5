"""What runs on the chip is the same graph, perhaps some steps later."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pumice
from pumice.backends.loihi2.chip_graph import for_chip
from pumice.errors import BackendError
from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Input, OneToOne, Reset, SigmaDelta, verify_graph
from pumice.ir.builder import chain

EXPORTS = Path(__file__).parents[4] / "netx_exports"


def direct(bias=1, vth=2, reset=None, shape=(4,), others=()):
    reset = reset or Reset(8, 1)
    first = Cuba("first", shape, vth_mant=vth, bias_mant=bias, v_decay_q12=512, reset=reset)
    return Graph(Input("input", shape), (first,), (Direct("input", "first", True), *others), ("first",))


def image(balance=1, delay=0):
    weight = np.random.default_rng(1).integers(1, 20, (2, 3, 3, 2)) * 2
    conv = Conv("input", "first", True, weight=weight, padding=(1, 1), delay_steps=delay)
    again = replace(conv, source="first", target="out", graded=False, delay_steps=0)
    side = OneToOne("input", "out", True, weight=4, balance_steps=balance)
    populations = tuple(Cuba(name, (4, 4, 2), vth_mant=90) for name in ("first", "out"))
    return Graph(Input("input", (4, 4, 2)), populations, (conv, again, side), ("out",))


def departures(graph, chip, steps=12):
    """How many values differ from the graph's own, `extra_steps` later."""
    x = np.random.default_rng(0).integers(0, 4, (steps, *graph.input.shape))
    later = np.concatenate([x, np.zeros((chip.extra_steps, *x.shape[1:]), int)])
    expected = pumice.run(graph, x, backend="reference", record=True).records
    got = pumice.run(chip.graph, later, backend="reference", record=True).records
    return sum(
        int((got[name].values()[state][chip.extra_steps :] != values).sum())
        for name, record in expected.items()
        for state, values in record.values().items()
    )


@pytest.mark.parametrize("make", [direct, lambda: direct(shape=(3, 3, 2)), image, lambda: chain((4,), [3], seed=0)])
def test_every_state_is_the_same_some_steps_later(make):
    graph = make()
    chip = for_chip(graph)
    assert chip.extra_steps == any(isinstance(s, Direct) for s in graph.synapses)
    assert not any(isinstance(s, Direct) for s in chip.graph.synapses)
    assert departures(graph, chip) == 0


def test_resets_that_do_not_move_with_the_input_are_noticed():
    graph = direct()
    chip = for_chip(graph)
    assert departures(graph, chip._replace(graph=chip.graph.replace(populations=graph.populations))) > 0


def test_what_else_the_input_feeds_is_delayed_with_it():
    late = Dense("input", "second", True, weight=np.full((2, 4), 8), balance_steps=1)
    last = Cuba("second", (2,), vth_mant=3)
    graph = direct(bias=0)
    graph = graph.replace(populations=(*graph.populations, last), synapses=(*graph.synapses, late))
    assert [s.balance_steps for s in for_chip(graph).graph.synapses if isinstance(s, Dense)] == [2]
    assert departures(graph, for_chip(graph)) == 0


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (direct(reset=Reset(8, 2)), "not reset in the first step"),
        (direct(bias=3, vth=2), "would fire before it is reset"),
    ],
)
def test_a_bias_that_the_further_step_would_integrate_is_refused(graph, why):
    with pytest.raises(BackendError, match=r"population first: .* arrives one step later"):
        for_chip(graph)
    assert why


def test_neurons_that_send_their_bias_at_once_are_refused():
    unit = SigmaDelta("first", (4,), vth=0, bias=5, relu=False)
    graph = direct()
    with pytest.raises(BackendError, match="population first"):
        for_chip(graph.replace(populations=(unit,)))


def test_an_image_goes_to_convolutions_and_to_a_relay_for_the_rest():
    chip = for_chip(image())
    fed = [s for s in chip.graph.synapses if s.source == "input"]
    assert all(isinstance(s, Conv) and not s.balance_steps for s in fed)
    assert [p.name for p in chip.graph.populations] == ["input_relay", "first", "out"]


def test_without_a_step_for_the_relay_it_is_refused():
    with pytest.raises(BackendError, match=r"synapse input -> out: the image goes to convolutions.*balance_steps=1"):
        for_chip(image(balance=0))


def test_a_convolution_of_an_image_of_which_some_channels_are_late_is_refused():
    with pytest.raises(BackendError, match="some channels of the image are delayed"):
        for_chip(image(delay=np.array([0, 2])))


def test_values_and_spikes_of_an_image_need_two_relays_and_are_refused():
    graph = image()
    spikes = OneToOne("input", "out", weight=6, balance_steps=1)
    with pytest.raises(BackendError, match=r"synapse input -> out: some synapses take the image's values and others"):
        for_chip(graph.replace(synapses=(*graph.synapses, spikes)))


@pytest.mark.parametrize(("shape", "fits"), [((4,), False), ((2, 2, 1), True)])
def test_the_longest_delay_beside_a_direct_input(shape, fits):
    """Of an image a relay has the further step, which comes out of the delay again."""
    late = Dense("input", "second", True, weight=np.full((2, 4), 8), delay_steps=62)
    graph = direct(bias=0, shape=shape, others=(late,))
    graph = graph.replace(populations=(*graph.populations, Cuba("second", (2,), vth_mant=3)))
    if fits:
        late = replace(late, delay_steps=0, balance_steps=62)
        graph = graph.replace(synapses=(graph.synapses[0], late))
        assert departures(verify_graph(graph), for_chip(graph), steps=70) == 0
        return
    with pytest.raises(BackendError, match=r"synapse input -> second: .* its delay is 62 steps already"):
        for_chip(graph)
    shorter = graph.replace(synapses=(graph.synapses[0], replace(late, delay_steps=61)))
    verify_graph(for_chip(shorter).graph)
    assert departures(shorter, for_chip(shorter), steps=70) == 0


def test_a_whole_network_is_the_same():
    graph = pumice.load(EXPORTS / "digits-stmixer/network.net")
    chip = for_chip(replace(graph, certificate=None))
    assert chip.graph.populations[0].name == "input_relay"
    assert departures(graph, chip, steps=6) == 0
