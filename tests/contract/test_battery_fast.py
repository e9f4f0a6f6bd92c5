"""The fast backend, at every neuron and step of every case."""

from pumice.backends import get_backend
from pumice.testing import BackendBattery


class TestFast(BackendBattery):
    def make_backend(self):
        return get_backend("fast")
