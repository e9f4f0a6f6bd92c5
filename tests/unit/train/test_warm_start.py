"""Begin with another run's weights, and keep a part of the network as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pumice import nn
from pumice.data import load_digits
from pumice.errors import InputError, PumiceWarning
from pumice.quantization import is_quantized
from pumice.train import PRESETS, Recipe, load_checkpoint, restore, save_checkpoint, train


@pytest.fixture(scope="module")
def recipe(small_recipe):
    return small_recipe


@pytest.fixture(scope="module")
def first(tmp_path_factory, recipe):
    """A finished run: its checkpoint's path."""
    path = tmp_path_factory.mktemp("first") / "a.pt"
    train(recipe(), load_digits(), checkpoint_path=path)
    return path


@pytest.fixture(scope="module")
def begun(recipe):
    """The weights before the first step: nothing is learned at a rate of almost 0."""
    still = ("training.lr=1e-30", "training.weight_decay=0.0", "training.finetune_epochs=0")
    return lambda *more: train(recipe(*still, *more), load_digits())


def test_a_network_begins_with_the_weights_of_a_finished_run(first, begun):
    saved = load_checkpoint(first).model_state
    model = begun(f"network.weights={first}").model
    assert not is_quantized(model)
    for name, value in model.named_parameters():
        assert torch.equal(value, saved[name]), name


def test_what_does_not_fit_is_drawn_and_named(first, begun):
    with pytest.warns(
        PumiceWarning, match=r"network\.weights: \d of \d+ parameters are not in .*a\.pt, or of another shape"
    ):
        model = begun(f"network.weights={first}", "network.args.channels=[4, 6]", "network.args.strides=[2, 1]").model
    saved = load_checkpoint(first).model_state
    fits = [name for name, value in model.state_dict().items() if name in saved and saved[name].shape == value.shape]
    assert any(name.endswith("weight") for name in fits)


def test_a_run_of_which_nothing_fits_is_refused(first, recipe):
    lif = {"threshold": 0.5, "current_decay": 1.0, "voltage_decay": 0.25, "norm": nn.TDBN}
    other = torch.nn.Sequential(nn.Flatten(), nn.Dense(lif, 64, 10))
    with pytest.raises(InputError, match=r"network\.weights: .*a\.pt holds no weight that fits: it has "):
        train(recipe(f"network.weights={first}"), load_digits(), model=other)


def test_a_resumed_run_needs_the_other_one_no_more(first, tmp_path, recipe):
    path = tmp_path / "second.pt"
    settings = recipe(f"network.weights={first}", "training.epochs=2")
    expected = train(settings, load_digits(), checkpoint_path=tmp_path / "whole" / "c.pt").model.state_dict()

    class StoppedError(Exception):
        pass

    def stop(_):
        raise StoppedError

    moved = tmp_path / "moved.pt"
    moved.write_bytes(first.read_bytes())
    settings = recipe(f"network.weights={moved}", "training.epochs=2")
    with pytest.raises(StoppedError):
        train(settings, load_digits(), checkpoint_path=path, on_epoch=stop)
    moved.unlink()
    resumed = train(settings, load_digits(), resume_from=load_checkpoint(path)).model.state_dict()
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())


def test_frozen_blocks_keep_weights_and_statistics_in_both_phases(first, recipe):
    saved = load_checkpoint(first).model_state
    trained = train(recipe(f"network.weights={first}", 'training.freeze=["conv1.*"]'), load_digits())
    assert is_quantized(trained.model)
    state = trained.model.state_dict()
    frozen = [name for name in saved if name.startswith("conv1.") and "deployed" not in name]
    assert len(frozen) > 3
    assert all(torch.equal(state[name], saved[name]) for name in frozen)
    assert not all(torch.equal(state[name], saved[name]) for name in saved if not name.startswith("conv1."))


def test_a_pattern_that_fits_nothing_is_refused(recipe):
    with pytest.raises(InputError, match=r"training\.freeze: 'head.\*' fits no parameter; there are: conv1\."):
        train(recipe('training.freeze=["head.*"]'), load_digits())


def test_all_frozen_is_refused(recipe):
    with pytest.raises(InputError, match="leave no parameter to learn"):
        train(recipe('training.freeze=["*"]'), load_digits())


def test_recipes_without_them_are_recorded_as_before():
    record = Recipe().record()
    assert record["network"] == {"name": "convnet", "args": {}}
    assert "freeze" not in record["training"]
    assert np.array_equal(
        sorted(Recipe(network={"weights": "a.pt"}).record()["network"]), ["args", "name", "weights"]
    )


def test_a_checkpoint_of_the_first_release_fits(tmp_path):
    """There the synapses of a merge were its arms."""
    settings = ["data.max_test=20", "data.steps=4", "training.batch_size=20", "training.epochs=1",
                "training.finetune_epochs=0", "network.args.width=0.05", "data.max_train=20"]  # fmt: skip
    wanted = PRESETS["digits-resnet"].overridden(settings)
    made = train(wanted, load_digits(), checkpoint_path=tmp_path / "a.pt")
    saved = load_checkpoint(tmp_path / "a.pt")
    old = {name.replace(".synapses.", ".arms."): value for name, value in saved.model_state.items()}
    assert old.keys() != saved.model_state.keys()
    save_checkpoint(replace(saved, model_state=old), tmp_path / "old.pt")
    still = ["training.lr=1e-30", "training.weight_decay=0.0", f"network.weights={tmp_path / 'old.pt'}"]
    model = train(wanted.overridden(still), load_digits()).model
    for name, value in made.model.named_parameters():
        assert torch.equal(value, dict(model.named_parameters())[name]), name
    restored = restore(load_checkpoint(tmp_path / "old.pt")).model.state_dict()
    assert all(torch.equal(value, restored[name]) for name, value in saved.model_state.items())
