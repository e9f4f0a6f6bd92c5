import json
import sys
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel, ValidationError

import pumice
from pumice.data import load_digits
from pumice.data.recipe.own_code import own_names
from pumice.errors import InputError, MissingExtraError, PumiceWarning
from pumice.train import PRESETS, Recipe, load_checkpoint, load_recipe, train
from pumice.train.recipe import make_recipe
from pumice.train.recipe.presets import find_recipe


@pytest.fixture
def repository():
    return Path(__file__).parents[3]


TOML = """
name = "my-run"
seed = 7
[data]
encoding = "rate"
[network.args]
channels = [4, 8]
[training]
lr = 0.02
"""


def test_toml_and_json_say_the_same(tmp_path):
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    (tmp_path / "a.toml").write_text(TOML)
    recipe = load_recipe(tmp_path / "a.toml")
    (tmp_path / "a.json").write_text(recipe.model_dump_json())
    assert load_recipe(tmp_path / "a.json") == recipe
    assert recipe.network.args == {"channels": [4, 8]}
    assert (recipe.data.encoding, recipe.data.steps, recipe.training.lr) == ("rate", 8, 0.02)


def test_without_a_toml_parser(tmp_path, monkeypatch):
    (tmp_path / "a.toml").write_text(TOML)
    monkeypatch.setitem(sys.modules, "tomllib" if sys.version_info >= (3, 11) else "tomli", None)
    with pytest.raises(MissingExtraError, match="JSON works without"):
        load_recipe(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainig": {}}, r"trainig: there is no such key \(did you mean training\?\)"),
        ({"netwrk": {}}, r"netwrk: there is no such key \(did you mean network\?\)"),
        ({"epochs": 3}, r"epochs: there is no such key \(did you mean training.epochs\?\)"),
        ({"args": {}}, r"did you mean data.args or network.args\?"),
        ({"training": {"epoch": 3}}, r"training.epoch: there is no such key \(did you mean training.epochs\?\)"),
        ({"data": {"step": 3}}, r"data.step: there is no such key \(did you mean data.steps\?\)"),
        ({"logging": {"wandb": True}}, r"logging.wandb: there is no such key \(there are: csv, tensorboard\)"),
        (
            {"training": {"early_stopping": {"x": 1}}},
            r"training.early_stopping.x: .* \(there are: monitor, patience, min_delta\)",
        ),
        ({"training": {"epochs": "many"}}, "training.epochs"),
        ({"training": {"lr": -1}}, r"training.lr: .*greater than 0 \(got -1\)"),
        ({"data": {"encoding": "latency"}}, "unknown encoding 'latency'; there are: direct, rate, time, count"),
        ({"name": "../elsewhere"}, "name"),
        ([], "recipe"),
    ],
)
def test_what_no_recipe_says(values, message):
    with pytest.raises(InputError, match=message):
        make_recipe(values, "here")


def test_all_problems_come_at_once():
    with pytest.raises(InputError, match=r"seed: .*; colour: there is no such key"):
        make_recipe({"seed": -1, "colour": 1}, "here")


