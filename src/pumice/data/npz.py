"""Arrays from .npz files that the user supplies: untrusted, so never unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import InputError


def read_npz(path: Path, names: Sequence[str]) -> tuple[npt.NDArray[Any], ...]:
    """The arrays called `names`.

    Raises:
        InputError: The file is missing or damaged, or lacks an array.
    """
    with _opened(path) as archive:
        try:
            return tuple(archive[name] for name in names)
        except KeyError as error:
            wanted = " and ".join(repr(name) for name in names)
            raise InputError(f"{path}: must hold the arrays {wanted} ({error.args[0]})") from error


def names_in_npz(path: Path) -> set[str]:
    """What the arrays are called.

    Raises:
        InputError: The file is missing or damaged.
    """
    with _opened(path) as archive:
        return set(archive.files)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise TypeError("a single array")
            with archive:
                yield archive
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; both train.npz and test.npz are needed") from error
    # A damaged archive, a truncated member, an array of Python objects (a pickle, which is never loaded), a .npy.
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as an npz file of integer arrays ({error})") from error
