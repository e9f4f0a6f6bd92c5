"""The torch backend, at every neuron and step of every case, on the CPU and on CUDA where there is one."""

import pytest
import torch

from pumice.backends.torch import TorchBackend
from pumice.testing import BackendBattery


class TestTorch(BackendBattery):
    def make_backend(self):
        return TorchBackend("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
class TestTorchOnCuda(BackendBattery):
    def make_backend(self):
        return TorchBackend("cuda")
