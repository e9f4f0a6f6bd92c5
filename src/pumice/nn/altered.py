"""Forward hooks that change what enters or leaves a part of a block: the graph would not have them."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from pumice.errors import LoweringError, UserError


def refuse_altering_hooks(
    block: torch.nn.Module, owner: str, error: type[UserError] = LoweringError
) -> list[RemovableHandle]:
    """Watch the hooks that a block and its parts have, until the handles are removed; those that only look may.

    Args:
        block: The block.
        owner: What it is called, for messages.
        error: What to raise.

    Returns:
        What ends the watch. Until then a forward pass raises the error at a hook that changes a tensor.

    Example:
        >>> block = torch.nn.Sequential(torch.nn.Identity())
        >>> _ = block[0].register_forward_hook(lambda module, args, output: output * 0)
        >>> handles = refuse_altering_hooks(block, "block 'fc'")
        >>> block(torch.ones(1))
        Traceback (most recent call last):
        pumice.errors.LoweringError: block 'fc': a forward hook of its part '0' changes what leaves it, and a graph \
has no hooks; remove the hook, or make the change to the weights
    """
    handles: list[RemovableHandle] = []
    for path, part in block.named_modules():
        where = f"{owner}: a forward {{}}hook of {f'its part {path!r}' if path else 'it'} changes what {{}} it"
        if part._forward_pre_hooks:
            entering = _Unaltered(where.format("pre-", "enters"), error)
            handles += [
                part.register_forward_pre_hook(lambda _, args, e=entering: e.begin(args), prepend=True),
                part.register_forward_pre_hook(lambda _, args, e=entering: e.end(args)),
            ]
        if part._forward_hooks:
            leaving = _Unaltered(where.format("", "leaves"), error)
            handles += [
                part.register_forward_hook(lambda _, _args, output, u=leaving: u.begin(output), prepend=True),
                part.register_forward_hook(lambda _, _args, output, u=leaving: u.end(output)),
            ]
    return handles


class _Unaltered:
    """Whether tensors are the same, and nothing was written into them, behind the hooks."""

    def __init__(self, what: str, error: type[UserError]) -> None:
        self._what, self._error = what, error
        self._before: list[tuple[torch.Tensor, int]] = []

    def begin(self, values: Any) -> None:
        self._before = _tensors(values)

    def end(self, values: Any) -> None:
        before, now = self._before, _tensors(values)
        self._before = []
        if len(now) != len(before) or any(x is not y or m != n for (x, m), (y, n) in zip(before, now, strict=True)):
            raise self._error(
                f"{self._what}, and a graph has no hooks; remove the hook, or make the change to the weights"
            )


def _tensors(values: Any) -> list[tuple[torch.Tensor, int]]:
    several = values if isinstance(values, tuple) else (values,)
    return [(x, x._version) for x in several if isinstance(x, torch.Tensor)]