@pytest.mark.parametrize(("name", "text"), [("a.json", "{"), ("a.toml", "= 3"), ("a.yaml", "seed: 1")])
def test_files_that_cannot_be_read(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=name):
        load_recipe(tmp_path / name)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_recipe(tmp_path / "a.json")
    (tmp_path / "b.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="utf-8"):
        load_recipe(tmp_path / "b.json")


HOSTILE = {
    "deep.toml": "a = " + "[" * 5000 + "]" * 5000,
    "deep.json": "[" * 100_000,
    "nested.json": '{"network": {"args": {"a": ' + "[" * 40 + "]" * 40 + "}}}",
    "infinite.json": '{"training": {"lr": Infinity}}',
    "argument.json": '{"network": {"args": {"a": [NaN]}}}',
    "threads.json": '{"training": {"threads": 100000}}',
    "workers.json": '{"data": {"workers": 100000}}',
    "steps.json": '{"data": {"steps": 1000000000000}}',
    "long.json": " " * (1 << 20) + "{}",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_files_that_mean_harm(tmp_path, name):
    (tmp_path / name).write_text(HOSTILE[name])
    with pytest.raises(InputError, match=name):
        load_recipe(tmp_path / name)


@pytest.mark.parametrize("setting", ["training.lr=Infinity", "neuron.threshold=NaN", "training.loss_args.a=[1e999]"])
def test_settings_that_are_no_numbers(setting):
    with pytest.raises(InputError, match="no finite number"):
        Recipe().overridden([setting])


def test_every_value_can_be_overridden():
    changes = {"seed": 3, "name": "x", "data.noise": 1.5, "neuron.norm": "none", "network.args.channels": [2]}
    recipe = Recipe().overridden([f"{key}={json.dumps(value)}" for key, value in changes.items()])
    assert (recipe.seed, recipe.name, recipe.data.noise, recipe.neuron.norm) == (3, "x", 1.5, "none")
    assert recipe.network.args == {"channels": [2]}
    assert Recipe().overridden(["data.gray_levels=null"]) == Recipe()


def test_sections_that_are_not_there_yet_are_made():
    settings = ["RandomCrop.size=8", "RandomCrop.padding=1", "RandomHorizontalFlip={}"]
    recipe = Recipe().overridden([f"data.augment.{setting}" for setting in settings])
    assert recipe.data.augment == {"RandomCrop": {"size": 8, "padding": 1}, "RandomHorizontalFlip": {}}
    assert Recipe().overridden(["training.early_stopping.patience=2"]).training.early_stopping.patience == 2
    with pytest.raises(InputError, match=r"data\.augment\.RandomCrop has no section 'size'; it has: none"):
        recipe.overridden(["data.augment.RandomCrop.size.x=8"])
    assert Recipe().data.augment == {}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epochs", "expected key=value"),
        ("=3", "expected key=value"),
        ("trainng.epochs=3", "the recipe has no section 'trainng'; it has: data, neuron, network, training"),
        ("seed.x=3", "no section 'seed'"),
        ("data.augmnt.RandomCrop.size=8", "data has no section 'augmnt'; it has: args, encoding_args, augment$"),
        ("compute.gpu.memory=8", "compute has no section 'gpu'; it has: none"),
        ("data.window.x=8", r"data\.window: Input should be a valid number"),
        ("training.epoch=3", "no such key"),
        ("training.epochs=three", "training.epochs"),
        ("training.epochs=true", r"training\.epochs: Input should not be true or false"),
        ("training.ema=true", r"training\.ema: Input should not be true or false"),
        ("seed=false", "seed: Input should not be true or false"),
    ],
)
def test_settings_that_do_not_fit(setting, message):
    with pytest.raises(InputError, match=message):
        Recipe().overridden([setting])


def test_recipes_do_not_change():
    with pytest.raises(ValidationError):
        Recipe().seed = 3


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_named_after_their_file(name):
    assert PRESETS[name].name == name
    assert make_recipe(json.loads(PRESETS[name].model_dump_json()), name) == PRESETS[name]


def test_the_record_of_an_old_recipe_is_what_it_was(repository):
    graph = pumice.load(repository / "netx_exports" / "digits" / "network.net")
    assert json.dumps(PRESETS["digits"].record()) == graph.info["recipe"]


def test_the_record_keeps_the_order_of_changes():
    """A recording is erased in part and then shifted, or the other way round."""
    changes = {"RandomHorizontalFlip": {"p": 0.1}, "RandomErasing": {"value": 3, "p": 0.5}, "RandomCrop": {"size": 8}}
    recipe = Recipe(data={"augment": changes}, network={"args": {"b": 1, "a": {"d": 1, "c": 2}}})
    text = json.dumps(recipe.record())
    read = Recipe.from_record(json.loads(text))
    assert [*read.data.augment] == [*changes]
    assert '"args": {"a": {"c": 2, "d": 1}, "b": 1}' in text
    assert '"RandomErasing": {"p": 0.5, "value": 3}' in text


def test_the_record_names_what_is_used_but_no_folder():
    recipe = Recipe(data={"folds": 5, "cache": "somewhere", "workers": 2}, compute={"precision": "bf16-mixed"})
    record = recipe.record()
    assert record["data"]["folds"] == 5
    assert record["compute"] == {"precision": "bf16-mixed"}
    assert not {"cache", "workers", "fold", "augment"} & record["data"].keys()
    assert Recipe.from_record(record) == recipe.overridden(["data.cache=null", "data.workers=0"])


