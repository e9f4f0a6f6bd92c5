"""Recipes from files."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from pumice.errors import InputError, MissingExtraError
from pumice.files.paths import possible_path
from pumice.files.reading import file_size, reading, shown
from pumice.train.recipe.schema import Recipe, make_recipe

MAX_BYTES = 1 << 20


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a .toml or .json file.

    Raises:
        InputError: The file is missing, is neither TOML nor JSON, or says something that no recipe says.
    """
    file = possible_path(path)
    if file.suffix not in (".json", ".toml"):
        raise InputError(f"{shown(file)}: a recipe is a .toml or .json file")
    parse = json.loads if file.suffix == ".json" else _toml_parser()
    with reading(file, f"a recipe in {file.suffix[1:].upper()}", InputError):
        if (size := file_size(file)) > MAX_BYTES:
            raise InputError(f"{file}: has {size:,} bytes, a recipe has at most {MAX_BYTES:,}")
        values = parse(file.read_text(encoding="utf-8"))
    return make_recipe(values, str(file))


def _toml_parser() -> Any:
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        return import_module(name).loads
    except ModuleNotFoundError as error:
        raise MissingExtraError(name, "train", "reading a TOML recipe on Python 3.10 (JSON works without)") from error
