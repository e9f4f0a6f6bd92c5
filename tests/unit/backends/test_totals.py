import numpy as np
import pytest

from pumice.backends.counting import Counted, Wanted
from pumice.backends.totals import Totals
from pumice.errors import InputError
from pumice.ir import Timing
from pumice.ir.builder import chain

GRAPH = chain((2,), [3], seed=0).replace(timing=Timing(4, 4))
SENT = np.array([[[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 1]]], np.int32)


def totals(state=None, held=None):
    found = Totals(GRAPH, Wanted.of(GRAPH, GRAPH.timing, state))
    events = {"input": np.array([[2, 1]], np.int32), "dense0": SENT.sum(1)}
    found.add(Counted(events, SENT, held), np.array([2]))
    return found


def test_own_steps_decide_the_class():
    assert totals().classes().tolist() == [0]


def test_a_state_decides_at_the_last_own_step():
    assert totals("v", SENT).classes().tolist() == [1]


def test_synaptic_events_are_events_times_fan_out():
    weight = GRAPH.synapses[0].weight
    expected = 2 * np.count_nonzero(weight[:, 0]) + np.count_nonzero(weight[:, 1])
    assert totals().synaptic_events["input -> dense0"][0].tolist() == [expected]


def test_numbers_are_means_over_own_steps():
    assert totals().numbers(np.zeros((1, 3)), np.array([2])).tolist() == [[0.5, 0.5, 0]]
    with pytest.raises(InputError, match="targets are"):
        totals().numbers(np.zeros((1, 2)), np.array([2]))