def test_presets_come_before_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_recipe("digits") is PRESETS["digits"]
    (tmp_path / "other").write_text("")
    with pytest.raises(InputError, match=r"a \.toml or \.json file"):
        find_recipe("other")
    with pytest.raises(
        InputError, match=r"unknown preset or file 'dgits'; did you mean 'digits'\? There are: cifar10"
    ):
        find_recipe("dgits")


def test_keys_of_the_first_release_are_read_with_a_notice(tmp_path):
    old = tmp_path / "old.toml"
    old.write_text("[data]\ngrey_levels = 4\n[training.regularisers.activity]\nweight = 0.1\n")
    with pytest.warns(PumiceWarning, match="data.grey_levels is now data.gray_levels, training.regularisers is now"):
        recipe = load_recipe(old)
    assert recipe.data.gray_levels == 4
    assert recipe.training.regularizers == {"activity": {"weight": 0.1}}
    with pytest.warns(PumiceWarning, match="--set: data.grey_levels is now"):
        assert recipe.overridden(["data.grey_levels=8"]).data.gray_levels == 8
    assert recipe.record()["data"]["grey_levels"] == 4  # files say it as they always did
    assert Recipe.from_record(recipe.record()) == recipe


def test_a_key_by_both_of_its_names_is_refused(tmp_path):
    both = tmp_path / "both.toml"
    both.write_text("[data]\ngray_levels = 8\ngrey_levels = 4\n")
    message = "data.grey_levels and data.gray_levels are one key by its old and its new name; leave out data.grey_lev"
    with pytest.raises(InputError, match=rf"both\.toml: {message}"):
        load_recipe(both)
    with pytest.raises(ValueError, match=message):
        Recipe.from_record({"data": {"gray_levels": 8, "grey_levels": 4}})
    with pytest.raises(InputError, match=r"training.regularisers and training.regularizers are one key"):
        make_recipe({"training": {"regularizers": {}, "regularisers": {}}}, "here")


def test_an_old_checkpoint_says_that_it_is_one(tmp_path):
    path = tmp_path / "a.pt"
    trained = train(Recipe(data={"max_train": 8, "max_test": 4}, training={"epochs": 1, "finetune_epochs": 0}),
                    load_digits(), checkpoint_path=path)  # fmt: skip
    values = torch.load(path)
    values["recipe"]["data"]["grey_levels"] = values["recipe"]["data"].pop("gray_levels")
    torch.save(values, path)
    with pytest.warns(PumiceWarning, match="this checkpoint was written by pumice 0.1; it is read until 0.3") as said:
        assert load_checkpoint(path).recipe == trained.recipe
    assert len(said) == 1


@pytest.mark.parametrize(
    "setting", ["training.keep_best=validation_loss", 'training.early_stopping={"monitor": "validation_accuracy"}']
)
def test_what_is_monitored_must_be_there(setting):
    with pytest.raises(InputError, match=r"needs a part to validate on: set data\.validation"):
        Recipe().overridden([setting])
    Recipe().overridden([setting, "data.validation=0.1"])


def test_every_name_of_the_users_own_is_among_those_that_a_file_may_not_choose():
    """A recipe that names own code wherever it can: `own_names` tells of all of it."""
    own = {
        "data": {"dataset": "m:a", "encoding": "m:b"},
        "neuron": {"surrogate": "m:c", "gradient": "m:d"},
        "network": {"name": "m:e"},
        "training": {"loss": "m:f", "optimizer": "m:g", "schedule": "m:h", "regularizers": {"m:i": {}}},
    }
    found = [name for _, name in own_names(Recipe.model_validate(own))]
    assert sorted(found) == [f"m:{letter}" for letter in "abcdefghi"]
    accepting = 0
    for section, values in Recipe():
        for key, value in values if isinstance(values, BaseModel) else ():
            for offered in ("m:a", {"m:a": {}}):
                try:
                    recipe = Recipe.model_validate({section: {key: offered}})
                except ValueError:
                    continue
                accepting += bool([*own_names(recipe)])
                free = {"data.args", "data.encoding_args", "data.augment", "data.cache", "network.args",
                        "network.weights", "neuron.gradient_args", "training.optimizer_args", "training.loss_args",
                        "training.schedule_args"}  # fmt: skip
                assert [*own_names(recipe)] or f"{section}.{key}" in free, (section, key, value)
    assert accepting == 9
