"""Kinds of populations and synapses of a user's own, beside those of the package."""

from __future__ import annotations

import inspect
from dataclasses import Field, fields
from typing import Any, TypeVar

from pumice.errors import InputError
from pumice.ir import populations, synapses
from pumice.ir.populations import Population
from pumice.ir.synapses import Synapse
from pumice.names import is_class

K = TypeVar("K", bound=type[Any])
_OWN: dict[str, type[Any]] = {}


def register_kind(kind: K) -> K:
    """Let a kind of population or synapse of your own be used in graphs; as a decorator, or called.

    A population states its `step`, a synapse its `entries`, each its `limits` (see `Population` and `Synapse`). From
    these facts follow `verify_graph`, all passes, chip checks, the backends "reference" and "fast",
    `pumice.evaluate`, certificates and files; a synapse runs on "lava", too. What needs to know more (a population's
    process for Lava, or how to silence it between samples) refuses it by name. A file names the kind as
    "module:Class", and whoever reads it has to register it first.

    Args:
        kind: A frozen dataclass that is a subclass of `Population` or `Synapse`; each field that it adds has
            `limits`, or is a bool.

    Returns:
        The same class.

    Raises:
        InputError: It is no such class, leaves something out, or has the name of another kind.

    Example:
        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> from pumice.ir.limits import Limit
        >>> @dataclass(frozen=True, eq=False)
        ... class Repeat(Population):
        ...     limits = {"above": Limit(0, 100)}
        ...     above: int = 0
        ...     def step(self, states, activation):
        ...         return (activation["real"] > self.above).astype(np.int32), states
        >>> register_kind(Repeat).__name__, Repeat in population_kinds()
        ('Repeat', True)
        >>> unregister_kind(Repeat)
    """
    _check(kind)
    named = [known for known in (*population_kinds(), *synapse_kinds()) if known.__name__ == kind.__name__]
    if any(known is not kind and kind_name(known) != kind_name(kind) for known in named):
        raise InputError(f"register_kind: there is another kind called {kind.__name__}; give yours another name")
    _OWN[kind_name(kind)] = kind
    return kind


def unregister_kind(kind: type[Any]) -> None:
    """Forget a kind of one's own; one that is not registered is none."""
    _OWN.pop(kind_name(kind), None)


def population_kinds() -> tuple[type[Population], ...]:
    """The package's kinds of populations, and those that are registered."""
    return (*populations.KINDS, *(kind for kind in _OWN.values() if issubclass(kind, Population)))


def synapse_kinds() -> tuple[type[Synapse], ...]:
    """The package's kinds of synapses, and those that are registered."""
    return (*synapses.KINDS, *(kind for kind in _OWN.values() if issubclass(kind, Synapse)))


def own_kinds(base: type[Any]) -> dict[str, type[Any]]:
    """Registered kinds of populations or synapses, by the name that a file gives them."""
    return {name: kind for name, kind in _OWN.items() if issubclass(kind, base)}


def kind_name(kind: type[Any]) -> str:
    """What a file calls a kind of one's own.

    Example:
        >>> kind_name(Population)
        'pumice.ir.populations.base:Population'
    """
    return f"{kind.__module__}:{kind.__qualname__}"


def own_fields(kind: type[Any]) -> list[Field[Any]]:
    """The fields that a kind adds to those of all populations or synapses."""
    base = Population if issubclass(kind, Population) else Synapse
    common = {field.name for field in fields(base)}
    return [field for field in fields(kind) if field.name not in common]


def is_flag(field: Field[Any]) -> bool:
    """Whether a field is annotated as a bool."""
    return field.type in {"bool", bool}


def _check(kind: Any) -> None:
    if not any(is_class(kind, base) for base in (Population, Synapse)):
        raise InputError(f"register_kind: must be a subclass of Population or Synapse, got {kind!r}")
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(kind.__abstractmethods__))
        raise InputError(f"register_kind: {kind.__name__} does not define {missing}")
    if "__dataclass_params__" not in vars(kind) or vars(kind)["__dataclass_params__"].eq:
        raise InputError(
            f"register_kind: {kind.__name__} must be a dataclass of its own: @dataclass(frozen=True, eq=False)"
        )
    loose = [field.name for field in own_fields(kind) if field.name not in kind.limits and not is_flag(field)]
    if loose:
        raise InputError(
            f"register_kind: {kind.__name__}.{loose[0]} has no limits, so any number would pass; state "
            f'limits = {{"{loose[0]}": Limit(low, high)}}'
        )
