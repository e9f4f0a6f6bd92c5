"""Graph -> NetX file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import h5py

from pumice.errors import FileFormatError, InputError
from pumice.files.paths import possible_path
from pumice.files.seal import sealed
from pumice.files.write import write_bytes
from pumice.ir import Graph, verify_graph
from pumice.netx.chain_writer import Link, chain_links, write_chain
from pumice.netx.extension import write_graph
from pumice.netx.header import CHAIN, GRAPH, write_header

SUFFIXES = (".net", ".h5", ".hdf5")


def network_path(path: str | os.PathLike[str]) -> Path:
    """The path, if a network may be written to a file of this name.

    Raises:
        InputError: It is no path, or has another suffix than `SUFFIXES`.
    """
    file = possible_path(path)
    if file.suffix not in SUFFIXES:
        raise InputError(f"{file}: the name of a network file must end in .net (or .h5, .hdf5)")
    return file


def save(graph: Graph, path: str | os.PathLike[str], *, require_stock: bool = False) -> None:
    """Write a graph as NetX HDF5; the format is described in FORMAT.md beside this file.

    A chain that stock netx runs with equal output is written exactly as lava-dl writes it. Any other graph is
    written in a form that stock netx refuses. The file appears whole or not at all, the same graph gives the same
    bytes, and at its end stands their digest, which `load` holds it to.

    Args:
        graph: Any valid graph.
        path: The file, `*.net` (or `*.h5`, `*.hdf5`); an existing one is replaced.
        require_stock: Raise if stock netx could not run the file.

    Raises:
        GraphError: The graph is not valid.
        FileFormatError: `require_stock`, and the graph is no stock chain; the message says why.
        InputError: What is given is no graph, the file's suffix is another, or it cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pumice.ir.builder import chain
        >>> from pumice.netx import load
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(chain((4,), [3, 2], seed=0), Path(folder) / "small.net")
        ...     [p.name for p in load(Path(folder) / "small.net").populations]
        ['dense0', 'dense1']
    """
    file_path = network_path(path)
    verify_graph(graph)
    links = chain_links(graph)
    if require_stock and isinstance(links, str):
        raise FileFormatError(f"stock netx cannot run this graph: {links}")
    write_bytes(file_path, sealed(_content(graph, links)))


def _content(graph: Graph, links: list[Link] | str) -> bytes:
    """The file, made in memory: the HDF5 library reports a full disk without its reason, and on stderr."""
    name = secrets.token_hex(8)  # the library opens no two files of one name
    with h5py.File(name, "w", driver="core", backing_store=False) as file:
        if isinstance(links, str):
            write_graph(file, write_header(file, graph, GRAPH), graph)
        else:
            write_chain(file, graph, links)
            head = write_header(file, graph, CHAIN)
            head.create_dataset("graded", data=links[0].forward.graded)
        file.flush()
        return bytes(file.id.get_file_image())
