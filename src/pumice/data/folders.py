"""Where a dataset's files are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pumice.errors import InputError
from pumice.files.paths import possible_path


def find_layout(name: str, root: str | Path | None, layouts: Mapping[str, tuple[str, ...]]) -> tuple[str, Path]:
    """Which of a dataset's layouts is in the user's folder, or in its sub-folder called `name`.

    Args:
        name: The dataset's name.
        root: The folder that the user names.
        layouts: Layout -> the files or folders by which it is known, relative to the folder.

    Returns:
        The layout's name and the folder that holds it.

    Raises:
        InputError: No folder is named, it does not exist, or it holds none of the layouts.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "train.npz").touch()
        ...     find_layout("mnist", folder, {"npz": ("train.npz",), "raw": ("MNIST/raw",)})[0]
        'npz'
    """
    wanted = " or ".join(f"{', '.join(files)} ({layout})" for layout, files in layouts.items())
    if root is None:
        raise InputError(f"the {name} dataset needs a folder: --data-root DIR with {wanted}; nothing is downloaded")
    folder = possible_path(root)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; --data-root must name the folder that holds {name}: {wanted}")
    for place in (folder, folder / name):
        for layout, files in layouts.items():
            if all((place / file).exists() for file in files):
                return layout, place
    raise InputError(f"{folder}: {name} is not there; looked for {wanted}, there and in its sub-folder {name}")
