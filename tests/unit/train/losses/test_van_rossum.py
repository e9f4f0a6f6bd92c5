import pytest
import torch

from pumice.errors import InputError
from pumice.train.losses import VanRossumLoss


def test_slayers_example():
    """PAPERS a5, 1a: silence where a spike at step 5 is desired, kernel of tau 2, 12 steps."""
    desired = torch.zeros(1, 1, 12, dtype=torch.float64)
    desired[..., 5] = 1.0
    assert VanRossumLoss(tau=2.0)(torch.zeros_like(desired), desired).item() == pytest.approx(1.762325, abs=1e-6)


def test_labels_stand_for_spike_times():
    spikes = torch.zeros(2, 3, 8)
    loss = VanRossumLoss(times=[2, 6], tau=2.0)
    desired = torch.zeros(2, 3, 8)
    desired[0, 1, [2, 6]] = 1
    desired[1, 2, [2, 6]] = 1
    labels = torch.tensor([1, 2])
    assert torch.equal(loss.desired(spikes, labels), desired)
    assert loss(spikes, labels) == loss(spikes, desired) > 0
    assert loss(desired, labels) == 0


def test_a_spike_closer_in_time_is_better():
    at = {t: torch.nn.functional.one_hot(torch.tensor([[t]]), 20).float() for t in (5, 7, 12)}
    for kernel in ("alpha", "exponential"):
        loss = VanRossumLoss(tau=3.0, kernel=kernel)
        assert loss(at[7], at[5]) < loss(at[12], at[5])


def test_the_exponential_kernel_by_hand():
    spikes = torch.tensor([[[1.0, 0.0, 0.0]]])
    value = VanRossumLoss(tau=2.0, kernel="exponential")(spikes, torch.zeros(1, 1, 3)).item()
    decay = torch.exp(-torch.arange(3) / 2.0)
    assert value == pytest.approx(0.5 * float((decay**2).sum()), rel=1e-6)


def test_gradient_by_finite_differences():
    spikes = torch.rand(2, 3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = VanRossumLoss(times=[1, 4], tau=2.0)
    assert torch.autograd.gradcheck(lambda s: loss(s, torch.tensor([0, 2])), spikes.requires_grad_())


def test_bad_input():
    with pytest.raises(InputError, match="tau must be > 0"):
        VanRossumLoss(tau=0)
    with pytest.raises(InputError, match="kernel must be"):
        VanRossumLoss(kernel="square")
    for times in ([], [8]):
        with pytest.raises(InputError, match=r"loss_args\.times must name steps below 8"):
            VanRossumLoss(times=times)(torch.zeros(1, 2, 8), torch.tensor([0]))
