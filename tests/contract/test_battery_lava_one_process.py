"""The whole graph in one Lava process, at every neuron and step of every case."""

import pytest

from pumice.backends.lava import LavaBackend
from pumice.testing import BackendBattery

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("kernels_are_loaded")]


class TestLavaInOneProcess(BackendBattery):
    def make_backend(self):
        return LavaBackend(one_process=True)
