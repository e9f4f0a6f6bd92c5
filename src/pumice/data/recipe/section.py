"""What sections of a recipe have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, field_validator

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
    """Frozen, without keys that it does not have, without NaN and infinity, and without truth values as numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and {kind, *get_args(kind)}.isdisjoint({bool, Any}):
            raise ValueError("Input should not be true or false")
        return value
