"""A population that is added is called like none that is there."""

from dataclasses import replace

import pytest

from pumice.backends.loihi2.chip_graph import for_chip
from pumice.ir import verify_graph
from pumice.ir.builder import loop
from pumice.passes.order import run_passes
from pumice.passes.schedule_resets import schedule_resets
from tests.unit.backends.loihi2.test_chip_graph import image
from tests.unit.passes.test_share_currents import stream


def renamed(graph, old, new):
    def name(found):
        return new if found == old else found

    return graph.replace(
        populations=tuple(replace(p, name=name(p.name)) for p in graph.populations),
        synapses=tuple(replace(s, source=name(s.source), target=name(s.target)) for s in graph.synapses),
        outputs=tuple(map(name, graph.outputs)),
    )


@pytest.mark.parametrize(
    ("graph", "old", "added", "change"),
    [
        (loop(), "b", "a_clock", lambda graph: schedule_resets(graph, 6).graph),
        (stream(), "hidden0", "read0_sum", lambda graph: run_passes(graph, 5, residual="relays")),
        (image(), "first", "input_relay", lambda graph: for_chip(graph).graph),
    ],
    ids=["clock", "sum", "relay on the chip"],
)
def test_a_name_that_is_taken_gets_another(graph, old, added, change):
    assert added in change(graph).names
    assert f"{added}_" in verify_graph(change(renamed(graph, old, added))).names
