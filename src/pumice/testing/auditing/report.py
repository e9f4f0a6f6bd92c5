"""What an audit found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pumice.testing.auditing.case import Case
from pumice.testing.auditing.trial import EQUAL, FAILED, REFUSED, Outcome


@dataclass(frozen=True)
class Failure:
    """The first of the cases that fail for one reason.

    Attributes:
        index: Of the case as it was drawn.
        reason: Without the case's names and numbers.
        detail: The whole message of the smaller case.
        case: Made smaller.
        script: The same as Python.
        path: Where that was written, if anywhere.
    """

    index: int
    reason: str
    detail: str
    case: Case
    script: str
    path: Path | None = None


@dataclass
class AuditReport:
    """What an audit found.

    Attributes:
        seed: With it, everything comes out the same again.
        outcomes: How many networks were equal everywhere, refused, and failed.
        refusals: How often each reason to refuse one was given.
        failures: By reason, the first of its cases, made smaller.
        failed: How often each reason was met.
        integers: How many integers were compared and equal.
        seconds: How long it took.

    Example:
        >>> report = AuditReport(seed=5)
        >>> report.add(Outcome("equal", integers=120))
        >>> report.add(Outcome("refused", "LoweringError: too large"))
        >>> print(report)
        2 networks (seed 5): 1 equal, 1 refused, 0 failed; 120 integers compared
        refused:
             1  LoweringError: too large
    """

    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    integers: int = 0
    seconds: float = 0.0

    @property
    def networks(self) -> int:
        """How many were drawn."""
        return self.outcomes.total()

    def add(self, outcome: Outcome) -> None:
        """Count one network."""
        self.outcomes[outcome.kind] += 1
        self.integers += outcome.integers
        if outcome.kind == REFUSED:
            self.refusals[outcome.reason] += 1
        if outcome.kind == FAILED:
            self.failed[outcome.reason] += 1

    def summary(self) -> dict[str, Any]:
        """The figures as plain values, as `pumice audit --json` prints them."""
        return {
            "seed": self.seed,
            "networks": self.networks,
            "equal": self.outcomes[EQUAL],
            "integers": self.integers,
            "refused": dict(self.refusals.most_common()),
            "failed": dict(self.failed.most_common()),
            "failures": [
                {
                    "index": failure.index,
                    "reason": failure.reason,
                    "detail": failure.detail,
                    "script": str(failure.path) if failure.path else failure.script,
                }
                for failure in self.failures.values()
            ],
            "seconds": round(self.seconds, 1),
        }

    def __str__(self) -> str:
        lines = [
            f"{self.networks} networks (seed {self.seed}): {self.outcomes[EQUAL]} equal, {self.outcomes[REFUSED]} "
            f"refused, {self.outcomes[FAILED]} failed; {self.integers:,} integers compared"
        ]
        for title, counts in (("refused", self.refusals), ("failed", self.failed)):
            if counts:
                lines += [f"{title}:", *(f"{count:6}  {reason}" for reason, count in counts.most_common())]
        for failure in self.failures.values():
            lines.append(f"network {failure.index}: {failure.reason}\n  {failure.path or failure.detail}")
        return "\n".join(lines)
