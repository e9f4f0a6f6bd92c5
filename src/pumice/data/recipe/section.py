"""What sections of a recipe have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from pumice import names


class Name(AfterValidator):
    """Marks a key whose value is a name of a table, or "package.module:object" of the user's own."""


def as_it_is(value: Any) -> Any:
    """For names that whoever looks them up checks."""
    return value


def named(known: Iterable[str], what: str) -> Name:
    """Check such a name, or the form of one of the user's own, as soon as the recipe is read."""

    def check(name: str | None) -> str | None:
        if name is not None and name not in known and not names.is_own(name):
            raise ValueError(names.unknown(name, known, what))
        return name

    return Name(check)


class Section(BaseModel):
    """Frozen, without keys that it does not have, and without NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
