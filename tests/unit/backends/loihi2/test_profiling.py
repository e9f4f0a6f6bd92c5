"""What probes have measured becomes numbers by name, whatever else they hold."""

import json

import numpy as np
import pytest

from pumice.backends.loihi2.profiling import check_probes, means, raw_values
from pumice.errors import InputError


class Power:
    def __init__(self):
        self.total_power = np.array([0.5, 1.0])
        self.static_total_power = np.float64(0.25)
        self.board = object()
        self._private = 1

    def attach(self, board):
        raise NotImplementedError


class Time:
    @property
    def avg_time_per_step(self):
        return 12.5


def test_public_values_are_kept_and_known_ones_averaged():
    raw = raw_values({"power": Power(), "time": Time()})
    assert set(raw["power"]) == {"total_power", "static_total_power", "board"}
    json.dumps(raw)
    assert means(raw) == {"total_power": 0.75, "static_power": 0.25, "time_per_step": 12.5}


def test_an_unknown_probe_is_refused():
    assert check_probes(["time", "power", "time"]) == ("time", "power")
    with pytest.raises(InputError, match="got 'heat'"):
        check_probes(["heat"])
