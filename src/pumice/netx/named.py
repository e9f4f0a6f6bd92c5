"""Networks by name: from a folder, or by the user's own client of a hub."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from pumice.errors import InputError
from pumice.files.paths import possible_path
from pumice.files.text import name_problem
from pumice.ir import Graph
from pumice.names import unknown
from pumice.netx.reader import load

NETWORK, CARD = "network.net", "CARD.md"
Source: TypeAlias = str | os.PathLike[str] | Callable[[str], str | os.PathLike[str]]
"""A folder of networks, or a function that fetches one of a file `NAME/network.net` and gives its path."""


def networks_in(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The networks of a folder by name: its subfolders that hold a `network.net`, as `netx_exports` has them.

    Raises:
        InputError: There is no such folder.

    Example:
        >>> networks_in("nowhere")
        Traceback (most recent call last):
        pumice.errors.InputError: nowhere: is no folder; give one with a subfolder NAME/network.net for each network
    """
    root = possible_path(folder)
    if not root.is_dir():
        raise InputError(f"{folder}: is no folder; give one with a subfolder NAME/{NETWORK} for each network")
    return {path.parent.name: path for path in sorted(root.glob(f"*/{NETWORK}"))}


def load_named(name: str, source: Source) -> Graph:
    """Read a network by its name.

    pumice opens no connection: whoever wants networks from a hub passes its client, such as
    ``partial(huggingface_hub.hf_hub_download, "user/networks")``. What it gives is read as any file: untrusted, with
    limits, by its seal.

    Args:
        name: Of the network, `digits` for example; no path.
        source: A folder with `NAME/network.net` and perhaps `NAME/CARD.md`, or a function that takes such a relative
            path, with slashes, and gives the path of the file.

    Raises:
        InputError: The name is a path, there is no such network, or the function gives no path.
        FileFormatError: The file is damaged.

    Example:
        >>> import tempfile
        >>> from pumice.ir.builder import chain
        >>> from pumice.netx import save
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "small").mkdir()
        ...     _ = save(chain((4,), [2], seed=0), Path(folder) / "small/network.net")
        ...     load_named("small", folder).output.shape
        (2,)
    """
    return load(_file(name, NETWORK, source))


def read_card(name: str, source: Source) -> str:
    """The text of a network's card: what it does, how well, on which data, under which licence.

    Args:
        name: As for `load_named`.
        source: The same.

    Raises:
        InputError: As `load_named`; or there is no card, or it is no text.

    Example:
        >>> read_card("../digits", "netx_exports")
        Traceback (most recent call last):
        pumice.errors.InputError: a network's name is one word without separators, got '../digits'; pumice.load ...
    """
    path = _file(name, CARD, source)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the card cannot be read ({error})") from error


def _file(name: str, what: str, source: Source) -> Path:
    if name_problem(name) is not None:
        raise InputError(f"a network's name is one word without separators, got {name!r}; pumice.load reads a path")
    if not callable(source):
        known = networks_in(source)
        if name not in known:
            raise InputError(unknown(name, known, f"network in {source}"))
        return known[name].with_name(what)
    found = source(f"{name}/{what}")
    if not isinstance(found, (str, os.PathLike)):
        raise InputError(f"the function given must give the path of '{name}/{what}', got {type(found).__name__}")
    return Path(found)
