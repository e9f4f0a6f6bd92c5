"""Recipes: what is trained on what, and how."""

from pumice.data.recipe import DataSection
from pumice.train.recipe.files import load_recipe
from pumice.train.recipe.presets import PRESETS, find_recipe
from pumice.train.recipe.schema import Recipe, make_recipe
from pumice.train.recipe.sections import (
    ComputeSection,
    EarlyStoppingSection,
    LoggingSection,
    NetworkSection,
    NeuronSection,
    TrainingSection,
)

__all__ = [
    "PRESETS",
    "ComputeSection",
    "DataSection",
    "EarlyStoppingSection",
    "LoggingSection",
    "NetworkSection",
    "NeuronSection",
    "Recipe",
    "TrainingSection",
    "find_recipe",
    "load_recipe",
    "make_recipe",
]
