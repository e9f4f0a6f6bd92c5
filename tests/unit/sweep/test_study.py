import errno
import json
import os
from pathlib import Path

import pytest
import torch

pytest.importorskip("optuna")

from pumice.data import load_dataset
from pumice.errors import InputError, PumiceWarning
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
        (["data.validation=0,0.5"], [], {}, "--over data.validation=0 keeps none"),
        (["compute.devices=1,2"], [], {}, "--over compute.devices=2 asks for compute.devices=2; set it to 1"),
        (SPACE, ["compute.devices=2"], {}, "the recipe asks for compute.devices=2; set it to 1"),
        (['network.args={"layers": 3},{}', "network.args.layers=4,5"], [], {}, "layers: is a part of network.args"),
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


def test_processes_of_torchrun_are_refused(tmp_path, monkeypatch):
    """They would bring together the gradients of different trials."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="start the same command several times without torchrun"):
        sweep(tmp_path)


def test_the_lock_of_a_dead_process_is_taken_from_a_relative_folder_too(tmp_path, monkeypatch):
    """Optuna waits for ever for a link that leads nowhere."""
    monkeypatch.chdir(tmp_path)
    sweep(Path("study"))
    lock = sweep(Path("study"))._study._storage._backend._lock
    lock.acquire()
    assert Path("study", "study.journal.lock").exists()  # follows the link
    lock.release()


@pytest.mark.parametrize("end", [b'{"op_code":4,"cut', b"\0" * 100])
def test_what_a_full_disk_or_a_loss_of_power_cut_off_is_left_out(tmp_path, end):
    sweep(tmp_path)
    journal = tmp_path / "study.journal"
    with journal.open("ab") as file:
        file.write(end)
    found = sweep(tmp_path)
    found._study.ask()
    assert end not in journal.read_bytes()
    assert len(sweep(tmp_path).trials()) == 1


@pytest.mark.parametrize("content", [b"{}\n", b"nothing\nof this\n", b"\xff\xfe\0\n{}\n", b'{"op_code":4}\n'])
def test_a_damaged_study_is_refused(tmp_path, content):
    (tmp_path / "study.journal").write_bytes(content)
    with pytest.raises(InputError, match=r"study\.journal: the study is damaged; choose another --output"):
        sweep(tmp_path)


def test_a_study_that_cannot_be_read_or_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "folder" / "study.journal").mkdir(parents=True)
    with pytest.raises(InputError, match=r"study\.journal: cannot be read"):
        sweep(tmp_path / "folder")
    found = sweep(tmp_path / "full")
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(InputError, match=r"study\.journal: cannot be written \(No space left"):
        found._study.ask()


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_the_sweep_and_no_trial(tmp_path, monkeypatch):
    found = sweep(tmp_path / "parts")
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", full_disk)
        with pytest.raises(InputError, match=r"trial-0000.*cannot be written \(No space left"):
            found.run(2, data)
    assert [trial.is_done for trial in found.trials()] == [False]
    with pytest.warns(PumiceWarning, match="an earlier run"):  # without a checkpoint, it begins anew
        found.run(2, data)
    whole = sweep(tmp_path / "whole")
    whole.run(2, data)
    assert settings(found) == settings(whole)


def test_data_that_no_settings_bring_ends_the_sweep(tmp_path):
    recipe = RECIPE.overridden(["data.dataset=mnist"])
    found = sweep(tmp_path, SPACE, recipe)
    with pytest.raises(InputError, match="--data-root"):
        found.run(2, data)
    assert [trial.is_done for trial in found.trials()] == [False]


def test_data_that_a_trials_own_settings_ask_for_does_not(tmp_path):
    found = sweep(tmp_path, ["data.dataset=digits,mnist"], sampler="grid")
    found.run(2, data)
    assert [bool(trial.why) for trial in found.trials()] == [False, True]
