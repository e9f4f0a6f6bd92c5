"""From plain values, as a file or a command has them, to the sections of a recipe."""

from __future__ import annotations

import difflib
import json
import warnings
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from pumice.errors import InputError, PumiceWarning
from pumice.files.plain import plain_problem
from pumice.names import is_class

Kind = TypeVar("Kind", bound=BaseModel)

RENAMED = {"data": {"grey_levels": "gray_levels"}, "training": {"regularisers": "regularizers"}}
"""Keys of 0.1, by section, and what they are called now."""
READ_UNTIL = "the old names are read until 0.3"


def checked(kind: type[Kind], values: Any, where: str, notice: str = READ_UNTIL) -> Kind:
    """A recipe, or part of one, of a nested dictionary.

    Args:
        kind: What to make.
        values: As read from a file; missing keys take their defaults.
        where: Where it comes from, for messages.
        notice: What to say where keys have names of 0.1, behind these.

    Raises:
        InputError: One message with every unknown key and unusable value, or a key is there by both of its names.
    """
    if (problem := plain_problem(values, finite=True)) is not None:
        raise InputError(f"{where}: {problem}")
    try:
        values, renamed = with_new_names(values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if renamed:
        warn_of_old_names(where, renamed, notice)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = [_problem(kind, details) for details in error.errors()]
        raise InputError(f"{where}: " + "; ".join(lines)) from error


def warn_of_old_names(where: str, renamed: dict[str, str], notice: str) -> None:
    """Say which keys have other names now."""
    listed = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
    warnings.warn(f"{where}: {listed}; {notice}", PumiceWarning, stacklevel=4)


def with_new_names(values: Any) -> tuple[Any, dict[str, str]]:
    """The same with keys of 0.1 under their new names, and those that there were: old name -> new name.

    Raises:
        InputError: A key is there by both of its names.
    """
    if not isinstance(values, dict):
        return values, {}
    found = {}
    renamed = dict(values)
    for section, keys in RENAMED.items():
        inner = values.get(section)
        if isinstance(inner, dict):
            renamed[section] = {keys.get(key, key): value for key, value in inner.items()}
            old = {key: new for key, new in keys.items() if key in inner}
            for key, new in old.items():
                if new in inner:
                    raise InputError(
                        f"{section}.{key} and {section}.{new} are one key by its old and its new name; leave out "
                        f"{section}.{key}"
                    )
            found.update({f"{section}.{key}": f"{section}.{new}" for key, new in old.items()})
    return renamed, found


def put(values: dict[str, Any], keys: list[str], value: Any, setting: str, whole: str) -> None:
    """Put a value where `keys` lead to, one section after the other; messages call the outermost `whole`."""
    inner = values
    for depth, key in enumerate(keys[:-1]):
        is_free = depth > 1  # names within `args`, `augment` and their like
        if inner.get(key) is None and (key in inner or is_free):
            inner[key] = {}
        if not isinstance(inner.get(key), dict):
            place = ".".join(keys[:depth]) or whole
            sections = ", ".join(name for name, entry in inner.items() if isinstance(entry, dict))
            raise InputError(f"--set {setting}: {place} has no section {key!r}; it has: {sections or 'none'}")
        inner = inner[key]
    inner[keys[-1]] = value


def value_of(text: str) -> Any:
    """JSON, or else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def _problem(kind: type[BaseModel], details: Any) -> str:
    key = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"{key}: there is no such key ({_allowed(kind, details['loc'])})"
    if details["type"] == "value_error":
        return f"{key}: {details['ctx']['error']}" if key else str(details["ctx"]["error"])
    return f"{key or 'recipe'}: {details['msg']} (got {details['input']!r})"


def _allowed(kind: type[BaseModel], unknown: tuple[Any, ...]) -> str:
    """What may have been meant by an unknown key: the same in another section, or a like one in its own."""
    keys = _keys(kind)
    section = ".".join(map(str, unknown[:-1]))
    own = [key for key in keys if key.rpartition(".")[0] == section]
    names = [key.rpartition(".")[2] for key in own]
    meant = [key for key in keys if key.rpartition(".")[2] == unknown[-1]]
    if not meant:
        near = difflib.get_close_matches(str(unknown[-1]), names, n=1)
        meant = [key for key in own if key.rpartition(".")[2] in near]
    return f"did you mean {' or '.join(meant)}?" if meant else f"there are: {', '.join(names)}"


def _keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    """All keys of a section and of the sections in it, with dots between."""
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        for kind in (field.annotation, *get_args(field.annotation)):
            if is_class(kind, BaseModel):
                keys += _keys(kind, f"{prefix}{name}.")
    return keys
