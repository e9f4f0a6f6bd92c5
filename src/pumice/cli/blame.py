"""Whose code an exception comes from: pumice's, or the user's own, which it calls."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

import pumice

PACKAGE = Path(pumice.__file__).resolve().parent
_INSTALLED = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def own_code_that_raised(error: BaseException) -> str | None:
    """Where the user's own code raised an exception, or called what did; None if pumice's code did so last.

    A network, loss, dataset or backend of one's own runs within pumice, and other packages run within both: whoever
    of the two comes last in the traceback has to look.

    Example:
        >>> try:
        ...     Path("a").relative_to(3)
        ... except TypeError as error:
        ...     own_code_that_raised(error) is None  # no file of anyone's
        True
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if not path.is_file():
            continue
        path = path.resolve()
        if path.is_relative_to(PACKAGE):
            return None
        if not any(path.is_relative_to(folder) for folder in _INSTALLED):
            return f"{path.name}, line {frame.lineno}, in {frame.name}"
    return None
