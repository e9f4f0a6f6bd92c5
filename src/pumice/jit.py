"""numba's `njit`, whose cache on disk can fail in every way without taking a run down.

Compiled code is kept beside the package, or in the user's cache folder. Where neither can be written, on a full disk,
and where the cache is damaged (numba does not sync what it writes: after a loss of power its index may be empty), the
code is compiled without it.

numba looks only at a function's file to see whether compiled code is out of date. But what it calls is part of that
code, so here all files of its folder count: after an upgrade, code of the version before would run.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys

from pumice.errors import InputError


class ForgivingCache(FunctionCache):
    """A cache of compiled code that has nothing, rather than an error.

    Args:
        function: What is compiled; compiled functions that it calls are in files of the same folder.
    """

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        stamped = self._cache_file
        stamped._source_stamp = stamped._source_stamp, _digest(Path(function.__code__.co_filename).parent)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled before, or None.

        numba's method first loads all that its compiler knows (and scipy.linalg, to see whether it is there), a third
        of what a run takes to start. Compiled code needs the runtime system only; where nothing is kept, numba's
        compiler loads the rest by itself.
        """
        try:
            rtsys.initialize(target_context)
            return self._load_overload(sig, target_context)
        except Exception:  # reading a damaged file raises what unpickling happens to lead to
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if that is possible."""
        try:
            super().save_overload(sig, data)
        except Exception:
            self._begin_anew(sig, data)

    def _begin_anew(self, sig: Any, data: Any) -> None:
        """An index that cannot be read would be in the way for ever."""
        try:
            self.flush()
            super().save_overload(sig, data)
        except Exception:
            self.disable()


@functools.cache
def _digest(folder: Path) -> str:
    """Of all Python files in it."""
    found = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        content = file.read_bytes()
        found.update(f"{file.name} {len(content)} ".encode())
        found.update(content)
    return found.hexdigest()


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `numba.njit(**options)`.

    Args:
        cache: Keep compiled code on disk, where that is possible.
        **options: numba's.

    Raises:
        InputError: The compiler is switched off. As Python the loops would mix NumPy's types, and wrap otherwise.

    Example:
        >>> @njit(nogil=True)
        ... def doubled(n):
        ...     return 2 * n
        >>> doubled(21)
        42
    """

    def compiled(function: Callable[..., Any]) -> Any:
        if getattr(numba.config, "DISABLE_JIT", 0):
            raise InputError(
                "numba's compiler is switched off, and these loops are right as compiled code only: unset "
                "NUMBA_DISABLE_JIT"
            )
        every: dict[str, Any] = {"no_cfunc_wrapper": True, **options}  # C never calls it: compiled for nothing
        dispatcher = numba.njit(**every)(function)
        if cache:
            keep_on_disk(dispatcher)
        return dispatcher

    return compiled


def keep_on_disk(dispatcher: Any) -> None:
    """What numba's `enable_caching` does, with a cache that forgives; nothing where there is no place for one."""
    if not dispatcher._can_compile:
        return
    try:
        dispatcher._cache = ForgivingCache(dispatcher.py_func)
    except (RuntimeError, OSError):  # "no locator available"
        return
