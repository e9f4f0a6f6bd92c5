"""Sample boosting: whose answer was wrong counts more in the next epoch, in every way of running one."""

import math

import numpy as np
import pytest
import torch

from pumice.data import ImageDataset, Split, load_digits
from pumice.data.encoding import encode
from pumice.errors import FileFormatError, InputError
from pumice.train import Checkpoint, load_checkpoint, predict, predict_counts, save_checkpoint, train
from pumice.train.boosting import SampleWeights, scale_gradient
from pumice.train.checkpoint import excerpt
from pumice.train.losses import CountMarginLoss
from pumice.train.optimizer import make_optimizer
from pumice.train.position import Position
from pumice.train.predict import to_tensor
from pumice.train.trained import restore, start

PLAIN = (
    "data.noise=0",
    "data.augment={}",
    "neuron.norm=none",
    "network.name=feedforward",
    'network.args={"layers": 12, "weight_scale": 8}',
)
STILL = ("training.lr=1e-30", "training.weight_decay=0", "training.finetune_epochs=0")


class StopError(Exception):
    pass


def stop(_epoch):
    raise StopError


@pytest.fixture(scope="module")
def boosted(small_recipe):
    plain = small_recipe("network.name=feedforward")
    plain = plain.model_copy(update={"network": plain.network.model_copy(update={"args": {}})})
    return lambda *more: plain.overridden([*PLAIN, "training.sample_boosting=0.5", *more])


def written_out(labels, weights, missed, rate):
    """The equation, sample by sample."""
    found = []
    for i, label in enumerate(labels):
        own = [k for k, other in enumerate(labels) if other == label]
        error = sum(weights[k] for k in own if missed[k]) / sum(weights[k] for k in own)
        found.append(weights[i] * math.exp(rate * error) if missed[i] else weights[i])
    return found


def test_a_network_that_stays_the_same_is_boosted_by_the_equation(boosted, tmp_path):
    """So slow a training changes nothing, and each epoch mistakes the same samples."""
    recipe = boosted(*STILL, "training.epochs=3")
    path = tmp_path / "c.pt"
    trained = train(recipe, load_digits(), checkpoint_path=path)
    split = trained.dataset.train
    missed = predict(predict_counts(trained.model, trained.encoder, split.samples)) != split.labels
    assert 5 < missed.sum() < len(split) - 1
    weights = [1.0] * len(split)
    for _ in range(3):
        weights = written_out(split.labels, weights, missed, 0.5)
    found = load_checkpoint(path).position.samples
    torch.testing.assert_close(found.weights, torch.tensor(weights, dtype=torch.float64), rtol=1e-12, atol=0)
    assert not found.missed.any()  # of the next epoch


def test_a_batchs_gradient_is_the_weighted_sum_of_its_samples(boosted, tmp_path):
    """Over batches that make one step together; each sample's own gradient is computed alone."""
    more = ("training.epochs=2", "training.batch_size=25", "training.accumulate=3", "training.lr=0.5")
    sgd = (
        "training.optimizer=sgd",
        "training.momentum=0",
        "training.schedule=constant",
        "training.loss=count_margin",
    )
    counts = 'training.loss_args={"true_count": 3, "false_count": 0, "margin": 0}'
    recipe = boosted(*more, *sgd, counts, "training.weight_decay=0", "training.finetune_epochs=0")
    with pytest.raises(StopError):
        train(recipe, load_digits(), checkpoint_path=tmp_path / "c.pt", on_epoch=stop)
    begun = load_checkpoint(tmp_path / "c.pt")
    weights = torch.linspace(0.5, 2.0, 60, dtype=torch.float64)
    begun.position.samples.weights = weights
    before = restore(begun, load_digits())
    x = to_tensor(next(encode(before.encoder, before.dataset.train.samples)))
    labels = torch.tensor(before.dataset.train.labels)
    before.model.train()
    for i in range(60):
        (CountMarginLoss(3, 0, 0)(before.model(x[i : i + 1]), labels[i : i + 1]) * weights[i] / 60).backward()
    after = train(recipe, load_digits(), resume_from=begun)
    for (name, begin), end in zip(before.model.named_parameters(), after.model.parameters(), strict=True):
        if begin.grad is not None:
            assert begin.grad.abs().sum() > 0, name
            torch.testing.assert_close(end, begin - 0.5 * begin.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["spike_max", "membrane_cross_entropy", "surrogate_module"])
