"""Training on recordings of events, from the recipe to the chip's graph."""

import numpy as np
import pytest
import torch

import pumice
from pumice.data import EventDataset, Split
from pumice.data.events import EVENT, concatenate
from pumice.errors import InputError
from pumice.pipeline import lower_trained
from pumice.train import Recipe, load_checkpoint, restore, train

RECIPE = Recipe().overridden(
    [
        "name=events",
        "data.encoding=time",
        "data.steps=5",
        'data.augment={"DropEvent": {"p": 0.1}, "RandomShift": {"x": 1}}',
        "data.validation=0.2",
        "network.name=feedforward",
        "network.args.layers=8",
        "training.epochs=8",
        "training.finetune_epochs=1",
        "training.batch_size=8",
        'training.regularizers={"synaptic_events": {"weight": 0.1}}',
    ]
)


@pytest.fixture(scope="module")
def data():
    """Two classes: events in the upper half, or in the lower half."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    recordings = []
    for label in labels:
        events = np.zeros(120, EVENT)
        events["t"] = np.sort(rng.integers(0, 1000, 120))
        events["y"] = rng.integers(0, 3, 120) + 3 * label
        events["x"] = rng.integers(0, 6, 120)
        recordings.append(events)
    samples = concatenate(recordings)
    splits = [Split(samples[part], labels[part]) for part in (slice(40), slice(40, None))]
    return EventDataset("halves", *splits, ("up", "down"), (1, 6, 6), 1000, source="made up")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    return train(RECIPE, data, checkpoint_path=path), path


def test_it_learns(trained):
    history = trained[0].history
    assert history[-1].test_accuracy >= 0.9
    assert history[-2].validation_accuracy >= 0.75
    assert history[-2].loss < history[0].loss


def test_the_checkpoint_lowers_without_the_data(trained):
    restored = restore(load_checkpoint(trained[1]))
    assert torch.equal(restored.example, trained[0].example)
    assert [e.tolist() for e in restored.dataset.test.samples] == [
        e.tolist() for e in trained[0].dataset.test.samples[:4]
    ]
    graph = lower_trained(restored)
    pumice.verify(graph)
    assert graph.info["data"] == "made up"


def test_a_clock_that_starts_elsewhere_trains_the_same_network(data):
    def moved(split, by):
        recordings = [events.copy() for events in split.samples]
        for index, events in enumerate(recordings):
            events["t"] += by * (index + 1)
        return Split(concatenate(recordings), split.labels)

    one, other = (
        train(
            RECIPE.overridden(["training.epochs=1"]),
            EventDataset(
                "halves", moved(data.train, by), moved(data.test, by), ("up", "down"), (1, 6, 6), 1000, origin="first"
            ),
        )
        for by in (0, 80_048_239)
    )
    for key, value in one.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[key], value)


def test_workers_change_nothing(data):
    one, again = (train(RECIPE.overridden(["training.epochs=2", f"data.workers={n}"]), data) for n in (0, 2))
    for key, value in one.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[key], value)


def test_bins_of_equal_count(data):
    recipe = RECIPE.overridden(["data.encoding=count", "data.max_count=3", "training.epochs=1", "data.validation=0"])
    run = train(recipe, data)
    assert run.encoder.value_range == (0, 3)
    assert run.history[0].validation_loss is None


def test_an_encoding_of_the_other_kind(data, digits):
    with pytest.raises(InputError, match=r"data\.encoding=direct is not for events, which halves holds"):
        train(RECIPE.overridden(["data.encoding=direct"]), data)
    with pytest.raises(InputError, match=r"data\.encoding=time is not for images, which digits holds"):
        train(RECIPE, digits)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.noise=1.5", "data.gray_levels=4"], r"data\.gray_levels=4, data\.noise=1\.5 would do nothing: halves"),
        (["data.encoding=count", "data.window=100"], r"data\.window=100\.0 would do nothing: .*encoding=count"),
        (["data.fold=1"], r"data\.fold=1 would do nothing: .*without data\.folds; leave it out"),
    ],
)
def test_keys_of_other_data_are_refused(data, settings, message):
    with pytest.raises(InputError, match=message):
        train(RECIPE.overridden(settings), data)


def test_keys_of_events_are_refused_of_images(digits):
    with pytest.raises(InputError, match=r"data\.max_count=3, data\.downsample=2 would do nothing: digits"):
        train(Recipe(data={"max_count": 3, "downsample": 2}), digits)
