import json

import pytest
import torch

pytest.importorskip("optuna")

from pumice.data import load_dataset
from pumice.errors import InputError
from pumice.sweep import Sweep, parse_space, study
from pumice.sweep.picture import save_picture
from pumice.train import Recipe

RECIPE = Recipe(
    data={"max_train": 200, "max_test": 10, "validation": 0.5, "steps": 2},
    network={"name": "feedforward", "args": {"layers": 4}},
    training={"epochs": 1, "finetune_epochs": 0, "batch_size": 20},
)
SPACE = ["training.lr=1e-3..1e-1", "neuron.threshold=0.5,1.0"]


def data(recipe):
    return load_dataset(recipe.data.dataset, None, **recipe.data_arguments())


def sweep(folder, over=SPACE, recipe=RECIPE, **options):
    return Sweep(recipe, parse_space(over), folder, **options)


def settings(found):
    return [(trial.number, dict(trial.settings), trial.value) for trial in found.trials()]


def test_an_ended_sweep_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    """A trial is ended in its training, by the user; the next process takes it up, with the same settings."""
    whole = sweep(tmp_path / "whole")
    whole.run(3, data)
    train, calls = study.train, []

    def interrupted(recipe, *arguments, **options):
        calls.append(recipe)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(recipe, *arguments, **options)

    monkeypatch.setattr(study, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "parts").run(3, data)
    again = sweep(tmp_path / "parts")
    assert [trial.is_done for trial in again.trials()] == [True, False]
    again.run(3, data)
    assert settings(again) == settings(whole)
    assert len({json.dumps(s) for _, s, _ in settings(whole)}) == 3
    assert all(
        0.001 <= s["training.lr"] <= 0.1 and s["neuron.threshold"] in {0.5, 1.0} for _, s, _ in settings(whole)
    )
    again.run(3, data)
    assert (len(calls), len(again.trials())) == (4, 3)
    best = again.best()
    assert best.value == max(value for _, _, value in settings(again))
    assert again.checkpoint(best).exists()
    save_picture(again, tmp_path / "a.svg")
    assert "training.lr" in (tmp_path / "a.svg").read_text()


def test_a_trial_that_runs_is_left_alone(tmp_path):
    first, second = sweep(tmp_path), sweep(tmp_path)
    with first._next(2) as trial:
        assert trial.number == 0
        with second._next(2) as other:
            assert other.number == 1
            assert second._next(2) is None
        with second._next(2) as left_behind:
            assert left_behind.number == 1


def test_a_trial_without_settings_does_not_count(tmp_path):
    found = sweep(tmp_path, ["neuron.threshold=0.5,1.0"], sampler="grid")
    found._study.ask()  # a process that ends here
    found.run(2, data)
    assert [trial.why for trial in found.trials()] == [study.ABANDONED, "", ""]
    assert [trial.settings.get("neuron.threshold") for trial in found.trials()] == [None, 0.5, 1.0]


def test_a_grid_is_each_combination_once(tmp_path):
    found = sweep(tmp_path, ["neuron.threshold=0.5,1.0", "training.lr=0.01,1e9"], sampler="grid")
    found.run(20, data)
    assert len({json.dumps(dict(trial.settings)) for trial in found.trials()}) == found.combinations == 4


def test_a_trial_that_fails_says_why_and_the_sweep_goes_on(tmp_path):
    recipe = RECIPE.overridden(["training.loss=count_margin", "training.loss_args.false_count=0"])
    found = sweep(tmp_path, ["training.loss_args.true_count=1,50"], recipe, sampler="grid")
    found.run(2, data)
    by_count = {trial.settings["training.loss_args.true_count"]: trial for trial in found.trials()}
    assert "50 spikes do not fit" in by_count[50].why
    assert by_count[50].value is None
    assert found.best() == by_count[1]


@pytest.mark.parametrize(
    ("over", "changes", "options", "words"),
    [
        (SPACE, ["data.validation=0"], {}, "--set data.validation=0.1"),
        (SPACE, [], {"sampler": "guess"}, "must be one of tpe, random, grid"),
        (SPACE, [], {"sampler": "grid"}, "training.lr is a range"),
        (["training.ler=1,2"], [], {}, "training.lr"),
        (["training.lr=-1..1"], [], {}, "^--over: training.lr"),
        (["training.batch_size=2.0..16"], [], {}, "^--over: training.batch_size.* valid integer, .* fractional part"),
        (["training.batch_size=2.0..17"], [], {}, "^--over: training.batch_size.* valid integer"),  # a third is whole
        (["neuron.surrogate=arctan,nope"], [], {}, "^--over: neuron.surrogate.*nope"),
        (["name=a,b"], [], {}, "a trial's name is the recipe's and its number"),
    ],
)
def test_what_cannot_be_swept(over, changes, options, words, tmp_path):
    with pytest.raises(InputError, match=words):
        sweep(tmp_path, over, RECIPE.overridden(changes), **options)
    assert not [*tmp_path.iterdir()]


def test_a_trial_without_memory_says_so(tmp_path, monkeypatch):
    def too_large(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(study, "train", too_large)
    found = sweep(tmp_path)
    found.run(1, data)
    assert found.trials()[0].why == "CUDA out of memory"


def test_a_trial_that_ends_while_it_is_looked_at_is_not_taken(tmp_path, monkeypatch):
    first, second = sweep(tmp_path), sweep(tmp_path)
    trial = first._next(1)

    def lets_go(_):
        first._study.tell(0, 0.5)
        return False

    monkeypatch.setattr(second, "_is_running", lets_go)
    assert second._next(1) is None
    trial.__exit__(None, None, None)


@pytest.mark.parametrize(
    "other",
    [{"recipe": RECIPE.overridden(["seed=1"])}, {"over": SPACE[:1]}, {"over": SPACE[::-1]}, {"sampler": "random"}],
)
def test_another_sweep_in_the_folder_is_refused(other, tmp_path):
    sweep(tmp_path)
    with pytest.raises(InputError, match="holds a sweep of another"):
        sweep(tmp_path, **other)