def test_every_loss_is_scaled(boosted, loss):
    """All weights 4: with SGD, four times the learning rate."""
    common = (f"training.loss={loss}", "training.optimizer=sgd", "training.momentum=0", "training.weight_decay=0")
    ends = []
    for lr, weight in ((0.25, 4.0), (1.0, None)):
        recipe = boosted(*common, f"training.lr={lr}", "training.finetune_epochs=0", "training.schedule=constant")
        if weight is None:
            recipe = recipe.overridden(["training.sample_boosting=null"])
            ends.append(train(recipe, load_digits()))
            continue
        start = restore_before_training(recipe)
        start.position.samples.weights *= weight
        ends.append(train(recipe, load_digits(), resume_from=start))
    for one, other in zip(*(end.model.parameters() for end in ends), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def restore_before_training(recipe):
    begun = start(recipe, load_digits())
    position = Position(samples=SampleWeights.start(60))
    optimizer = make_optimizer(begun.model, recipe.training)
    return Checkpoint(recipe, excerpt(begun.dataset), (), begun.model.state_dict(), optimizer.state_dict(), position)


@pytest.mark.parametrize("within", [False, True])
def test_resumed_bit_for_bit(boosted, tmp_path, within):
    recipe = boosted("training.epochs=3", "training.checkpoint_every_steps=2", "data.noise=0.5")
    whole = train(recipe, load_digits(), checkpoint_path=tmp_path / "whole" / "c.pt")
    path, batches = tmp_path / "c.pt", []

    def count():
        batches.append(1)
        if len(batches) == (6 if within else 10**6):
            raise StopError

    with pytest.raises(StopError):
        train(
            recipe,
            load_digits(),
            checkpoint_path=path,
            on_batch=count,
            on_epoch=lambda e: stop(e) if not within else None,
        )
    begun = load_checkpoint(path)
    assert (begun.position.batches > 0) == within
    assert bool(begun.position.samples.missed.any()) == within
    assert (begun.position.samples.weights > 1).any()
    resumed = train(recipe, load_digits(), checkpoint_path=path, resume_from=begun)
    assert resumed.history == whole.history
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, whole.model.state_dict()[name]), name
    ends = [load_checkpoint(p).position.samples for p in (path, tmp_path / "whole" / "c.pt")]
    assert torch.equal(ends[0].weights, ends[1].weights)


def test_worker_processes_change_nothing(boosted):
    found = [train(boosted("training.epochs=2", f"data.workers={n}"), load_digits()) for n in (0, 1)]
    assert found[0].history == found[1].history


def test_an_epoch_without_mistakes_and_one_with_nothing_else():
    labels = torch.tensor([0, 0, 2])
    for missed, factor in ((False, 1.0), (True, math.exp(0.1))):
        samples = SampleWeights(torch.full((3,), 2.0, dtype=torch.float64), torch.full((3,), missed))
        samples.boost(labels, 0.1)
        assert samples.weights.tolist() == pytest.approx([2 * factor] * 3)
        assert not samples.missed.any()


def test_what_is_not_of_the_batch_is_left():
    x, shared = torch.ones(3, 2, requires_grad=True), torch.ones((), requires_grad=True)
    answer = scale_gradient(
        {"out": [x, None], "shared": shared, "labels": torch.arange(3)}, torch.tensor([1.0, 2, 3])
    )
    assert torch.equal(answer["out"][0], x)
    (answer["out"][0].sum() + answer["shared"]).backward()
    assert x.grad.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert shared.grad == 1


def test_bad_settings_are_refused(boosted):
    for rate in (0, -1, 1.5, "much"):
        with pytest.raises(InputError, match=r"training\.sample_boosting: Input should be"):
            boosted(f"training.sample_boosting={rate}")
    begun = restore_before_training(boosted())
    begun.position.samples = SampleWeights.start(5)
    with pytest.raises(InputError, match="the checkpoint weighs 5 samples, and the data has 60"):
        train(boosted(), load_digits(), resume_from=begun)
    split = Split(np.zeros((20, 1, 8, 8), np.uint8), np.zeros((20, 1)))
    numbers = ImageDataset("mine", split, split, ("y",), (0, 15), source="drawn")
    with pytest.raises(InputError, match="sample_boosting: this dataset has targets, numbers, and no classes"):
        train(boosted("training.loss=mean_squared_error"), numbers)


@pytest.mark.parametrize("damage", ["weights", "missed"])
def test_damaged_weights_are_refused(boosted, tmp_path, damage):
    begun = restore_before_training(boosted())
    setattr(begun.position.samples, damage, torch.tensor([-1.0, 1.0], dtype=torch.float64))
    save_checkpoint(begun, tmp_path / "c.pt")
    with pytest.raises(FileFormatError, match="the checkpoint is damaged"):
        load_checkpoint(tmp_path / "c.pt")
