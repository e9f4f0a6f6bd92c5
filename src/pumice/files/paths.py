"""What no path can hold. Python's own errors of it depend on its version and on what is done with the path."""

from __future__ import annotations

import os
from pathlib import Path

from pumice.errors import InputError

NUL = "\0"


def path_problem(text: str) -> str | None:
    r"""Why no file has this path, whatever the system; None if one may.

    Example:
        >>> path_problem("a.net"), path_problem("a\0.net")
        (None, "holds '\\x00', which no path may hold")
    """
    if NUL in text:
        return _holds(NUL)
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:  # half of a surrogate pair
        return _holds(text[error.start])
    return None


def possible_path(path: str | os.PathLike[str]) -> Path:
    r"""A path that a file may have.

    Raises:
        InputError: It is no path, or holds a character that no path may hold.

    Example:
        >>> possible_path("a\0.net")
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: 'a\x00.net': holds '\x00', which no path may hold
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"a path is needed, got {type(path).__name__}")
    if (problem := path_problem(os.fspath(path))) is not None:
        raise InputError(f"{os.fspath(path)!r}: {problem}")
    return Path(path)


def _holds(character: str) -> str:
    return f"holds {character!r}, which no path may hold"
