"""A call that is refused leaves the model as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def unchanged_on_error(model: torch.nn.Module) -> Iterator[None]:
    """Give every module of the model its attributes, buffers and hooks back if an error leaves the context.

    Values of tensors are not copied: what is tried inside must not write into them.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> try:
        ...     with unchanged_on_error(layer):
        ...         layer.register_buffer("mask", torch.ones(2))
        ...         raise ValueError
        ... except ValueError:
        ...     hasattr(layer, "mask")
        False
    """
    before = [(module, type(module), _copied(vars(module))) for module in model.modules()]
    try:
        yield
    except BaseException:
        for module, kind, attributes in before:
            module.__class__ = kind
            vars(module).clear()
            vars(module).update(attributes)
        raise


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    """With dictionaries of its own: those of parameters, buffers and hooks are changed in place."""
    return {name: value.copy() if isinstance(value, dict) else value for name, value in attributes.items()}
