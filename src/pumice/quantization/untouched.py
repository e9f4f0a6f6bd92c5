"""A call that is refused leaves the model as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pumice.nn.remade import become_


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
    before = [(module, type(module), dict(vars(module)), _contents(module)) for module in model.modules()]
    try:
        yield
    except BaseException:
        for module, kind, attributes, contents in before:
            become_(module, kind)
            vars(module).clear()
            vars(module).update(attributes)
            for name, held in contents.items():
                attributes[name].clear()  # the same object: handles of hooks remember it
                attributes[name].update(held)
        raise


def _contents(module: torch.nn.Module) -> dict[str, Any]:
    """Of the dictionaries and sets that are changed in place: parameters, buffers, hooks."""
    return {name: value.copy() for name, value in vars(module).items() if isinstance(value, (dict, set))}
