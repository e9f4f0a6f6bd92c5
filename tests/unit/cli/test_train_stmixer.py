"""The Spiking Token Mixer through the command line, taught by surrogate modules and not."""

import json
from dataclasses import replace
from functools import cache

import pytest
import torch

import pumice
from pumice.cli import main
from pumice.train import load_checkpoint, restore

RECIPE = {
    "name": "mixer",
    "data": {"max_train": 60, "max_test": 10, "steps": 2, "validation": 0.2},
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Function: train with these settings, each once; the checkpoint's path."""
    folder = tmp_path_factory.mktemp("mixer")
    (folder / "mixer.json").write_text(json.dumps(RECIPE))

    @cache
    def run(*settings):
        path = folder / f"{' '.join(settings) or 'plain'}.pt".replace("=", "-").replace(" ", "-")
        changes = [word for setting in settings for word in ("--set", setting)]
        assert main(["train", f"{folder}/mixer.json", "-o", str(path), *changes]) == 0
        return path

    return run


def lowered(path):
    """The graph of a checkpoint, after two backends found it to be what was trained."""
    net = path.with_suffix(".net")
    assert main(["lower", str(path), "-o", str(net)]) == 0
    assert main(["verify", str(net), "--backend", "fast", "--backend", "reference"]) == 0
    return pumice.load(net)


def test_with_and_without_surrogate_modules(trained):
    """Shared weights begin alike, so only the surrogate modules' part of the loss makes them differ."""
    paths = trained(), trained("network.args.surrogates=false")
    graph, other = map(lowered, paths)
    taught, alone = map(load_checkpoint, paths)
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
    taught = load_checkpoint(trained(*([] if finetune_epochs else ["training.finetune_epochs=0"])))
    bare = replace(
        taught,
        recipe=taught.recipe.overridden(["network.args.surrogates=false"]),
        model_state={k: v for k, v in taught.model_state.items() if not k.startswith("surrogates.")},
    )
    whole, without = restore(taught), restore(bare)
    x = whole.example
    assert torch.equal(whole.model.eval()(x), without.model.eval()(x))


def test_the_schedule_of_the_weight_counts(trained):
    falling = load_checkpoint(trained("training.finetune_epochs=0"))
    constant = load_checkpoint(trained("training.finetune_epochs=0", "training.loss_args.last_weight=0.9"))
    assert falling.history[0].loss != constant.history[0].loss
