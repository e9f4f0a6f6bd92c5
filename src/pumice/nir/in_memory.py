"""A NIR graph where it is: in a file, or an object of the `nir` package, which is read as its file would be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from pumice.errors import InputError
from pumice.netx.fields import Node, open_file
from pumice.netx.tree import opened_tree

NirSource: TypeAlias = str | os.PathLike[str] | Any
"""Path of a file, or a `nir.NIRGraph`."""
# What follows from the rest; objects hold it, files of the package do not.
_NOT_STORED = ("input_type", "output_type")


def source_name(source: NirSource) -> str:
    """What a source is called in messages.

    Example:
        >>> source_name("network.nir")
        'network.nir'
    """
    return str(source) if isinstance(source, (str, os.PathLike)) else f"the {type(source).__name__} given"


@contextmanager
def opened(source: NirSource) -> Iterator[Node]:
    """The groups and fields of a file, or those of the file that a `nir.NIRGraph` would be written to.

    The `nir` package is not imported: an object that gives its fields by `to_dict()`, as the package's do, is read.

    Raises:
        FileFormatError: The file is missing or damaged.
        InputError: The object is no graph, or holds what no file can.
    """
    if isinstance(source, (str, os.PathLike)):
        with open_file(Path(source)) as root:
            yield root
        return
    where = source_name(source)
    as_dict = getattr(source, "to_dict", None)
    if as_dict is None:
        raise InputError(f"a path or a nir.NIRGraph is needed, got {type(source).__name__}")
    with opened_tree({"node": _tree(as_dict(), where)}, f"{where}:") as root:
        yield root


def _tree(fields: Any, where: str) -> dict[str, Any]:
    if not isinstance(fields, Mapping):
        raise InputError(f"{where}: to_dict() must give a dictionary, as a nir.NIRGraph's does")
    tree: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "nodes" and isinstance(value, Mapping):
            tree[name] = {node: _tree(_dictionary(inner), f"{where} {node!r}") for node, inner in value.items()}
        elif name == "metadata":
            tree |= {name: value} if value else {}
        elif name == "edges":
            tree[name] = [list(edge) for edge in value]
        elif name not in _NOT_STORED and value is not None:
            tree[name] = value
    return tree


def _dictionary(node: Any) -> Any:
    return node if isinstance(node, Mapping) else node.to_dict()
