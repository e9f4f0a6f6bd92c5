"""Where in a run training is: between two epochs, or within one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch

from pumice.train.boosting import SampleWeights


@dataclass
class EpochSums:
    """What an epoch's record is made of, summed over its batches so far (and over all processes).

    Attributes:
        loss: Sum over samples.
        correct: Samples whose class had the most spikes; where numbers are answered, the sum of squared errors.
        samples: How many.
        spikes: For each block, its spikes.
        sizes: For each block, its neurons times steps times samples.
    """

    loss: float = 0.0
    correct: float = 0
    samples: int = 0
    spikes: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def rates(self) -> dict[str, float]:
        """Spikes per neuron and step, by block."""
        return {name: total / self.sizes[name] for name, total in self.spikes.items()}


@dataclass
class Position:
    """All that resuming needs beside weights, optimiser and history.

    The order of the samples, noise, augmentation and the learning rate follow from the recipe and these numbers.

    Attributes:
        batches: Batches done in the current epoch; 0 between two epochs.
        steps: Steps of the optimiser in the whole run.
        sums: Of the current epoch.
        torch_rng: State of torch's generator within the epoch (dropout), one row per process; None between epochs.
        log_bytes: Length of the step log.
        samples: How much each training sample counts, where the recipe boosts them.
    """

    batches: int = 0
    steps: int = 0
    sums: EpochSums = field(default_factory=EpochSums)
    torch_rng: torch.Tensor | None = None
    log_bytes: int = 0
    samples: SampleWeights | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values and tensors, as a checkpoint stores them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["sums"] = asdict(self.sums)
        if self.samples is None:
            del values["samples"]  # as a pumice writes it that knows of none
            return values
        return {**values, "samples": self.samples.to_dict()}

    def copy(self) -> Position:
        """A position of its own, which a run may move."""
        return Position.from_dict(self.to_dict())

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Position:
        """The inverse of `to_dict`, also of what a file holds.

        Raises:
            KeyError: A value is missing.
            TypeError: A value is missing, unknown, or of another type.
            ValueError: A count is none.

        Example:
            >>> Position.from_dict(Position(steps=3).to_dict()).steps
            3
        """
        samples = None if values.get("samples") is None else SampleWeights.from_dict(values["samples"])
        position = cls(**{**values, "sums": EpochSums(**values["sums"]), "samples": samples})
        counts = (position.batches, position.steps, position.log_bytes, position.sums.samples)
        if not all(isinstance(n, int) and 0 <= n < 2**62 for n in counts):
            raise ValueError(f"batches, steps, bytes of the log and samples must be counts, got {counts}")
        if not isinstance(position.torch_rng, torch.Tensor | None):
            raise TypeError(f"torch_rng must be a tensor, got {type(position.torch_rng).__name__}")
        return position
