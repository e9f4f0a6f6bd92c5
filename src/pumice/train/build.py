"""From a recipe to the objects that it names."""

from __future__ import annotations

import numpy as np
import torch

from pumice import nn
from pumice.data import AbstractEncoder, ImageDataset, make_encoder
from pumice.models import build_model
from pumice.train.evaluate import to_tensor
from pumice.train.recipe import Recipe

EXAMPLE_SIZE = 4


def prepare_data(recipe: Recipe, dataset: ImageDataset) -> ImageDataset:
    """The dataset as the recipe wants it: limited, requantised."""
    data = recipe.data
    return dataset.limited(data.max_train, data.max_test).with_levels(data.grey_levels)


def build_encoder(recipe: Recipe, dataset: ImageDataset) -> AbstractEncoder:
    """The recipe's encoder for a prepared dataset."""
    return make_encoder(recipe.data.encoding, recipe.data.steps, dataset.value_range)


def build_network(recipe: Recipe, dataset: ImageDataset) -> torch.nn.Module:
    """The recipe's network with the weights that its seed gives."""
    params = recipe.neuron.model_dump(exclude={"norm"})
    if recipe.neuron.norm == "tdbn":
        params["norm"] = nn.TDBN
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return build_model(
            recipe.network.name, params, dataset.image_shape, len(dataset.class_names), **recipe.network.args
        )


def example_input(recipe: Recipe, dataset: ImageDataset) -> torch.Tensor:
    """A few encoded training samples, shape (n, channel, height, width, time)."""
    rng = np.random.default_rng(recipe.seed)
    return to_tensor(build_encoder(recipe, dataset).encode(dataset.train.images[:EXAMPLE_SIZE], rng))


def deploy(model: torch.nn.Module, recipe: Recipe, dataset: ImageDataset) -> torch.nn.Module:
    """`nn.deploy` for the range of values that the recipe's encoding can give."""
    input_range = build_encoder(recipe, dataset).value_range
    return nn.deploy(model, example_input(recipe, dataset), input_range=input_range)
