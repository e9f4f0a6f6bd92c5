"""Figures that wait on a device are those that are looked at at once."""

import pytest
import torch

from pumice.data import load_digits
from pumice.errors import InputError
from pumice.train import Recipe, loop, step, train
from pumice.train.runtime.cuda_graph import CudaGraphs


def recipe(**training):
    return Recipe(
        data={"max_train": 60, "max_test": 20, "steps": 4},
        network={"args": {"channels": [4], "strides": [2]}},
        training={"epochs": 2, "finetune_epochs": 1, "batch_size": 8, "accumulate": 2, **training},
    )


def steps_of(folder):
    return (folder / "steps.csv").read_text()


@pytest.fixture
def deferred(monkeypatch):
    monkeypatch.setattr(step, "is_asynchronous", lambda _device: True)
    monkeypatch.setattr(step, "BATCHES_AT_ONCE", 3)


def test_deferred_figures_equal_the_immediate_ones(tmp_path, monkeypatch, request):
    at_once = train(recipe(), load_digits(), checkpoint_path=tmp_path / "a" / "c.pt")
    request.getfixturevalue("deferred")
    later = train(recipe(checkpoint_every_steps=2), load_digits(), checkpoint_path=tmp_path / "b" / "c.pt")
    assert later.history == at_once.history
    assert steps_of(tmp_path / "a") == steps_of(tmp_path / "b")
    assert steps_of(tmp_path / "a").count("\n") == 1 + 3 * 4
    for name, value in at_once.model.state_dict().items():
        assert torch.equal(value, later.model.state_dict()[name])


@pytest.mark.usefixtures("deferred")
def test_what_is_not_finite_is_found_late_and_nothing_is_saved(tmp_path):
    with pytest.raises(InputError, match=r"training diverged: .*float epoch 1, batch 3 of 8"):
        train(recipe(lr=1e30), load_digits(), checkpoint_path=tmp_path / "c.pt")
    assert not (tmp_path / "c.pt").exists()


@pytest.mark.usefixtures("deferred")
def test_gradients_too_large_for_their_squares_are_found_late():
    with pytest.raises(InputError, match=r"the largest norm of a gradient is .* batch 1 of 8, step 1"):
        train(recipe(loss_args={"beta": 1e27}, accumulate=1), load_digits())


MIXER = {
    "name": "stmixer",
    "args": {"embed_dim": 8, "depth": 2, "heads": 2, "downsampling": 1, "surrogates": True},
}


SHORT = {"epochs": 2, "finetune_epochs": 0, "batch_size": 8}


class OnTheSameMemory(CudaGraphs):
    """Passes over a copy of the batch in the memory of the first one of its size, as a graph replays them."""

    def run(self, passes, *given):
        size = tuple(tensor.shape for tensor in given)
        own = self._recorded.setdefault(size, tuple(torch.full_like(tensor, 7) for tensor in given))
        for mine, tensor in zip(own, given, strict=True):
            mine.copy_(tensor)
        return passes(*own)


@pytest.mark.usefixtures("deferred")
def test_mixed_images_and_averaged_weights_are_replayed(monkeypatch):
    """The surrogate modules' loss, too, whose lambda stays."""
    monkeypatch.setattr(loop, "CudaGraphs", OnTheSameMemory)
    histories = []
    for graphs in (False, True):
        wanted = Recipe(
            data={"max_train": 24, "max_test": 8, "steps": 2},
            training={
                **SHORT,
                "loss": "surrogate_module",
                "mixup": 1.0,
                "cutmix": 1.0,
                "mixing_until": 0.5,
                "ema": 0.5,
            },
            compute={"cuda_graphs": graphs},
            network=MIXER,
        )
        histories.append(train(wanted, load_digits()).history)
    assert histories[0] == histories[1]


@pytest.mark.usefixtures("deferred")
@pytest.mark.parametrize(
    ("training", "why"),
    [
        ({"accumulate": 2}, "training.accumulate is 1"),
        (
            {"accumulate": 1, "loss": "surrogate_module", "loss_args": {"last_weight": 0.5}},
            "the loss does not change",
        ),
        ({"accumulate": 1, "sample_boosting": 0.05}, "samples are not weighed"),
    ],
)
def test_graphs_are_refused_where_they_cannot_replay(training, why):
    network = {"network": MIXER} if "loss" in training else {}
    wanted = Recipe(
        data={"max_train": 16, "max_test": 8, "steps": 2},
        training={"epochs": 1, "finetune_epochs": 0, "batch_size": 8, **training},
        compute={"cuda_graphs": True},
        **network,
    )
    with pytest.raises(InputError, match=why):
        train(wanted, load_digits())
