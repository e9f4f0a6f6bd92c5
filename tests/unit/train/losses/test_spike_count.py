"""SLAYER's count loss: the oracle 1c, and its gradient against sums written out."""

import numpy as np
import pytest
import torch

from pumice.errors import InputError
from pumice.train.losses import SpikeCountLoss


def train_at(*steps, length=10):
    spikes = torch.zeros(1, 1, length, dtype=torch.float64)
    spikes[..., list(steps)] = 1.0
    return spikes.requires_grad_()


def eps(t, tau):
    return t / tau * np.exp(1 - t / tau) if t >= 0 else 0.0


def test_the_published_example():
    spikes, label = train_at(2, 4, 7), torch.tensor([0])
    loss = SpikeCountLoss(true_count=5, false_count=0, tau=2.0)
    assert loss.error(spikes, label)[0, 0].tolist() == pytest.approx([-0.2] * 10)
    assert loss(spikes, label).item() == pytest.approx(0.2)


def test_the_error_is_assigned_through_the_kernel():
    tau, start, stop = 3.0, 4, 10
    spikes = train_at(1, 5, 6, 11, length=14)
    loss = SpikeCountLoss(true_count=6, false_count=1, start=start, stop=stop, tau=tau)
    loss(spikes, torch.tensor([0])).backward()
    s = spikes[0, 0].detach().numpy()
    psp = [sum(eps(t - j, tau) * s[j] for j in range(14)) for t in range(14)]
    error = [(2 - 6) / 6 if start <= t < stop else psp[t] for t in range(14)]
    expected = [sum(eps(t - j, tau) * error[t] for t in range(14)) for j in range(14)]
    np.testing.assert_allclose(spikes.grad[0, 0].numpy(), expected, rtol=1e-12, atol=1e-14)
    value = 0.5 * sum(e * e for e in error)
    assert loss(spikes, torch.tensor([0])).item() == pytest.approx(value, rel=1e-12)


def test_the_gradient_is_not_that_of_the_squared_count():
    """PAPERS a4.7: it goes through the kernel, so the last step, which no later step sees, gets none."""
    spikes = train_at(2, 4)
    SpikeCountLoss(true_count=5, false_count=0, tau=2.0)(spikes, torch.tensor([0])).backward()
    assert spikes.grad[0, 0, -1] == 0
    assert (spikes.grad[0, 0, :-1] < 0).all()


def test_the_mean_over_the_batch():
    spikes = torch.cat([train_at(2, 4, 7), train_at(2, 4, 7)])
    assert SpikeCountLoss(5, 0, tau=2.0)(spikes, torch.tensor([0, 0])).item() == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"true_count": 1, "false_count": 2}, "false_count < true_count"),
        ({"start": 5, "stop": 5}, "start < stop"),
        ({"start": -1}, "start < stop"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        SpikeCountLoss(**arguments)


@pytest.mark.parametrize("window", [{"stop": 11}, {"start": 10}])
def test_a_window_beyond_the_sample(window):
    with pytest.raises(InputError, match="does not lie within the sample's 10 steps"):
        SpikeCountLoss(**window)(train_at(1), torch.tensor([0]))


def test_a_time_constant_of_nothing():
    with pytest.raises(InputError, match="tau must be > 0"):
        SpikeCountLoss(tau=0.0)(train_at(1), torch.tensor([0]))
