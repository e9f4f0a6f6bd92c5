"""How well a network answers: the share of right classes, or the error of numbers."""

from __future__ import annotations

import math

import torch

from pumice.errors import InputError
from pumice.nn.padding import mean_over_steps, sum_over_steps


def answered(output: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
    """The numbers that an output stands for: those of each step, or their mean over the steps of a sample.

    Args:
        output: Spikes or numbers, shape (batch, n, time).
        targets: Shape (batch, n, time), or (batch, n).
        lengths: Steps of each sample that count, shape (batch,); all if not given.

    Raises:
        InputError: They do not fit each other.

    Example:
        >>> answered(torch.tensor([[[1.0, 0.0, 0.0, 1.0]]]), torch.zeros(1, 1)).tolist()
        [[0.5]]
    """
    numbers = output if targets.ndim == output.ndim else mean_over_steps(output, lengths)
    if numbers.shape != targets.shape:
        raise InputError(
            f"the network answers with shape {tuple(output.shape)}, (batch, n, time), and the targets have shape "
            f"{tuple(targets.shape)}: they must be (batch, n) or (batch, n, time) of the same n and time"
        )
    return numbers


def squared_errors_of(
    output: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor | None = None
) -> torch.Tensor:
    """Of each sample, the mean squared error of what is answered, shape (batch,); arguments as in `answered`.

    Example:
        >>> output = torch.tensor([[[1.0, 0.0, 0.0, 1.0]]])
        >>> squared_errors_of(output, torch.zeros(1, 1, 4), torch.tensor([2])).tolist()
        [0.5]
    """
    squares = (answered(output, targets, lengths) - targets).square()
    if squares.ndim == 3 and lengths is not None:
        squares = mean_over_steps(squares, lengths)
    return squares.flatten(1).mean(1)


def score_sum(output: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
    """Over a batch: how many samples have the class with the largest sum; of targets, the sum of mean squared errors.

    Args:
        output: Spikes or numbers, shape (batch, n, time).
        labels: Classes (batch,), or targets.
        lengths: Steps of each sample that count, shape (batch,); all if not given.

    Example:
        >>> score_sum(torch.tensor([[[1.0, 1.0], [0.0, 1.0]]]), torch.tensor([0]))
        tensor(1)
        >>> score_sum(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[1.0]]))
        tensor(0.2500)
    """
    if labels.is_floating_point():
        return squared_errors_of(output, labels, lengths).sum()
    return (sum_over_steps(output, lengths).argmax(1) == labels).sum()


def score_of(part: str, total: float, n_samples: int, *, has_targets: bool) -> dict[str, float]:
    """The figure of an `EpochRecord`: a part's accuracy, or its error, the root of the mean square.

    Example:
        >>> score_of("test", 1.0, 4, has_targets=True), score_of("test", 1.0, 4, has_targets=False)
        ({'test_error': 0.5}, {'test_accuracy': 0.25})
    """
    if has_targets:
        return {f"{part}_error": math.sqrt(total / n_samples)}
    return {f"{part}_accuracy": total / n_samples}
