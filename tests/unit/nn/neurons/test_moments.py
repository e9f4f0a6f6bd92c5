import math

import numpy as np
import pytest
import torch

from pumice import nn
from pumice.errors import InputError
from pumice.nn.neurons.moments import leak, spike_moments


def tail(x):
    return math.erfc(x / math.sqrt(2)) / 2


@pytest.mark.parametrize("deviation", [0.7, 1.0, 2.0])
def test_without_memory_rate_and_variance_are_those_of_the_gaussian_tail(deviation):
    kernel = deviation**2 * torch.eye(4)
    found = spike_moments(kernel, threshold=1.0, voltage_decay=1.0, samples=1 << 16)
    p = tail(1 / deviation)
    assert found.rate == pytest.approx(p, abs=0.003)
    np.testing.assert_allclose(found.covariance, p * (1 - p) * np.eye(4), atol=0.004)


def test_two_steps_have_the_covariance_of_two_gaussians():
    """Sheppard: at threshold 0, P(both) = 1/4 + asin(c) / 2 pi."""
    kernel = torch.tensor([[1.0, 0.6], [0.6, 1.0]])
    found = spike_moments(kernel, threshold=1e-9, voltage_decay=1.0, samples=1 << 17)
    assert found.covariance[0, 1].item() == pytest.approx(math.asin(0.6) / (2 * math.pi), abs=0.004)


@pytest.mark.parametrize(("current_decay", "voltage_decay"), [(1.0, 0.75), (1.0, 0.25), (0.5, 0.25)])
def test_it_is_what_pumices_neurons_do(current_decay, voltage_decay):
    """Rates, and covariances between all pairs of steps, of CubaNeurons that get currents of this kind."""
    torch.manual_seed(1)
    n, steps = 40_000, 6
    mix = torch.randn(steps, steps, dtype=torch.float64) / 3 + torch.eye(steps)
    sums = torch.randn(n, steps, dtype=torch.float64) @ mix.T
    neuron = nn.CubaNeuron(threshold=1.5, current_decay=current_decay, voltage_decay=voltage_decay)
    spikes = neuron(sums.float()[None])[0].double().detach()
    decays = {"current_decay": current_decay, "voltage_decay": voltage_decay}
    found = spike_moments(mix @ mix.T, threshold=1.5, samples=1 << 15, **decays)
    assert found.rate == pytest.approx(spikes.mean().item(), abs=0.005)
    np.testing.assert_allclose(found.covariance, np.cov(spikes.T), atol=0.01)
    # Planted: a threshold that is off, and a covariance that forgets the mean, are seen.
    assert abs(spike_moments(mix @ mix.T, threshold=1.8, **decays).rate - found.rate) > 0.02
    second = spikes.T @ spikes / n
    assert np.abs(found.covariance - second).max() > 0.02


def test_it_gives_the_same_twice():
    first, second = (spike_moments(torch.eye(3), threshold=1.0, voltage_decay=0.5) for _ in range(2))
    assert torch.equal(first.voltages, second.voltages)


@pytest.mark.parametrize("covariance", [torch.ones(2), torch.ones(2, 3), torch.zeros(2, 2)])
def test_what_is_no_covariance_is_refused(covariance):
    with pytest.raises(InputError, match=r"covariance must be \(time, time\) with a diagonal > 0"):
        spike_moments(covariance, threshold=1.0, voltage_decay=1.0)


def test_leak_is_a_leaky_integrator():
    x, v = torch.randn(5, dtype=torch.float64), 0.0
    for step, value in enumerate(leak(5, 0.3) @ x):
        v = 0.7 * v + x[step]
        assert value == pytest.approx(v)
