"""Lava passes the battery: what every backend of pumice, and any other, is held to."""

import pytest

from pumice.backends import get_backend
from pumice.testing import BackendBattery


@pytest.mark.lava
class TestLava(BackendBattery):
    # Lava's neurons send spikes: there, an accumulator's voltage can be read but not sent to other neurons.
    unsupported = frozenset({"accumulator_graded", "accumulator_as_spikes"})

    def make_backend(self):
        return get_backend("lava")
