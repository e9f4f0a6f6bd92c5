"""What a network answers: spike counts of its output layer, or sums of the numbers of its read-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pumice.data import AbstractEncoder
from pumice.data.encoding import encode
from pumice.errors import InputError
from pumice.nn.padding import without_padding
from pumice.train.finite import FiniteCheck
from pumice.train.outputs import first_output
from pumice.train.score import score_sum

IntArray = npt.NDArray[np.integer[Any]]


def predict_counts(
    model: torch.nn.Module,
    encoder: AbstractEncoder,
    images: Any,
    *,
    lengths: npt.ArrayLike | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    workers: int = 0,
) -> npt.NDArray[np.float64]:
    """Spike counts of the output layer, or sums of a read-out's numbers, shape (n, class), in evaluation mode.

    Args:
        model: Tensor (batch, channel, height, width, time) -> spikes or numbers (batch, class, time).
        encoder: Turns samples into integers over time.
        images: Images of shape (n, channel, height, width), n recordings of events, or n padded sequences.
        lengths: Steps of each sample that count, shape (n,); all if not given.
        seed: Of a random encoding.
        batch_size: Samples at a time; None for as many as memory should be used for.
        workers: See `encode`.

    Raises:
        InputError: The network answers NaN or infinity, which is no class.
    """
    # float64 holds a deployed read-out's sums, integers times a power of two, exactly.
    outputs = _outputs(model, encoder, images, lengths=lengths, seed=seed, batch_size=batch_size, workers=workers)
    return np.concatenate(
        [without_padding(output, own).numpy(force=True).sum(-1, dtype=np.float64) for output, own in outputs]
    )


def squared_errors(
    model: torch.nn.Module,
    encoder: AbstractEncoder,
    samples: Any,
    targets: npt.NDArray[Any],
    *,
    lengths: npt.ArrayLike | None = None,
    seed: int = 0,
    workers: int = 0,
) -> float:
    """Sum over samples of the mean squared errors of what the network answers, in evaluation mode.

    Args:
        model: Tensor (batch, channel, height, width, time) -> numbers or spikes (batch, n, time).
        encoder: Turns samples into integers over time.
        samples: As for `predict_counts`.
        targets: Shape (N, n) or (N, n, time).
        lengths: Steps of each sample that count, shape (N,); all if not given.
        seed: Of a random encoding.
        workers: See `encode`.

    Raises:
        InputError: As `predict_counts`, or the targets do not fit the network's answers.
    """
    total, start = 0.0, 0
    for output, own in _outputs(model, encoder, samples, lengths=lengths, seed=seed, workers=workers):
        wanted = torch.tensor(targets[start : start + len(output)]).to(output)
        total, start = total + float(score_sum(output, wanted, own)), start + len(output)
    return total


def _outputs(
    model: torch.nn.Module,
    encoder: AbstractEncoder,
    images: Any,
    *,
    lengths: npt.ArrayLike | None,
    seed: int,
    batch_size: int | None = None,
    workers: int = 0,
) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """The network's first output, batch by batch, in evaluation mode, and the steps of each sample that count."""
    own = None if lengths is None else torch.as_tensor(np.asarray(lengths), device="cpu")
    start = 0
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    try:
        for stream in encode(encoder, images, seed=seed, batch_size=batch_size, workers=workers):
            with torch.no_grad():
                output = first_output(model(to_tensor(stream).to(device)))
            if not bool(torch.isfinite(output).all()):
                raise InputError(f"the network's answers are not finite{_reason(model)}")
            stop = start + len(output)
            yield output, None if own is None else own[start:stop].to(output.device)
            start = stop
    finally:
        model.train(was_training)


def _reason(model: torch.nn.Module) -> str:
    found = FiniteCheck(model).weights()
    return f": its {found}" if found else ", while its weights are; its inputs may be too large"


def predict(counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The class with the most spikes, or the largest sum; of equal ones the first.

    Example:
        >>> predict(np.array([[0, 3, 3], [2, 1, 0]])).tolist()
        [1, 0]
    """
    return np.argmax(counts, axis=1)


def to_tensor(stream: IntArray) -> torch.Tensor:
    """Integers as the float tensor that SLAYER computes with."""
    return torch.from_numpy(np.ascontiguousarray(stream, dtype=np.float32))
