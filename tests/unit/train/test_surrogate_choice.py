"""The surrogate that a recipe names reaches every neuron."""

import json
import sys

import pytest

from pumice.errors import InputError
from pumice.nn import CubaNeuron
from pumice.nn.surrogate import SURROGATES, Arctan, Dspike, Exponential, Rectangular, Surrogate
from pumice.train import Recipe, load_recipe
from pumice.train.build import build_network
from pumice.train.recipe import NeuronSection


def surrogates_of(recipe, digits):
    model = build_network(recipe, digits)
    return {neuron.surrogate for neuron in model.modules() if isinstance(neuron, CubaNeuron)}


@pytest.mark.parametrize("name", SURROGATES)
def test_every_one_has_its_name(name, digits):
    assert surrogates_of(Recipe(neuron={"surrogate": name}), digits) == {SURROGATES[name]()}


def test_arguments_from_toml_and_from_the_command_line(tmp_path, digits):
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    path = tmp_path / "a.toml"
    path.write_text('[neuron]\nsurrogate = "rectangular"\nsurrogate_args = {width = 0.5}\n')
    recipe = load_recipe(path)
    assert surrogates_of(recipe, digits) == {Rectangular(0.5)}
    changed = recipe.overridden(["neuron.surrogate=arctan", 'neuron.surrogate_args={"slope": 3}'])
    assert surrogates_of(changed, digits) == {Arctan(3.0)}


def test_none_is_slayers_or_the_networks_own(digits):
    kinds = {type(surrogate) for surrogate in surrogates_of(Recipe(), digits)}
    assert kinds == {Exponential}
    resnet = {"name": "resnet", "args": {"layers": 18, "width": 1 / 16}}
    assert surrogates_of(Recipe(network=resnet), digits) == {Rectangular()}
    assert surrogates_of(Recipe(network=resnet, neuron={"surrogate": "dspike"}), digits) == {Dspike()}


def test_the_names_of_recipes_are_those_of_the_surrogates():
    assert all(NeuronSection(surrogate=name).surrogate == name for name in SURROGATES)
    assert all(issubclass(kind, Surrogate) for kind in SURROGATES.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["neuron.surrogate=relu"], r"neuron\.surrogate: unknown surrogate 'relu'; there are: arctan, dspike"),
        (
            ["neuron.surrogate=dspike", "neuron.surrogate_args.width=1"],
            r"neuron\.surrogate 'dspike' takes no argument width; its arguments are: temperature",
        ),
        (["neuron.surrogate=dspike", "neuron.surrogate_args.temperature=0"], "greater than 0"),
        (["neuron.surrogate_args.width=1"], "none is chosen"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message, digits):
    with pytest.raises(InputError, match=message):
        build_network(Recipe().overridden(settings), digits)


def test_a_recipe_without_a_surrogate_is_recorded_as_before():
    assert "surrogate" not in Recipe().record()["neuron"]
    assert "optimizer" not in Recipe().record()["training"]
    record = Recipe(neuron={"surrogate": "dspike", "surrogate_args": {"temperature": 3}}).record()
    assert json.loads(json.dumps(record))["neuron"]["surrogate_args"] == {"temperature": 3.0}
