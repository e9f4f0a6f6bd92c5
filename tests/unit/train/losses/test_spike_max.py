import pytest
import torch
from lava.lib.dl.slayer import loss as slayer

from pumice.errors import InputError
from pumice.train.losses import SpikeMaxLoss


def busy_spikes():
    generator = torch.Generator().manual_seed(0)
    spikes = (torch.rand(6, 4, 12, generator=generator) < 0.6).float()
    return spikes, torch.randint(0, 4, (6,), generator=generator)


@pytest.mark.parametrize("mode", ["probability", "softmax"])
def test_over_the_whole_sample_it_is_slayers(mode):
    spikes, labels = busy_spikes()
    theirs = slayer.SpikeMax(mode=mode, reduction="mean")(spikes, labels)
    torch.testing.assert_close(SpikeMaxLoss(mode=mode, epsilon=1e-9)(spikes, labels), theirs, rtol=1e-5, atol=1e-6)


def test_a_window_by_hand():
    spikes, labels = busy_spikes()
    window = 5
    expected = 0.0
    for b in range(6):
        for t in range(12):
            rates = spikes[b, :, max(0, t - window + 1) : t + 1].sum(1) / window
            expected -= torch.log_softmax(rates, 0)[labels[b]] / (6 * 12)
    torch.testing.assert_close(SpikeMaxLoss(window=window, mode="softmax")(spikes, labels), expected)


def test_silence_is_finite_and_says_what_to_do():
    spikes = torch.zeros(1, 3, 5, requires_grad=True)
    loss = SpikeMaxLoss()(spikes, torch.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(1.0986, abs=1e-4)
    assert (spikes.grad[0, 1] < 0).all()
    assert (spikes.grad[0, [0, 2]] > 0).all()


def test_bad_arguments():
    with pytest.raises(InputError, match="mode must be"):
        SpikeMaxLoss(mode="argmax")
    with pytest.raises(InputError, match="window >= 1"):
        SpikeMaxLoss(window=0)
