"""An audit that can run for ever: random networks, each held equal everywhere, or refused."""

from pumice.testing.auditing.audit import audit
from pumice.testing.auditing.case import Case, Part, Step
from pumice.testing.auditing.draw import draw_case
from pumice.testing.auditing.report import AuditReport, Failure
from pumice.testing.auditing.script import write_script
from pumice.testing.auditing.shrink import shrink
from pumice.testing.auditing.trial import Outcome, run_case
from pumice.testing.auditing.worker import Worker

__all__ = [
    "AuditReport",
    "Case",
    "Failure",
    "Outcome",
    "Part",
    "Step",
    "Worker",
    "audit",
    "draw_case",
    "run_case",
    "shrink",
    "write_script",
]
