"""Failures are in test_backend.py, with a supervisor around them."""

from functools import partial

import numpy as np
import pytest

from pumice.backends.lava.backend import _network
from pumice.backends.lava.execute import execute
from pumice.backends.lava.memory import shared_array
from pumice.backends.lava.supervise import Stall, supervise
from pumice.errors import BackendError
from pumice.ir.builder import chain

pytestmark = pytest.mark.lava


def test_runs_so_many_steps():
    graph = chain((4,), [3], seed=0)
    steps_done, spikes = shared_array((1,), np.int64), {"dense0": shared_array((9, 3), np.int32)}
    network = partial(_network, graph, np.ones((9, 4), np.int32), spikes, {}, steps_done)
    supervise(lambda: execute(network(), 7), Stall(steps_done, 600))
    assert steps_done[0] == 7


def test_compile_errors_reach_the_caller():
    graph = chain((4,), [3], seed=0)
    steps_done, wrong_shape = shared_array((1,), np.int64), {"dense0": shared_array((9, 5), np.int32)}
    with pytest.raises(BackendError, match=r"Lava failed:\n(.|\n)*incompatible"):
        supervise(
            lambda: execute(_network(graph, np.ones((9, 4), np.int32), wrong_shape, {}, steps_done), 9),
            Stall(steps_done, 600),
        )
