"""The audit: case after case, until the time is over."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from pumice.errors import InputError
from pumice.files.folders import make_folder
from pumice.files.write import write_bytes
from pumice.testing.auditing.case import Case
from pumice.testing.auditing.draw import draw_case
from pumice.testing.auditing.report import AuditReport, Failure
from pumice.testing.auditing.script import write_script
from pumice.testing.auditing.shrink import TRIES, shrink
from pumice.testing.auditing.trial import FAILED, Outcome, run_case
from pumice.testing.auditing.worker import Worker

Run = Callable[[Case], Outcome]

TRIES_OF_HANGS = 12
"""Of `shrink`, where each takes the whole limit."""


def audit(
    *,
    minutes: float | None = None,
    networks: int | None = None,
    seed: int | None = None,
    jobs: int = 1,
    out: str | Path | None = None,
    limit_s: float = 600.0,
    isolated: bool = True,
    draw: Callable[[int, int], Case] = draw_case,
    on_case: Callable[[int, Outcome], None] | None = None,
) -> AuditReport:
    """Draw random networks, give them a random life, lower them, and hold everything that can run them to each other.

    A network is equal everywhere (see `pumice.testing.check_exact`), or refused by a `PumiceError`, or it is a
    failure: a difference, another exception, a hang, a process that ends. The first failure of each kind is made
    smaller and written as a script of its own.

    Args:
        minutes: Draw no more networks after so long.
        networks: Draw so many.
        seed: Network number k of a seed is always the same; at random if not given.
        jobs: So many processes at once.
        out: Folder for the scripts; made if it is missing.
        limit_s: A network that takes longer counts as hanging.
        isolated: Run in processes of their own; otherwise in this one, where nothing stops a network that hangs.
        draw: Gives the case of a seed and number.
        on_case: Called with each network's number and outcome.

    Raises:
        InputError: Neither minutes nor networks are given, or one of the numbers is none or too small.

    Example:
        ::

            report = audit(minutes=120, out="failures")
            print(report)
            assert not report.failures
    """
    _check(minutes, networks, seed, jobs)
    report = AuditReport(secrets.randbits(31) if seed is None else seed)
    began = time.perf_counter()
    indices = iter(range(networks)) if networks is not None else itertools.count()
    with _runs(jobs, limit_s, isolated) as runs:
        for index, case, outcome, run in _outcomes(runs, indices, lambda i: draw(report.seed, i), began, minutes):
            report.add(outcome)
            if on_case is not None:
                on_case(index, outcome)
            if outcome.kind == FAILED and outcome.reason not in report.failures:
                report.failures[outcome.reason] = _failure(index, case, outcome, run, seed=report.seed, out=out)
    report.seconds = time.perf_counter() - began
    return report


def _check(minutes: object, networks: object, seed: object, jobs: object) -> None:
    if minutes is None and networks is None:
        raise InputError("audit: say how long (minutes) or how many networks")
    if minutes is not None and not (isinstance(minutes, int | float) and minutes > 0):
        raise InputError(f"audit: minutes must be above 0, got {minutes!r}")
    for name, value, least in (("networks", networks, 1), ("seed", seed, 0), ("jobs", jobs, 1)):
        if value is not None and not (isinstance(value, int | np.integer) and value >= least):
            raise InputError(f"audit: {name} must be a whole number of at least {least}, got {value!r}")


@contextlib.contextmanager
def _runs(jobs: int, limit_s: float, isolated: bool) -> Iterator[list[Run]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Worker(limit_s)) for _ in range(jobs)] if isolated else [run_case]


def _outcomes(
    runs: list[Run], indices: Iterator[int], draw: Callable[[int], Case], began: float, minutes: float | None
) -> Iterator[tuple[int, Case, Outcome, Run]]:
    """Outcomes as they come; whoever takes one has its `run` for himself until he asks for the next."""
    idle, busy = list(runs), dict[Future[Outcome], tuple[int, Case, Run]]()
    with ThreadPoolExecutor(len(runs)) as pool:
        while True:
            in_time = minutes is None or time.perf_counter() - began < 60 * minutes
            while idle and in_time and (index := next(indices, None)) is not None:
                case, run = draw(index), idle.pop()
                busy[pool.submit(run, case)] = index, case, run
            if not busy:
                return
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                index, case, run = busy.pop(future)
                yield index, case, future.result(), run
                idle.append(run)


def _failure(index: int, case: Case, outcome: Outcome, run: Run, *, seed: int, out: str | Path | None) -> Failure:
    """Make a failing case smaller and write it down."""
    tries = TRIES_OF_HANGS if outcome.reason == "hangs" else TRIES
    last = outcome

    def fails(smaller: Case) -> bool:
        nonlocal last
        found = run(smaller)
        same = (found.kind, found.reason) == (outcome.kind, outcome.reason)
        last = found if same else last
        return same

    small = shrink(case, fails, tries)
    script = write_script(small, f"Network {index} of `pumice audit --seed {seed}`, made smaller.\n\n{last.detail}")
    path = None
    if out is not None:
        folder = Path(out)
        make_folder(folder)
        path = folder / f"network_{seed}_{index}.py"
        write_bytes(path, script.encode())
    return Failure(index, outcome.reason, last.detail, small, script, path)
