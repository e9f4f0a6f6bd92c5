"""HDF5 files of nested dictionaries, which may hold a graph in the graph form."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pumice.errors import FileFormatError, GraphError, InputError
from pumice.files.limits import Budget
from pumice.files.write import replace_atomically
from pumice.ir import Graph, verify_graph
from pumice.netx.extension import put_graph, read_graph
from pumice.netx.fields import Node
from pumice.netx.header import GRAPH, SMALL_BYTES, put_header, with_header


def write_tree(path: Path, tree: Mapping[str, Any]) -> None:
    """Write a file that appears whole or not at all; the same tree gives the same bytes.

    Args:
        path: The file; an existing one is replaced.
        tree: Name -> a tree (a group), text, pairs of texts, numbers of any shape, or a valid graph.

    Raises:
        InputError: The file, or something in it, cannot be written.
    """
    with replace_atomically(path) as temporary, h5py.File(temporary, "w") as file:
        _put(file, tree)


@contextmanager
def opened_tree(tree: Mapping[str, Any], where: str) -> Iterator[Node]:
    """Read a tree as the file that `write_tree` would make of it, without one.

    Args:
        tree: As for `write_tree`.
        where: What it is, for messages.

    Raises:
        InputError: Something in it cannot be written.
    """
    buffer = io.BytesIO()
    try:
        with h5py.File(buffer, "w") as file:
            _put(file, tree)
    except (TypeError, ValueError, OSError, RuntimeError) as error:  # whatever h5py makes of an object or a name
        raise InputError(f"{where}: cannot be stored as HDF5 ({error})") from error
    with h5py.File(buffer, "r") as file:
        yield Node(file, where, Budget(where, buffer.getbuffer().nbytes))


def read_embedded(node: Node) -> Graph:
    """Read a graph that `write_tree` wrote.

    Raises:
        FileFormatError: A field is missing, unknown or out of range, or the graph is not valid.
    """
    try:
        return with_header(verify_graph(read_graph(node)), node)
    except GraphError as error:
        raise FileFormatError(f"{node.where}: {error}") from error


def _put(group: h5py.Group, tree: Mapping[str, Any]) -> None:
    for name, value in tree.items():
        if isinstance(value, Graph):
            put_graph(put_header(group.create_group(name), value, GRAPH), value)
        elif isinstance(value, Mapping):
            _put(group.create_group(name), value)
        elif isinstance(value, str | list):
            if not value:
                raise InputError(f"{name}: there is nothing to write")
            group.create_dataset(name, data=value, dtype=h5py.string_dtype())
        else:
            array = np.asarray(value)
            packed = {"compression": "gzip", "shuffle": True} if array.nbytes > SMALL_BYTES else {}
            group.create_dataset(name, data=array, **packed)
