import inspect
import math

import pytest
import torch
from lava.lib.dl.slayer import loss as slayer

from pumice.errors import InputError
from pumice.train import SpikeCountCrossEntropyLoss, SpikeRateLoss
from pumice.train.losses import make_loss
from pumice.train.losses.registry import LOSSES


def spikes_and_labels(seed=0):
    generator = torch.Generator().manual_seed(seed)
    spikes = (torch.rand(6, 4, 9, generator=generator) < 0.3).float()
    return spikes, torch.randint(0, 4, (6,), generator=generator)


def test_spike_rate_is_slayers_per_sample():
    spikes, labels = spikes_and_labels()
    ours = SpikeRateLoss(0.7, 0.1)(spikes, labels)
    theirs = slayer.SpikeRate(true_rate=0.7, false_rate=0.1, reduction="sum")(spikes, labels)
    torch.testing.assert_close(ours, theirs / len(labels))


def test_count_cross_entropy_by_hand():
    spikes, labels = spikes_and_labels()
    logits = 0.5 * spikes.sum(-1)
    expected = (torch.logsumexp(logits, 1) - logits[torch.arange(6), labels]).mean()
    torch.testing.assert_close(SpikeCountCrossEntropyLoss(beta=0.5)(spikes, labels), expected)


def test_desired_counts_with_a_margin_by_hand():
    spikes, labels = spikes_and_labels()
    spikes.requires_grad_()
    loss = make_loss("count_margin", true_count=6, false_count=1, margin=1)(spikes, labels)
    loss.backward()
    expected, slopes = 0.0, torch.zeros(6, 4)
    for sample, label in enumerate(labels):
        for neuron in range(4):
            distance = spikes[sample, neuron].sum().item() - (6 if neuron == label else 1)
            if abs(distance) > 1:
                expected, slopes[sample, neuron] = expected + distance**2 / 2, distance
    assert loss.item() == pytest.approx(expected / 6)
    torch.testing.assert_close(spikes.grad, (slopes / 6)[..., None].expand(spikes.shape))
    assert (slopes == 0).any()
    assert (slopes != 0).any()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_an_answer_that_is_no_number_makes_the_loss_none(name):
    """Whatever its sample and class: a comparison with NaN is false, and must not let it pass."""
    needs = {"count_margin": {"true_count": 6, "false_count": 1}, "van_rossum": {"times": [2]}}
    answer, labels = spikes_and_labels()
    targets = torch.zeros(6, 4) if name == "mean_squared_error" else labels
    for lengths in (None, torch.full((6,), 8)):
        for bad in ((0, 1, 2), (5, int(labels[5]), 7)):
            answer, _ = spikes_and_labels()
            answer[bad] = torch.nan
            assert make_loss(name, **needs.get(name, {})).of_batch(answer, targets, lengths).isnan()


@pytest.mark.parametrize("name", ["spike_count_cross_entropy", "spike_rate"])
def test_more_spikes_of_the_right_class_are_better(name):
    spikes, labels = spikes_and_labels()
    spikes.requires_grad_()
    make_loss(name)(spikes, labels).backward()
    right = spikes.grad[torch.arange(6), labels]
    assert (right < 0).all()


REALS = [
    (name, parameter.name)
    for name, kind in LOSSES.items()
    for parameter in inspect.signature(kind).parameters.values()
    if isinstance(parameter.default, float)
]


@pytest.mark.parametrize(("name", "argument"), REALS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_argument_is_nan_or_infinite(name, argument, value):
    with pytest.raises(InputError, match=r"finite|must lie in 0\.\.1|must satisfy|must be >= 0 and < 1"):
        make_loss(name, **{argument: value})


def test_no_class_counts_without_end():
    with pytest.raises(InputError, match="class_weights must be > 0, and finite"):
        make_loss("spike_rate", class_weights=[1.0, math.inf])


def test_bad_losses():
    with pytest.raises(
        InputError, match="there are: count_margin, mean_squared_error, membrane_cross_entropy, spike_count, "
    ):
        make_loss("hinge")
    with pytest.raises(InputError, match="takes no argument gamma; its arguments are: true_rate, false_rate"):
        make_loss("spike_rate", gamma=1.0)
    with pytest.raises(InputError, match="false_rate < true_rate"):
        make_loss("spike_rate", true_rate=0.1, false_rate=0.2)
    for margin in (-1, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"margin must be >= 0 spikes, and finite, got {margin}"):
            make_loss("count_margin", margin=margin)
    with pytest.raises(
        InputError, match=r"counts must be finite, and 0 <= false_count < true_count, got 5\.0 and inf"
    ):
        make_loss("count_margin", true_count=float("inf"))
    with pytest.raises(InputError, match=r"false_count < true_count, got 5.* and 4"):
        make_loss("count_margin", true_count=4)
    spikes, labels = spikes_and_labels()
    with pytest.raises(InputError, match=r"true_count=35\.0 spikes do not fit into the 9 steps"):
        make_loss("count_margin")(spikes, labels)
    with pytest.raises(InputError, match="beta must be > 0"):
        make_loss("spike_count_cross_entropy", beta=0.0)
