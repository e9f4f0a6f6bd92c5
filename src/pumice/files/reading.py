"""Whatever reading a file brings about comes out as one error of ours that names the file."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pumice.errors import FileFormatError, InputError, PumiceError, ResourceError
from pumice.files.paths import path_problem


@contextmanager
def reading(path: object, what: str, family: type[FileFormatError | InputError]) -> Iterator[None]:
    """Turn errors of the system, of parsers and of memory into ours.

    Args:
        path: The file, or what stands for it in messages.
        what: What it should be, for the message: "a network file".
        family: The error that it becomes.

    Raises:
        ResourceError: Memory does not suffice.

    Example:
        >>> with reading("a.json", "a recipe", InputError):
        ...     raise RecursionError
        Traceback (most recent call last):
        ...
        pumice.errors.InputError: a.json: is not a recipe, or is damaged (RecursionError)
    """
    try:
        yield
    except PumiceError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{path}: there is not enough memory to read it") from error
    except Exception as error:  # the system's, and what a damaged file happens to lead parsers to
        if isinstance(error, OSError) and error.strerror:
            raise family(f"{shown(path)}: {error.strerror}") from error
        if isinstance(error, ValueError) and (problem := path_problem(str(path))) is not None:
            raise family(f"{shown(path)}: {problem}") from error
        raise family(f"{shown(path)}: is not {what}, or is damaged ({first_line(error)})") from error


def shown(path: object) -> str:
    r"""A path as messages have it.

    Example:
        >>> shown("a.net"), shown("a\0.net")
        ('a.net', "'a\\x00.net'")
    """
    text = str(path)
    return text if text.isprintable() else repr(text)


def first_line(error: BaseException) -> str:
    r"""What an error says, in one line.

    Example:
        >>> first_line(ValueError("a\nb")), first_line(ValueError())
        ('a', 'ValueError')
    """
    return (str(error).splitlines() or [type(error).__name__])[0]


def file_size(path: Path) -> int:
    """Bytes of a regular file; devices, pipes and folders are none.

    Raises:
        OSError: It is not there, or no file.
        ValueError: It is no path; see `path_problem`.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(21, "Is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(22, "is no regular file")
    return found.st_size
