import warnings

import pytest

from pumice.errors import PumiceWarning
from pumice.train import EpochRecord, load_checkpoint, train
from pumice.train.stuck import stuck_layers, warn_of_stuck_layers


def record(epoch=1, phase="float", **rates):
    return EpochRecord(phase, epoch, 1.0, 0.1, 0.1, rates)


def test_rarely_and_often_are_not_never_and_always():
    assert stuck_layers({"a": 1e-7, "b": 0.99}) == {"never fire": [], "always fire": []}
    assert stuck_layers({"a": 0.0, "b": 1.0, "c": 0.9995}) == {"never fire": ["a"], "always fire": ["b", "c"]}


def test_the_first_epoch_names_layers_rates_and_a_remedy():
    with pytest.warns(
        PumiceWarning, match="float epoch 1: layers 'b', 'c' never fire .rate 0.; 'd' always fire"
    ) as seen:
        warn_of_stuck_layers([record(a=0.1, b=0.0, c=0.0, d=1.0)])
    assert "training.initial_rate" in str(seen[0].message)


def test_what_was_said_is_not_repeated_and_what_is_new_is_said():
    history = [record(a=0.1, b=0.0), record(2, a=0.1, b=0.0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_stuck_layers(history)
        warn_of_stuck_layers([record(a=0.5)])
    with pytest.warns(PumiceWarning, match="finetune epoch 1: layers 'a' never fire"):
        warn_of_stuck_layers([*history, record(phase="finetune", a=0.0, b=0.0)])


def test_training_says_so_once_also_if_it_is_resumed(tiny_recipe, digits, tmp_path):
    recipe = tiny_recipe.overridden(["neuron.threshold=1000", "neuron.norm=none", "training.finetune_epochs=0"])
    path = tmp_path / "c.pt"

    class StopError(Exception):
        pass

    def stop(_):
        raise StopError

    with pytest.warns(PumiceWarning) as seen:
        train(recipe, digits)
    assert [str(w.message).partition(":")[0] for w in seen] == ["float epoch 1"]
    assert "'conv1', 'output' never fire" in str(seen[0].message)
    with pytest.warns(PumiceWarning, match="float epoch 1"), pytest.raises(StopError):
        train(recipe, digits, checkpoint_path=path, on_epoch=stop)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(recipe, digits, resume_from=load_checkpoint(path))
