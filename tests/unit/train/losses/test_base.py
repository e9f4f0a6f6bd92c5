"""Class weights, and losses of one's own."""

import pytest
import torch

from pumice.data import load_digits
from pumice.errors import InputError
from pumice.train import PRESETS, AbstractLoss
from pumice.train.build import build_loss
from pumice.train.losses import LOSSES, make_loss
from pumice.train.losses.base import WeightedLoss

WEIGHTED = {
    "membrane_cross_entropy": {},
    "spike_count_cross_entropy": {},
    "spike_max": {},
    "spike_rate": {},
}
ANSWER = torch.rand(6, 3, 8, generator=torch.Generator().manual_seed(0)).round()
LABELS = torch.tensor([0, 0, 0, 1, 1, 2])


def test_those_with_weights_are_all_of_them():
    assert {name for name, kind in LOSSES.items() if issubclass(kind, WeightedLoss)} == set(WEIGHTED)


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_class_counts_as_often_as_its_weight_says(name):
    """A class of weight 3 counts like three copies of each of its samples."""
    plain, weighted = make_loss(name), make_loss(name, class_weights=[1, 3, 2])
    times = torch.tensor([1, 3, 2])[LABELS]
    copies = plain(ANSWER.repeat_interleave(times, 0), LABELS.repeat_interleave(times, 0))
    torch.testing.assert_close(weighted(ANSWER, LABELS), copies)
    assert not torch.allclose(plain(ANSWER, LABELS), copies)
    assert torch.equal(make_loss(name, class_weights=[1, 1, 1])(ANSWER, LABELS), plain(ANSWER, LABELS))


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="class_weights has 2 numbers, and the network's answer 3 classes"):
        make_loss("spike_rate", class_weights=[1, 2])(ANSWER, LABELS)
    with pytest.raises(InputError, match="class_weights must be > 0"):
        make_loss("spike_rate", class_weights=[1, 0, 1])
    with pytest.raises(InputError, match="loss 'van_rossum' has no argument class_weights; these losses have: m"):
        make_loss("van_rossum", class_weights=[1, 2, 3], times=[1])


def test_balanced_weights_are_the_inverse_of_the_share():
    digits = load_digits()
    recipe = PRESETS["digits"].overridden(["training.class_weights=balanced"])
    loss = build_loss(recipe, digits)
    counts = torch.bincount(torch.tensor(digits.train.labels)).double()
    weighted = counts * torch.tensor(loss.class_weights, dtype=torch.float64)
    torch.testing.assert_close(weighted, torch.full_like(weighted, len(digits.train) / 10))
    assert build_loss(PRESETS["digits"], digits).class_weights is None


def test_a_loss_of_ones_own_may_be_a_subclass_or_any_function(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_losses.py").write_text(
        "from pumice.train import AbstractLoss\n"
        "class Mean(AbstractLoss):\n"
        "    reads = 'membrane'\n"
        "    def forward(self, answer, labels):\n"
        "        return answer.mean()\n"
        "def make():\n"
        "    return lambda outputs, labels: outputs[0].sum()\n"
    )
    assert make_loss("my_losses:Mean").reads == "membrane"
    own = make_loss("my_losses:make")
    assert isinstance(own, AbstractLoss)
    assert own.reads == "outputs"
    assert own((ANSWER, None), LABELS) == ANSWER.sum()


def test_class_weights_are_no_argument_of_ones_own():
    recipe = PRESETS["digits"].overridden(['training.loss_args={"class_weights": [1, 2]}'])
    with pytest.raises(InputError, match=r"training.loss_args.class_weights: say it as training.class_weights"):
        build_loss(recipe, load_digits())
