"""Cases in a process of their own, so that one that hangs or kills its process is an outcome like others."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from types import TracebackType
from typing import BinaryIO, TextIO

import torch

from pumice.testing.auditing.case import Case
from pumice.testing.auditing.trial import FAILED, Outcome, run_case

SERVE = """\
import faulthandler, os
faulthandler.enable()
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # lava-dl prints when it is imported
from pumice.testing.auditing.worker import serve
serve(answers)
"""
RESTART_AFTER = 2000
"""Cases, so that no process grows for ever."""

TAIL = 3000
"""Bytes that are shown of what a process printed that ended."""


class Worker:
    """Runs cases one after the other in a process, which is started when it is needed.

    Args:
        limit_s: Longest time for one case; starting the process counts with the first one's.
        program: What the process does; for tests.

    Example:
        ::

            with Worker(limit_s=600) as run:
                print(run(draw_case(seed=1, index=0)).kind)
    """

    def __init__(self, limit_s: float = 600.0, program: str = SERVE) -> None:
        self._limit_s = limit_s
        self._program = program
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None
        self._printed: BinaryIO = io.BytesIO()
        self._cases = 0

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, case: Case) -> Outcome:
        """Run a case.

        Returns:
            Its outcome; also of one that had to be stopped, or that ended its process.
        """
        if self._process is None or self._cases >= RESTART_AFTER:
            self.close()
            self._start()
        self._cases += 1
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(case.to_json() + "\n")
            self._process.stdin.flush()
        try:
            answer = self._answers.get(timeout=self._limit_s)
        except queue.Empty:
            self.close()
            return Outcome(FAILED, "hangs", f"no answer within {self._limit_s:g} s")
        if not answer:
            code, printed = self._process.wait(), _tail(self._printed)
            self.close()
            return Outcome(FAILED, f"ends its process with exit code {code}", printed)
        return Outcome(**json.loads(answer))

    def close(self) -> None:
        """End the process, and those that it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        assert self._reader is not None
        self._reader.join()
        for file in (self._process.stdin, self._process.stdout, self._printed):
            with contextlib.suppress(BrokenPipeError):
                assert file is not None
                file.close()
        self._process = None

    def _start(self) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is forgotten
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            text=True,
            start_new_session=True,
            env={"OMP_WAIT_POLICY": "passive", **os.environ},
        )
        self._answers, self._cases = queue.SimpleQueue(), 0
        self._reader = threading.Thread(target=_read, args=(self._process, self._answers), daemon=True)
        self._reader.start()


def _read(process: subprocess.Popen[str], answers: queue.SimpleQueue[str]) -> None:
    assert process.stdout is not None
    with contextlib.suppress(ValueError):  # closed meanwhile
        for line in process.stdout:
            answers.put(line)
    answers.put("")


def _tail(printed: BinaryIO) -> str:
    printed.seek(0)
    return printed.read()[-TAIL:].decode(errors="replace")


def serve(answers: TextIO) -> None:
    """Read cases from standard input, line by line, and write their outcomes.

    Args:
        answers: Where to.
    """
    torch.set_num_threads(1)  # networks are small
    for line in sys.stdin:
        answers.write(json.dumps(asdict(run_case(Case.from_json(line)))) + "\n")
