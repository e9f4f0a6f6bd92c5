"""What a loss reads of a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pumice.nn import LinearReadout
from pumice.train.membrane import watch_membrane
from pumice.train.sml import watch_surrogates

Reader = Callable[[torch.Tensor], Any]


@contextmanager
def watch_answer(model: torch.nn.Module, loss_of: torch.nn.Module) -> Iterator[Reader]:
    """Until the context ends, a function of the model's output that gives the first argument of the loss.

    That is the output itself, unless the loss's attribute `reads` is "membrane" (the output neurons' potential; that
    of a `LinearReadout` is its answer) or "surrogates" (the output, and what the surrogate modules gave).

    Example:
        >>> from pumice.train.losses import SpikeRateLoss
        >>> with watch_answer(torch.nn.Identity(), SpikeRateLoss()) as answer_of:
        ...     answer_of(torch.ones(1))
        tensor([1.])
    """
    reads = getattr(loss_of, "reads", "spikes")
    if reads == "surrogates":
        with watch_surrogates(model) as surrogates:
            yield lambda output: (output, surrogates.take())
    elif reads == "membrane" and not answers_in_numbers(model):
        with watch_membrane(model) as membrane:
            yield lambda _output: membrane.potential()
    else:
        yield lambda output: output


def answers_in_numbers(model: torch.nn.Module) -> bool:
    """Whether the network gives numbers (of a `LinearReadout`) instead of spikes.

    Example:
        >>> answers_in_numbers(LinearReadout(3, 2))
        True
    """
    return any(isinstance(module, LinearReadout) for module in model.modules())
