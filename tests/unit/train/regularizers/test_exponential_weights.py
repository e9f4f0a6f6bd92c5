import pytest
import torch

from pumice import nn
from pumice.errors import InputError
from pumice.models import build_model
from pumice.train.regularizers import ExponentialWeights, make_regularizers


@pytest.fixture
def network():
    torch.manual_seed(0)
    params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}
    return torch.nn.Sequential(nn.Dense(params, 5, 4), nn.Dense(params, 4, 3))


def test_its_gradient_is_the_papers(network):
    (penalty,) = make_regularizers(
        {"exponential_weights": {"layer": "1", "weight": 3.0, "beta": 0.7, "largest": 0.5}}, network, torch.zeros(1)
    )
    penalty({}).backward()
    w = network[1].synapse.weight.detach().flatten(1).double() / 0.5
    q = w.square().mean(1, keepdim=True)
    expected = 3.0 * 0.7 * w * torch.exp(0.7 * (q - 1))
    torch.testing.assert_close(network[1].synapse.weight.grad.flatten(1).double(), expected, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(expected, 3.0 * 0.7 * w, rtol=0.1)  # without the exponential
    assert network[0].synapse.weight.grad is None


def test_bad_values(network):
    with pytest.raises(InputError, match=r"layer 'output' has no synapse; layers that have one: 0, 1"):
        ExponentialWeights(network)
    with pytest.raises(InputError, match=r"beta and largest > 0, and all finite, got 10\.0, 0\.0 and 4\.0"):
        ExponentialWeights(network, layer="1", beta=0.0)
    for name in ("weight", "beta", "largest"):
        for value in (float("nan"), float("inf"), -1.0):
            with pytest.raises(InputError, match="exponential_weights: weight must be >= 0"):
                ExponentialWeights(network, layer="1", **{name: value})


def test_a_readout_that_passes_spikes_on_is_refused():
    params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}
    model = build_model("resnet", params, (1, 8, 8), 4, layers="18", width=1 / 16, readout="membrane")
    with pytest.raises(InputError, match=r"layer 'output' has no synapse; layers that have one: none"):
        ExponentialWeights(model)
