"""Recipes that come with the package, one file each."""

from __future__ import annotations

from pathlib import Path

from pumice import names
from pumice.errors import InputError
from pumice.train.recipe.files import load_recipe
from pumice.train.recipe.schema import Recipe

PRESETS: dict[str, Recipe] = {path.stem: load_recipe(path) for path in sorted(Path(__file__).parent.glob("*.toml"))}
"""By name. "digits" is what `pumice demo` trains; those that do not begin with "digits" need a data root."""


def find_recipe(name_or_path: str) -> Recipe:
    """The preset of this name, or else the recipe in this file.

    Raises:
        InputError: There is neither, or the file is no recipe.

    Example:
        >>> find_recipe("digits").data.dataset
        'digits'
    """
    if name_or_path in PRESETS:
        return PRESETS[name_or_path]
    if not Path(name_or_path).exists():
        raise InputError(
            names.unknown(name_or_path, PRESETS, "preset or file") + "; `pumice new` writes a recipe of your own"
        )
    return load_recipe(name_or_path)
