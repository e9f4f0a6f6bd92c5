"""The Spiking Token Mixer through the command line, taught by surrogate modules and not."""

import json
from dataclasses import replace
from itertools import count

import pytest
import torch

import pumice
from pumice.train import load_checkpoint, restore

RECIPE = {
    "name": "mixer",
    "data": {"max_train": 64, "max_test": 20, "steps": 2, "validation": 0.2},
    "neuron": {
        "threshold": 1.0,
        "voltage_decay": 0.5,
        "surrogate": "dspike",
        "surrogate_args": {"temperature": 2.0},
    },
    "network": {
        "name": "stmixer",
        "args": {"embed_dim": 16, "depth": 2, "heads": 2, "expansion": 2, "surrogates": True},
    },
    "training": {
        "epochs": 2,
        "finetune_epochs": 1,
        "batch_size": 16,
        "loss": "surrogate_module",
        "loss_args": {"weight": 0.9, "last_weight": 0.5},
    },
}


@pytest.fixture
def trained(command, tmp_path):
    """Function: train, lower, verify with these settings; the checkpoint and the graph."""
    (tmp_path / "mixer.json").write_text(json.dumps(RECIPE))
    numbers = count()

    def run(*settings):
        name = f"run{next(numbers)}"
        line = f"train mixer.json -o {name}.pt" + "".join(f" --set {setting}" for setting in settings)
        for step in (line, f"lower {name}.pt -o {name}.net", f"verify {name}.net --backend fast --backend reference"):
            code, _, err = command(step)
            assert code == 0, err
        return load_checkpoint(tmp_path / f"{name}.pt"), pumice.load(tmp_path / f"{name}.net")

    return run


def test_with_and_without_surrogate_modules(trained):
    """Shared weights begin alike, so only the surrogate modules' part of the loss makes them differ."""
    taught, graph = trained()
    alone, other = trained("network.args.surrogates=false")
    assert graph.info["readout"].startswith("the class with the largest sum of output values")
    assert [p.name for p in graph.populations] == [p.name for p in other.populations]
    surrogates = {name for name in taught.model_state if name.startswith("surrogates.")}
    assert surrogates
    assert taught.model_state.keys() - surrogates == alone.model_state.keys()
    assert taught.history[0].loss != alone.history[0].loss
    first = "embed.convs.0.weight"
    assert not torch.equal(taught.model_state[first], alone.model_state[first])


@pytest.mark.parametrize("finetune_epochs", [0, 1])
def test_inference_is_that_of_the_network_without_them(trained, finetune_epochs):
    taught, _ = trained(f"training.finetune_epochs={finetune_epochs}")
    bare = replace(
        taught,
        recipe=taught.recipe.overridden(["network.args.surrogates=false"]),
        model_state={k: v for k, v in taught.model_state.items() if not k.startswith("surrogates.")},
    )
    whole, without = restore(taught), restore(bare)
    x = whole.example
    assert torch.equal(whole.model.eval()(x), without.model.eval()(x))


def test_the_schedule_of_the_weight_counts(trained):
    falling, _ = trained("training.finetune_epochs=0")
    constant, _ = trained("training.finetune_epochs=0", "training.loss_args.last_weight=0.9")
    assert falling.history[0].loss != constant.history[0].loss
