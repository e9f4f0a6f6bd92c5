"""How much memory a file may ask for: stated, counted before it is taken, adjustable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from pumice.errors import FileFormatError, InputError, ResourceError
from pumice.machine import available_bytes, size_of

READ_VARIABLE: Final = "PUMICE_READ_BYTES"
RUN_VARIABLE: Final = "PUMICE_RUN_BYTES"

SMALL_BYTES = 1 << 28
"""Any file may ask for so much, 256 MiB, however small it is: zeros compress well."""
COMPRESSION = 200
"""Beyond that, at most so many bytes in memory for each in the file ..."""
LARGE_BYTES = 1 << 30
"""... up to 1 GiB, ..."""
EXPANSION = 16
"""... from where on it is so many: 8-byte integers made of compressed bytes."""
RUN_BYTES = 1 << 32
"""One step of a network from a file, and the streams of one of its samples, may take 4 GiB."""
HEADROOM = 0.9
"""Of what is available, so much may be used."""


@dataclass(frozen=True)
class Limits:
    """What is allowed at the moment.

    Attributes:
        read_bytes: What one file may take in memory; None follows from its size (`allowed_bytes`).
        run_bytes: What one step of a network from a file, with the streams of one of its samples, may take.
    """

    read_bytes: int | None = None
    run_bytes: int = RUN_BYTES


_CURRENT: ContextVar[Limits | None] = ContextVar("limits", default=None)


def current_limits() -> Limits:
    """Those of the innermost `with limited(...)`, else of the environment, else the defaults.

    Raises:
        InputError: A variable of the environment is no positive integer.
    """
    if (chosen := _CURRENT.get()) is not None:
        return chosen
    return Limits(_from_environment(READ_VARIABLE), _from_environment(RUN_VARIABLE) or RUN_BYTES)


def _from_environment(variable: str) -> int | None:
    text = os.environ.get(variable)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise InputError(f"the environment's {variable} must be a number of bytes, 1 or more, got {text!r}")
    return int(text)


@contextmanager
def limited(*, read_bytes: int | None = None, run_bytes: int = RUN_BYTES) -> Iterator[None]:
    """Other limits within the context, for files that are known to be large, or that must not be.

    Args:
        read_bytes: See `Limits`.
        run_bytes: See `Limits`.

    Example:
        >>> with limited(read_bytes=1000):
        ...     allowed_bytes(10**9)
        1000
    """
    token = _CURRENT.set(Limits(read_bytes, run_bytes))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def allowed_bytes(file_bytes: int) -> int:
    """What a file of this size may take in memory.

    Example:
        >>> [allowed_bytes(n) >> 20 for n in (1, 1 << 21, 1 << 24, 1 << 30)]  # MiB
        [256, 400, 1024, 16384]
    """
    chosen = current_limits().read_bytes
    if chosen is not None:
        return chosen
    return min(max(SMALL_BYTES, COMPRESSION * file_bytes), max(LARGE_BYTES, EXPANSION * file_bytes))


class Budget:
    """What one file may still take; all its parts add up, however often one is referred to.

    Args:
        where: The file, for messages.
        file_bytes: Its size.

    Example:
        >>> budget = Budget("a.net", 1)
        >>> budget.take(1 << 27, "weight"), budget.take(1 << 27, "weight")
        (None, None)
        >>> budget.take(1, "bias")
        Traceback (most recent call last):
        ...
        pumice.errors.FileFormatError: a.net: with bias it asks for 268,435,457 bytes of memory, and may ask for \
268,435,456; if the file is to be trusted, allow more: set PUMICE_READ_BYTES
    """

    def __init__(self, where: str, file_bytes: int) -> None:
        self._where = where
        self.file_bytes = file_bytes
        self._allowed = allowed_bytes(file_bytes)
        self._taken = 0

    def take(self, n_bytes: int, what: str) -> None:
        """Count what is about to be allocated.

        Raises:
            FileFormatError: It is too much, together with all before it.
        """
        self._taken += n_bytes
        if self._taken > self._allowed:
            raise FileFormatError(
                f"{self._where}: with {what} it asks for {self._taken:,} bytes of memory, and may ask for "
                f"{self._allowed:,}; if the file is to be trusted, allow more: set {READ_VARIABLE}"
            )


def check_run_bytes(where: str, estimate: int) -> None:
    """Refuse a network from a file that no step could be run of.

    Raises:
        FileFormatError: The estimate is above the limit.
    """
    limit = current_limits().run_bytes
    if estimate > limit:
        raise FileFormatError(
            f"{where}: one step of this network, and the streams of one of its samples, would take about "
            f"{estimate:,} bytes, and may take {limit:,}; if that is meant, allow more: set {RUN_VARIABLE}"
        )


def check_memory(what: str, n_bytes: int) -> None:
    """Refuse to start what could only end in the system's killing a process. The only such check.

    Args:
        what: Named in the error.
        n_bytes: What will be used at the least.

    Raises:
        ResourceError: It is more than nine tenths of what is available.

    Example:
        >>> check_memory("a run", 1000)
    """
    available = available_bytes()
    if available is not None and n_bytes > HEADROOM * available:
        raise ResourceError(
            f"{what} would take about {size_of(n_bytes)}, and {size_of(available)} of memory are available; run "
            "fewer steps or samples at once, or do not record"
        )
