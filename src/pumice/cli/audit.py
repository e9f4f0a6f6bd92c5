"""`pumice audit`: random networks, each held equal everywhere."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pumice.cli.training_extra import training_extra
from pumice.errors import CheckFailedError

if TYPE_CHECKING:
    from pumice.testing.auditing import Outcome

NEWS_S = 10.0


def audit(
    *,
    minutes: Annotated[float | None, typer.Option(help="How long; 1 if no number of networks is given.")] = None,
    networks: Annotated[int | None, typer.Option(min=1, help="How many.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="At random if not given; it is printed.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once.")] = 1,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where scripts of failing networks go.")] = Path("audit"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw random networks, lower them, and compare torch, every backend and the file, integer by integer."""
    with training_extra():
        from pumice.testing.auditing import audit as run_audit
    news = _News()
    if minutes is None and networks is None:
        minutes = 1.0
    report = run_audit(minutes=minutes, networks=networks, seed=seed, jobs=jobs, out=out, on_case=news)
    print(json.dumps(report.summary()) if as_json else report)
    if report.failures:
        raise CheckFailedError(
            f"{report.outcomes['failed']} of {report.networks} networks failed; scripts are in {out}"
        )


class _News:
    """A line on stderr now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._counts: dict[str, int] = {}

    def __call__(self, index: int, outcome: Outcome) -> None:
        self._counts[outcome.kind] = self._counts.get(outcome.kind, 0) + 1
        if outcome.kind == "failed":
            print(f"network {index} failed: {outcome.reason}", file=sys.stderr)
        if time.monotonic() - self._last > NEWS_S:
            self._last = time.monotonic()
            print(", ".join(f"{n} {kind}" for kind, n in sorted(self._counts.items())), file=sys.stderr)
