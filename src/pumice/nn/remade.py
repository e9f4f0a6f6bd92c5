"""A module of another class with the same content, to be put in the place of the old one."""

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
