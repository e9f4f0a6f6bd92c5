"""Lava passes the battery: what every backend of pumice, and any other, is held to."""

import pytest

from pumice.backends import get_backend
from pumice.testing import BackendBattery


@pytest.mark.lava
class TestLava(BackendBattery):
    def make_backend(self):
        return get_backend("lava")
