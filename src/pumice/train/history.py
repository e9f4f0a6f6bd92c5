"""What is remembered of each epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

FLOAT = "float"
FINETUNE = "finetune"
_NO_FIGURES = ("phase", "epoch", "firing_rates")


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

    @classmethod
    def from_dict(cls, values: Any) -> EpochRecord:
        """The inverse of `to_dict`, of what a file holds.

        Raises:
            TypeError: A figure is missing, unknown or no number.
            ValueError: There is no such phase or epoch.

        Example:
            >>> record = EpochRecord("float", 1, 0.5, 0.75, None, {"conv1": 0.25})
            >>> EpochRecord.from_dict(record.to_dict()) == record
            True
        """
        record = cls(**values)
        if record.phase not in (FLOAT, FINETUNE) or not isinstance(record.epoch, int) or record.epoch < 1:
            raise ValueError(f"there is no epoch {record.epoch!r} of a phase {record.phase!r}")
        figures = {key: value for key, value in values.items() if key not in _NO_FIGURES and value is not None}
        for key, value in {**figures, **record.firing_rates}.items():
            if not isinstance(value, int | float):
                raise TypeError(f"{key} must be a number, got {type(value).__name__}")
        return record

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a checkpoint stores them."""
        return asdict(self)
