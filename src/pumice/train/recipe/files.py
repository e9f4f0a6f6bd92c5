"""Recipes from files."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from pumice.errors import InputError, MissingExtraError
from pumice.train.recipe.schema import Recipe, make_recipe


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a .toml or .json file.

    Raises:
        InputError: The file is missing, is neither TOML nor JSON, or says something that no recipe says.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"{file}: cannot be read ({reason})") from error
    if file.suffix == ".json":
        parse = json.loads
    elif file.suffix == ".toml":
        parse = _toml_parser()
    else:
        raise InputError(f"{file}: a recipe is a .toml or .json file")
    try:
        values = parse(text)
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error
    return make_recipe(values, str(file))


def _toml_parser() -> Any:
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        return import_module(name).loads
    except ModuleNotFoundError as error:
        raise MissingExtraError(name, "train", "reading a TOML recipe on Python 3.10 (JSON works without)") from error
