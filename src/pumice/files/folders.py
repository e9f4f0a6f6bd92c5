"""Folders that results are written to."""

from __future__ import annotations

from pathlib import Path

from pumice.errors import InputError
from pumice.files.paths import possible_path
from pumice.files.reading import shown


def make_folder(folder: Path) -> None:
    """Make a folder, with its parents, if it is not there.

    Raises:
        InputError: It cannot be made, or there is a file of this name.
    """
    try:
        possible_path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{shown(folder)}: cannot be made a folder ({error.strerror or error})") from error
