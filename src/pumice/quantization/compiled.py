"""Networks that torch.compile has wrapped: what is traced and changed is the network inside, run eagerly."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

import torch

from pumice.errors import LoweringError

WRAPPED = "_orig_mod"
"""Where torch.compile's wrapper keeps the module; part of the names of what is in it."""


def original(model: torch.nn.Module) -> torch.nn.Module:
    """The network that `torch.compile` has wrapped, or the given one.

    Raises:
        LoweringError: It is no module.

    Example:
        >>> layer = torch.nn.Identity()
        >>> original(torch.compile(layer)) is layer, original(layer) is layer
        (True, True)
    """
    if not isinstance(model, torch.nn.Module):
        raise LoweringError(
            f"a model is needed, a torch.nn.Module, got {type(model).__name__}; torch.nn.Sequential(*blocks) is one"
        )
    inside = model._modules.get(WRAPPED)
    return model if inside is None else inside


def original_name(name: str) -> str:
    """A module's name without the wrappers around it.

    Example:
        >>> original_name("body._orig_mod.0")
        'body.0'
    """
    return ".".join(part for part in name.split(".") if part != WRAPPED)


def is_partly_compiled(model: torch.nn.Module) -> bool:
    """Whether a part of a network runs compiled, where hooks see nothing.

    Example:
        >>> is_partly_compiled(torch.nn.Sequential(torch.compile(torch.nn.Identity())))
        True
    """
    return any(
        WRAPPED in module._modules or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )


def eager() -> AbstractContextManager[object]:
    """Run what is compiled as if it were not, until the context ends.

    Example:
        >>> with eager():
        ...     torch.compile(torch.nn.Identity())(torch.ones(1)).item()
        1.0
    """
    if "torch._dynamo" not in sys.modules:  # then nothing has been compiled
        return nullcontext()
    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance
