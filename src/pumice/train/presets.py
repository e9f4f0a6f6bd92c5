"""Recipes that come with the package."""

from __future__ import annotations

from pumice.train.recipe import Recipe, load_recipe

PRESETS: dict[str, Recipe] = {
    "digits": Recipe(),
}
"""By name. "digits" is what `pumice demo` trains."""


def find_recipe(name_or_path: str) -> Recipe:
    """The preset of this name, or else the recipe in this file.

    Raises:
        InputError: There is neither, or the file is no recipe.

    Example:
        >>> find_recipe("digits").data.dataset
        'digits'
    """
    preset = PRESETS.get(name_or_path)
    return load_recipe(name_or_path) if preset is None else preset
