import pytest
import torch


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def params():
    """A leaky neuron as SLAYER describes it, without a norm."""
    return {"threshold": 0.5, "current_decay": 0.3, "voltage_decay": 0.1, "tau_grad": 0.1, "scale_grad": 1.0}
