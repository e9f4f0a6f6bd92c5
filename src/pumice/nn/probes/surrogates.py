"""What a network's surrogate modules give while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pumice.nn.blocks.surrogate_module import SurrogateModule
from pumice.nn.recompute import is_recomputing


class SurrogateAnswers:
    """What the surrogate modules gave in the last forward pass."""

    def __init__(self) -> None:
        self._answers: list[torch.Tensor] = []

    def add(self, logits: torch.Tensor) -> None:
        """Note one module's answer."""
        if not is_recomputing():
            self._answers.append(logits)

    def take(self) -> list[torch.Tensor]:
        """The answers since the last `take`, in the order of the calls."""
        taken, self._answers = self._answers, []
        return taken


@contextmanager
def watch_surrogates(model: torch.nn.Module) -> Iterator[SurrogateAnswers]:
    """Collect what the model's surrogate modules give until the context ends.

    Example:
        >>> module = SurrogateModule(8, tokens=4, n_classes=3)
        >>> with watch_surrogates(module) as answers:
        ...     _ = module(torch.ones(2, 8, 2, 2, 5))
        >>> [logits.shape for logits in answers.take()], answers.take()
        ([torch.Size([2, 3])], [])
    """
    answers = SurrogateAnswers()
    handles = [
        module.register_forward_hook(lambda _module, _args, logits: answers.add(logits))
        for module in model.modules()
        if isinstance(module, SurrogateModule)
    ]
    try:
        yield answers
    finally:
        for handle in handles:
            handle.remove()
