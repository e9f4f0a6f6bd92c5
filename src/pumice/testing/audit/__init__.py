"""An audit that can run for ever: random networks, each held equal everywhere, or refused.

The module can be called: `pumice.testing.audit(minutes=5)` is `pumice.testing.audit.audit(minutes=5)`.
"""

import sys
from types import ModuleType
from typing import Any

from pumice.testing.audit.audit import audit
from pumice.testing.audit.case import Case, Part, Step
from pumice.testing.audit.draw import draw_case
from pumice.testing.audit.report import AuditReport, Failure
from pumice.testing.audit.script import write_script
from pumice.testing.audit.shrink import shrink
from pumice.testing.audit.trial import Outcome, run_case
from pumice.testing.audit.worker import Worker

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


class _CallableModule(ModuleType):
    __call__ = staticmethod(audit)

    def __repr__(self) -> str:
        return f"<callable module {self.__name__!r}>"


def _make_callable(module: Any) -> None:
    module.__class__ = _CallableModule


_make_callable(sys.modules[__name__])
