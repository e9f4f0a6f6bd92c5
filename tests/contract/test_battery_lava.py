"""Lava passes the battery, under its own runtime and in threads."""

import pytest

from pumice.backends.lava import LavaBackend
from pumice.testing import BackendBattery


@pytest.mark.lava
class TestLava(BackendBattery):
    # Lava's neurons send spikes: there, an accumulator's voltage can be read but not sent to other neurons.
    unsupported = frozenset({"accumulator_graded", "accumulator_as_spikes"})

    def make_backend(self):
        return LavaBackend()


@pytest.mark.lava
class TestLavaInThreads(TestLava):
    def make_backend(self):
        return LavaBackend(in_threads=True)
