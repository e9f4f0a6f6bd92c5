"""What a run writes beside its checkpoint: figures of each step and of each epoch."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pumice.errors import InputError, MissingExtraError, PumiceWarning
from pumice.files.folders import make_folder
from pumice.files.write import replace_atomically
from pumice.train.history import EpochRecord
from pumice.train.loggers import log_function
from pumice.train.recipe import LoggingSection

STEP_FIELDS = ("step", "phase", "epoch", "batch", "lr", "loss", "accuracy")
LONGEST_ROW = 1024
"""Bytes of `steps.csv`, and more than any row has."""
EPOCH_FIELDS = ("phase", "epoch", "loss", "train_accuracy", "test_accuracy", "validation_loss", "validation_accuracy")

ERROR_FIELDS = ("train_error", "test_error", "validation_error")
"""Written where numbers are answered."""


class RunLogs:
    """Logs in one folder: `steps.csv`, `epochs.csv`, and events for TensorBoard.

    A resumed run cuts `steps.csv` where its checkpoint was written and goes on, so that the files of an
    interrupted run equal those of an uninterrupted one, byte for byte. (TensorBoard's files hold the time of day;
    there, what came after the checkpoint is marked as void.)

    Folder and files are made with the first note, so that a run that cannot start leaves none.

    Args:
        folder: Where to; None writes nothing.
        wanted: Which logs.
        log_bytes: Length of `steps.csv` when the run was interrupted; 0 begins anew.
        steps: Steps that were done then.
        logger: The user's, see `pumice.train.train`; it gets the figures that TensorBoard would get.

    Raises:
        InputError: The logger takes no figures.
    """

    def __init__(
        self,
        folder: Path | None,
        wanted: LoggingSection,
        *,
        log_bytes: int = 0,
        steps: int = 0,
        logger: Any = None,
    ) -> None:
        self._log = None if logger is None else log_function(logger)
        self._folder = folder
        self._csv = wanted.csv and folder is not None
        self._pending: list[str] = []
        self._bytes = log_bytes
        self._board: Any = None
        self._wants_board = wanted.tensorboard
        self._purge_step = steps + 1
        self._has_begun = False

    def _begin(self) -> None:
        if self._has_begun or self._folder is None:
            return
        make_folder(self._folder)
        self._tell_what_is_replaced(self._folder)
        if self._csv:
            self._begin_steps(self._folder / "steps.csv")
        if self._wants_board:
            self._board = _summary_writer(self._folder / "tensorboard", purge_step=self._purge_step)
        self._has_begun = True

    def _tell_what_is_replaced(self, folder: Path) -> None:
        """A run that begins leaves nothing of another's `steps.csv`, and TensorBoard shows no more of its events."""
        steps, events = folder / "steps.csv", folder / "tensorboard"
        has_steps = self._csv and steps.is_file() and steps.stat().st_size > 0
        has_events = self._wants_board and events.is_dir() and any(events.iterdir())
        if self._purge_step == 1 and (has_steps or has_events):
            warnings.warn(
                f"{steps if has_steps else events}: is the log of an earlier run, which this one replaces; to keep "
                "logs, give each run a folder of its own",
                PumiceWarning,
                stacklevel=7,
            )

    def _begin_steps(self, path: Path) -> None:
        if self._bytes and not self._is_own(path):
            warnings.warn(
                f"{path}: is not the log that the checkpoint was written with; it begins anew with this step",
                PumiceWarning,
                stacklevel=7,
            )
            self._bytes = 0
        try:
            with path.open("r+b" if self._bytes else "wb") as file:
                file.truncate(self._bytes)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
        if not self._bytes:
            self._pending.append(_row(STEP_FIELDS))

    def _is_own(self, path: Path) -> bool:
        """Whether the row of the checkpoint's last step ends where the checkpoint says."""
        n = min(self._bytes, LONGEST_ROW)
        try:
            with path.open("rb") as file:
                file.seek(self._bytes - n)
                end = file.read(n)
        except OSError:
            return False
        *_, last, rest = [b"", *end.split(b"\n")]
        return len(end) == n and not rest and last.startswith(b"%d," % (self._purge_step - 1))

    def step(
        self, step: int, phase: str, epoch: int, batch: int, *, lr: float, loss: float, accuracy: float | None
    ) -> None:
        """Note one step of the optimiser.

        Raises:
            InputError: It is the first, and a log cannot be written.
        """
        self._begin()
        if self._csv:
            self._pending.append(
                _row((step, phase, epoch, batch, repr(lr), repr(loss), "" if accuracy is None else repr(accuracy)))
            )
        self._note({"step/lr": lr, "step/loss": loss, "step/accuracy": accuracy}, step)

    def epoch(self, history: Sequence[EpochRecord], step: int) -> None:
        """Write the table of epochs anew: it follows from the history."""
        self._begin()
        record = history[-1]
        figures = {f"epoch/{name}": getattr(record, name) for name in (*EPOCH_FIELDS[2:], *ERROR_FIELDS)}
        self._note({**figures, **{f"firing_rate/{block}": rate for block, rate in record.firing_rates.items()}}, step)
        if self._folder is None or not self._csv:
            return
        blocks = list(history[-1].firing_rates)
        names = EPOCH_FIELDS if history[-1].train_error is None else (*EPOCH_FIELDS, *ERROR_FIELDS)
        rows: list[tuple[Any, ...]] = [(*names, *(f"firing {block}" for block in blocks))]
        for record in history:
            rows.append((*(getattr(record, name) for name in names), *record.firing_rates.values()))
        with replace_atomically(self._folder / "epochs.csv") as temporary:
            temporary.write_text("".join(map(_row, rows)), encoding="utf-8")

    def _note(self, figures: Mapping[str, float | None], step: int) -> None:
        known = {name: value for name, value in figures.items() if value is not None}
        if self._board is not None:
            for name, value in known.items():
                self._board.add_scalar(name, value, step)
        if self._log is not None:
            self._log(known, step=step)

    def flush(self) -> int:
        """Bring all notes to the disk; return the length of the step log, for the checkpoint.

        Raises:
            InputError: They cannot be written; the checkpoint is as it was.
        """
        self._begin()
        if self._board is not None:
            self._board.flush()
        if self._folder is None or not self._pending:
            return self._bytes
        path = self._folder / "steps.csv"
        data = "".join(self._pending).encode()
        try:
            with path.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
        self._bytes += len(data)
        self._pending.clear()
        return self._bytes

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.close()


def _summary_writer(folder: Path, *, purge_step: int) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ModuleNotFoundError as error:
        raise MissingExtraError("tensorboard", "train", "logging.tensorboard") from error
    return SummaryWriter(str(folder), purge_step=purge_step)


def _row(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(["" if value is None else value for value in values])
    return text.getvalue()
