"""What is remembered of each epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

FLOAT = "float"
FINETUNE = "finetune"


@dataclass(frozen=True)
class EpochRecord:
    """One epoch's figures.

    Attributes:
        phase: "float" (real numbers) or "finetune" (deployed: the chip's integers).
        epoch: Counted from 1 within its phase.
        loss: Mean over the epoch's training samples, regularizers included.
        train_accuracy: Over the epoch, while the weights change, 0 to 1; None where numbers are answered.
        test_accuracy: On the test split after the epoch, 0 to 1; shown, never used to choose anything.
        firing_rates: For each spiking block, spikes per neuron and step in training.
        validation_loss: On the validation split after the epoch, where there is one.
        validation_accuracy: The same, 0 to 1.
        train_error: Where numbers are answered, in place of an accuracy: the root of the mean squared error.
        test_error: The same on the test split.
        validation_error: The same on the validation split.
    """

    phase: str
    epoch: int
    loss: float
    train_accuracy: float | None
    test_accuracy: float | None
    firing_rates: dict[str, float]
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    train_error: float | None = None
    test_error: float | None = None
    validation_error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a checkpoint stores them."""
        return asdict(self)
