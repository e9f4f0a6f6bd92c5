"""Whether a file may name code that is to run: a checkpoint or network of somebody else's must not choose it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pumice import names
from pumice.data.recipe.schema import DataRecipe
from pumice.data.recipe.section import Name
from pumice.errors import InputError


def check_own_code(recipe: DataRecipe, where: str, trust: Collection[str] = ()) -> None:
    """Refuse a recipe from a file that names objects outside the current folder, unless their modules are trusted.

    What lies in the current folder is the user's own project. The object must be made there, not only imported there.
    Torch's own optimisers are trusted.

    Args:
        recipe: As a file holds it.
        where: The file, for messages.
        trust: Modules, with all that are below them, that the user vouches for.

    Raises:
        InputError: A name that is neither; nothing of it was imported.

    Example:
        >>> check_own_code(DataRecipe(data={"dataset": "subprocess:run"}), "other.pt")
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: other.pt names code that is not in the current folder: data.dataset = \
'subprocess:run'; if you know what it does, trust it: --trust subprocess (trust=["subprocess"] in Python)
    """
    for key, name in own_names(recipe):
        module = name.partition(":")[0]
        if any(f"{module}.".startswith(f"{trusted}.") for trusted in trust):
            continue
        if module == "torch.optim" and _is_optimizer(names.find(name, {}, key)):
            continue
        if not _lies_here(module.partition(".")[0]) or not _is_made_there(names.find(name, {}, key), module):
            raise InputError(
                f"{where} names code that is not in the current folder: {key} = {name!r}; if you know what it does, "
                f'trust it: --trust {module} (trust=["{module}"] in Python)'
            )


def own_names(recipe: DataRecipe) -> Iterator[tuple[str, str]]:
    """Keys whose values are "package.module:object", with these.

    Example:
        >>> list(own_names(DataRecipe(data={"dataset": "mine:load"})))
        [('data.dataset', 'mine:load')]
    """
    for section, inner in recipe:
        for key, field in type(inner).model_fields.items() if isinstance(inner, BaseModel) else ():
            if any(isinstance(mark, Name) for mark in field.metadata):
                value = getattr(inner, key)
                found = [value or ""] if value is None or isinstance(value, str) else list(value)
                yield from ((f"{section}.{key}", name) for name in found if names.is_own(name))


def _is_optimizer(found: Any) -> bool:
    import torch  # loaded already: `found` is of it

    return names.is_class(found, torch.optim.Optimizer)


def _lies_here(package: str) -> bool:
    here = Path.cwd()
    if package in sys.modules:
        origin: Any = getattr(sys.modules[package], "__file__", None)
    else:
        names.look_in_current_folder()
        spec = find_spec(package)
        origin = None if spec is None else spec.origin or next(iter(spec.submodule_search_locations or ()), None)
    if origin is None:
        return False
    path = Path(origin).resolve()
    return path.is_relative_to(here.resolve()) and "site-packages" not in path.parts


def _is_made_there(found: Any, module: str) -> bool:
    return bool(getattr(found, "__module__", "").partition(".")[0] == module.partition(".")[0])
