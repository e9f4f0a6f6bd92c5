"""Modules of another class with the same content."""

from __future__ import annotations

from typing import Any, TypeVar

M = TypeVar("M")


def remade(module: Any, kind: type[M]) -> M:
    """An object of class `kind` that has all attributes of a module; its parameters are the same objects.

    Example:
        >>> import torch
        >>> class Doubled(torch.nn.Linear):
        ...     def forward(self, x):
        ...         return 2 * super().forward(x)
        >>> linear = torch.nn.Linear(1, 1)
        >>> remade(linear, Doubled).weight is linear.weight
        True
    """
    made = kind.__new__(kind)
    # Dictionaries of parameters, buffers and hooks are the module's own.
    content = {k: v.copy() if isinstance(v, (dict, set)) else v for k, v in vars(module).items()}
    vars(made).update(content)
    return made


def become_(module: Any, kind: type[M]) -> M:
    """Make a module one of class `kind`, in place, as `torch.nn.utils.parametrize` does.

    For modules of somebody else's network: every reference to them, by a second name, in a list, in a compiled
    wrapper or in the handle of a hook, stays what it is. Of what pumice makes itself, nothing changes its class.

    Example:
        >>> import torch
        >>> class Doubled(torch.nn.Linear):
        ...     pass
        >>> linear = torch.nn.Linear(1, 1)
        >>> become_(linear, Doubled) is linear, type(linear) is Doubled
        (True, True)
    """
    module.__class__ = kind
    made: M = module
    return made
