"""What a chip cannot hold."""

from __future__ import annotations

from typing import NamedTuple


class Violation(NamedTuple):
    """One thing that does not fit; as text, one line.

    Attributes:
        where: "population NAME", "synapse SOURCE -> TARGET" or "network".
        register: What is too small.
        needed: What the graph asks of it.
        limit: What there is.
        remedy: What to do; empty where the numbers say it.

    Example:
        >>> print(Violation("population a", "pool", "20,000 words", "16,000", "Use fewer inputs."))
        population a: pool: needs 20,000 words, limit 16,000. Use fewer inputs.
    """

    where: str
    register: str
    needed: str
    limit: str
    remedy: str = ""

    def __str__(self) -> str:
        end = f". {self.remedy}" if self.remedy else ""
        return f"{self.where}: {self.register}: needs {self.needed}, limit {self.limit}{end}"
