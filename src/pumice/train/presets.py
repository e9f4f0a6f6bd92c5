"""Recipes that come with the package."""

from __future__ import annotations

from pumice.train.recipe import DataSection, Recipe, load_recipe

PRESETS: dict[str, Recipe] = {
    # Noise about as large as a tenth of the range makes up for the few samples; chosen, like all of the recipe's
    # numbers, on a part of the training split held back for it (three seeds), not on the test split.
    "digits": Recipe(name="digits", data=DataSection(noise=1.5)),
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
