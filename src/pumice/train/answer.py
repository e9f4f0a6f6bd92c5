"""What a loss reads of a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn import LinearReadout, sigma_delta
from pumice.nn.probes.membrane import watch_membrane
from pumice.nn.probes.surrogates import watch_surrogates
from pumice.train.losses.base import AbstractLoss
from pumice.train.outputs import first_output

Reader = Callable[[torch.Tensor], Any]


@contextmanager
def watch_answer(model: torch.nn.Module, loss_of: AbstractLoss) -> Iterator[Reader]:
    """Until the context ends, a function of the model's output that gives the first argument of the loss.

    The loss's `reads` says what it is, see `AbstractLoss`; the potential of a `LinearReadout` is its answer.

    Raises:
        InputError: The loss is defined for spikes only, and the network answers numbers.

    Example:
        >>> from pumice.train.losses import SpikeRateLoss
        >>> with watch_answer(torch.nn.Identity(), SpikeRateLoss()) as answer_of:
        ...     answer_of(torch.ones(1))
        tensor([1.])
    """
    if loss_of.needs_spikes and answers_in_numbers(model):
        raise InputError(
            f"{type(loss_of).__name__} is defined for spikes, and the network answers numbers, maybe below 0; "
            'choose another training.loss, or, of spike_max, training.loss_args.mode = "softmax"'
        )
    reads = loss_of.reads
    if reads == "surrogates":
        with watch_surrogates(model) as surrogates:
            yield lambda output: (first_output(output), surrogates.take())
    elif reads == "membrane" and not answers_in_numbers(model):
        with watch_membrane(model) as membrane:
            yield lambda _output: membrane.potential()
    elif reads == "outputs":
        yield lambda output: output
    else:
        yield first_output


def answers_in_numbers(model: torch.nn.Module) -> bool:
    """Whether the network gives numbers (of a `LinearReadout` or `sigma_delta.Output`) instead of spikes.

    Example:
        >>> answers_in_numbers(LinearReadout(3, 2))
        True
    """
    return any(isinstance(module, (LinearReadout, sigma_delta.Output)) for module in model.modules())
