import numpy as np
import pytest
import torch
from torch.nn import functional

from pumice.data import ImageDataset, Split
from pumice.errors import InputError
from pumice.train import Recipe, train
from pumice.train.losses import SpikeCountCrossEntropyLoss
from pumice.train.mixing import Mixing, Partners, mixing_of
from pumice.train.recipe.sections import TrainingSection
from pumice.train.trained import Trained

UNIT = 25


def dataset(labels=None):
    """Images of one grey level: 25 times their class."""
    classes = np.arange(40) % 10
    images = np.broadcast_to((UNIT * classes)[:, None, None, None], (40, 2, 6, 10)).astype(np.uint8)
    split = Split(images, classes if labels is None else labels)
    return ImageDataset("plain", split, split, tuple("0123456789"), (0, 255), source="made")


def run(data=None, encoding="direct", **training):
    recipe = Recipe(data={"steps": 3, "encoding": encoding}, training={"epochs": 4, **training})
    return Trained(recipe, dataset() if data is None else data, torch.nn.Identity())


def batch(n=10, steps=3):
    labels = torch.from_numpy(dataset().train.labels[:n])
    return torch.from_numpy(dataset().train.images[:n]).float()[..., None].expand(-1, -1, -1, -1, steps), labels


def shares(mixing, count=60):
    """Of many batches: the share, and the mean of each image; integers in the range of the grey levels."""
    x, labels = batch()
    for index in range(count):
        mixed, partners = mixing(x, labels, index)
        assert mixed.shape == x.shape
        assert torch.equal(mixed, mixed[..., :1].expand(x.shape))
        assert torch.equal(mixed, mixed.round())
        yield mixed[..., 0], labels, partners


def test_mixup_rounds_the_sum_of_both_images():
    seen = set()
    for mixed, labels, partners in shares(Mixing(run(mixup=0.5), 1, is_on=True)):
        parts = round(float(partners.share) * 256)
        wanted = (parts * UNIT * labels + (256 - parts) * UNIT * partners.labels + 128) // 256
        assert torch.equal(mixed, wanted[:, None, None, None].expand(mixed.shape).float())
        assert (partners.labels != labels).all()
        seen.add(parts)
    assert len(seen) > 20
    assert min(seen) < 40
    assert max(seen) > 216


def test_cutmix_puts_a_rectangle_of_the_other_image_in():
    seen = set()
    for mixed, labels, partners in shares(Mixing(run(cutmix=1.0), 1, is_on=True)):
        own, other = (UNIT * one[:, None, None, None] for one in (labels, partners.labels))
        assert ((mixed == own) | (mixed == other)).all()
        kept = (mixed == own).float()
        assert torch.allclose(kept.mean((1, 2, 3)), partners.share)
        cut = 1 - kept[0, 0]
        assert cut.sum() == cut.amax(0).sum() * cut.amax(1).sum()  # a rectangle
        seen.add(float(partners.share))
    assert len(seen) > 10


def test_both_take_turns_by_chance():
    cut = sum(
        len(mixed[1].unique()) == 2 for mixed, *_ in shares(Mixing(run(mixup=1.0, cutmix=1.0), 1, is_on=True), 100)
    )
    assert 25 < cut < 75


def test_chance_follows_from_seed_epoch_and_batch():
    def drawn(stream, index, **options):
        x, labels = batch()
        return Mixing(run(mixup=1.0, **options), stream, is_on=True)(x, labels, index)[0]

    assert torch.equal(drawn(2, 5), drawn(2, 5))
    assert not torch.equal(drawn(2, 5), drawn(2, 6))
    assert not torch.equal(drawn(2, 5), drawn(3, 5))


def test_the_loss_is_that_of_soft_labels():
    torch.manual_seed(0)
    answer, labels, others = torch.rand(5, 4, 3), torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1, 2, 3, 0, 0])
    loss = SpikeCountCrossEntropyLoss(label_smoothing=0.1)
    partners = Partners(others, torch.tensor(0.3))
    soft = 0.3 * functional.one_hot(labels, 4) + 0.7 * functional.one_hot(others, 4)
    wanted = functional.cross_entropy(answer.sum(-1), soft, label_smoothing=0.1)
    assert partners.shared(loss(answer, labels), loss(answer, others)).item() == pytest.approx(wanted.item())
    assert partners.seen(labels).tolist() == others.tolist()
    assert Partners(others, torch.tensor(0.7)).seen(labels).tolist() == labels.tolist()


def test_ends_after_its_share_of_the_epochs():
    settings = {"mixup": 1.0, "mixing_until": 0.5}
    x, labels = batch()
    changed = [bool((mixing_of(run(**settings), epoch, epoch)(x, labels, 0)[0] != x).any()) for epoch in (1, 2, 3, 4)]
    assert changed == [True, True, False, False]
    same, partners = mixing_of(run(**settings), 3, 3)(x, labels, 0)
    assert partners.shared(torch.tensor(2.0), torch.tensor(5.0)) == 2
    assert same is x
    assert mixing_of(run(), 1, 1) is None
    assert run(mixup=1.0).recipe.training.last_mixed_epoch == 4
    assert TrainingSection(epochs=100, mixup=1.0, mixing_until=0.29).last_mixed_epoch == 29  # 28.999... as a product


def test_a_training_mixes_in_its_first_phase(small_recipe, digits):
    recipe = small_recipe("training.epochs=2", "training.mixing_until=1.0")
    plain, mixed, half = (
        train(recipe.overridden(more), digits).history
        for more in ([], ["training.mixup=1.0"], ["training.mixup=1.0", "training.mixing_until=0.5"])
    )
    assert plain[0].loss != mixed[0].loss
    assert mixed[0] == half[0]
    assert mixed[1].loss != half[1].loss


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (dataset(np.random.default_rng(0).random((40, 10))), {}, "has targets, numbers"),
        (None, {"encoding": "rate"}, "shown with data.encoding=rate"),
    ],
)
def test_what_cannot_be_mixed_is_refused(data, options, message):
    with pytest.raises(InputError, match=message):
        mixing_of(run(data, mixup=0.5, **options), 1, 1)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"mixup": 0}, "mixup"),
        ({"cutmix": -1.0}, "cutmix"),
        ({"mixup": 1.0, "mixing_until": 1.5}, "mixing_until"),
        ({"mixing_until": 0.5}, "neither is chosen"),
        ({"mixup": 1.0, "mixing_until": 0.3, "epochs": 3}, "less than one epoch, so nothing .* give 0.3333 to 1"),
        ({"mixup": 1.0, "sample_boosting": 0.05}, "choose one"),
    ],
)
def test_values_that_do_not_fit_are_refused(training, message):
    with pytest.raises(ValueError, match=message):
        Recipe(training=training)
