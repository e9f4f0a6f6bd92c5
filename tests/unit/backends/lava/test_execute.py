"""Failures are in test_backend.py, with a supervisor around them."""

import numpy as np
import pytest

from pumice.backends.lava.backend import _network, _shared
from pumice.backends.lava.execute import execute
from pumice.backends.lava.supervise import supervise
from pumice.errors import BackendError
from pumice.ir.builder import chain

pytestmark = pytest.mark.lava


def test_runs_so_many_steps():
    graph = chain((4,), [3], seed=0)
    steps_done, spikes = _shared((1,), np.int64), {"dense0": _shared((9, 3), np.int32)}
    supervise(lambda: execute(_network(graph, np.ones((9, 4), np.int32), spikes, {}, steps_done), 7), steps_done, 60)
    assert steps_done[0] == 7


def test_compile_errors_reach_the_caller():
    graph = chain((4,), [3], seed=0)
    steps_done, wrong_shape = _shared((1,), np.int64), {"dense0": _shared((9, 5), np.int32)}
    with pytest.raises(BackendError, match=r"Lava failed:\n(.|\n)*incompatible"):
        supervise(
            lambda: execute(_network(graph, np.ones((9, 4), np.int32), wrong_shape, {}, steps_done), 9),
            steps_done,
            60,
        )
