import numpy as np
import pytest

from pumice.backends.verify import certify
from pumice.errors import GraphError
from pumice.ir import Cuba, OneToOne, Reset
from pumice.ir.builder import chain, loop
from pumice.passes.order import run_passes
from pumice.passes.unschedule import unschedule


def test_what_was_unscheduled_is_scheduled_as_it_was():
    graph = chain((3,), [3, 3], seed=0)
    graph = graph.replace(synapses=(*graph.synapses, OneToOne("input", "dense1", weight=2)))
    scheduled = run_passes(graph, 5)
    bare = unschedule(certify(scheduled, np.ones((9, 3), int))).graph
    assert bare.timing is None
    assert bare.certificate is None
    assert not any(s.balance_steps for s in bare.synapses)
    again = run_passes(bare, 5)
    assert [p.reset for p in again.populations] == [p.reset for p in scheduled.populations]
    assert [s.balance_steps for s in again.synapses] == [s.balance_steps for s in scheduled.synapses] == [0, 0, 1]


def test_without_a_schedule_nothing_changes():
    graph = chain((4,), [3], seed=0)
    assert unschedule(graph).graph is graph


def test_clocks_stay():
    with pytest.raises(GraphError, match="lower the network again"):
        unschedule(run_passes(loop(), 4))


def test_what_no_pass_would_give_back_stays():
    scheduled = run_passes(chain((3,), [3, 3], seed=0), 5)
    back = OneToOne("dense1", "dense0", weight=1, balance_steps=2)
    with pytest.raises(GraphError, match="delays within loops"):
        unschedule(scheduled.replace(synapses=(*scheduled.synapses, back)))
    clock = Cuba("clock", (1,), vth_mant=1, bias_mant=100, reset=Reset(5, 0))
    with pytest.raises(GraphError, match="has clocks"):
        unschedule(scheduled.replace(populations=(clock, *scheduled.populations)))
