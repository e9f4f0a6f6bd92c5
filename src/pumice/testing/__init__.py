"""For tests: an audit of random networks, and a battery of cases, random graphs and streams for backends.

`audit`, `check_exact` and `lower_checked` need the extra "train"; the others the packages pytest and hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pumice.testing.auditing import AuditReport as AuditReport
    from pumice.testing.auditing import audit as audit
    from pumice.testing.battery import BackendBattery as BackendBattery
    from pumice.testing.exact import check_exact as check_exact
    from pumice.testing.exact import lower_checked as lower_checked
    from pumice.testing.strategies import cases as cases
    from pumice.testing.strategies import example as example
    from pumice.testing.strategies import graphs as graphs
    from pumice.testing.strategies import streams as streams

# Each is loaded when it is first used: they need different packages.
_LAZY = {
    "AuditReport": "pumice.testing.auditing",
    "BackendBattery": "pumice.testing.battery",
    "audit": "pumice.testing.auditing",
    "cases": "pumice.testing.strategies",
    "check_exact": "pumice.testing.exact",
    "example": "pumice.testing.strategies",
    "graphs": "pumice.testing.strategies",
    "lower_checked": "pumice.testing.exact",
    "streams": "pumice.testing.strategies",
}

__all__ = [
    "AuditReport",
    "BackendBattery",
    "audit",
    "cases",
    "check_exact",
    "example",
    "graphs",
    "lower_checked",
    "streams",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'pumice.testing' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
