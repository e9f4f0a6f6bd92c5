"""A training run's progress on stderr, so that stdout holds only results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from pumice.train import EpochRecord


class TrainingProgress:
    """Stages as lines; while batches are counted, a bar with the last epoch's figures.

    Args:
        console: Where to; without a terminal each epoch is a line instead.
        total_batches: Of the whole run.
    """

    def __init__(self, console: Console, total_batches: int) -> None:
        self._console = console
        time = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        columns = (BarColumn(), MofNCompleteColumn(), *time, TextColumn("{task.fields[figures]}"))
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("training", total=total_batches, figures="")

    def stage(self, text: str) -> None:
        """Say what begins now. The bar goes, and with it its thread: a stage may fork."""
        self.close()
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def batch(self) -> None:
        """One batch is done."""
        if self._console.is_terminal:
            self._bar.start()
        self._bar.advance(self._task)

    def epoch(self, record: EpochRecord) -> None:
        """Show an epoch's loss, accuracies and firing rates."""
        rates = ", ".join(f"{100 * rate:.0f}" for rate in record.firing_rates.values())
        if record.train_accuracy is not None and record.test_accuracy is not None:
            score = f"accuracy {100 * record.train_accuracy:.1f} % (test {100 * record.test_accuracy:.1f} %)"
        else:
            score = f"error {record.train_error:.4g} (test {record.test_error:.4g})"
        figures = f"{record.phase} {record.epoch}: loss {record.loss:.4f}, {score}"
        if rates:  # an artificial network has none
            figures += f", firing {rates} %"
        self._bar.update(self._task, figures=figures)
        if not self._console.is_terminal:
            self._console.print(figures, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._console.is_terminal:
            self._bar.stop()


@contextmanager
def training_progress(total_batches: int, *, quiet: bool = False) -> Iterator[TrainingProgress]:
    """Show progress on stderr, or nothing if `quiet`, until the context ends."""
    progress = TrainingProgress(Console(stderr=True, quiet=quiet), total_batches)
    try:
        yield progress
    finally:
        progress.close()
