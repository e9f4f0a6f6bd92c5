"""What a NIR file of ours holds beside its nodes: the exact graph, bound to the nodes by a digest."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from pumice.errors import FileFormatError
from pumice.ir import Graph, graph_digests
from pumice.netx.fields import Node
from pumice.netx.tree import read_embedded
from pumice.nir.in_memory import NirSource, opened
from pumice.nir.reader import GRAPH, NirFile, NirNode

VERSION = 1
NIR_VERSION = "1.0"
"""What `/version` says: that of the nir package which wrote the file, in most files."""
KEY = "pumice"
# What these say follows from the rest, and tools add or drop them.
_DERIVED = ("input_shape", "input_type")


def file_tree(file: NirFile, graph: Graph, dt: float) -> dict[str, Any]:
    """The groups and fields of a whole NIR file."""
    nodes = {name: {"type": node.type, **node.fields} for name, node in file.nodes.items()}
    own = {"version": VERSION, "dt": dt, "digest": _digest(file, graph), "graph": graph.replace(certificate=None)}
    tree = {"type": GRAPH, "nodes": nodes, "edges": list(file.edges), "metadata": {KEY: own}}
    return {"version": NIR_VERSION, "node": tree}


def read_exported(source: NirSource, file: NirFile) -> Graph | str:
    """The graph that `to_nir` wrote into a file, if the file's nodes are still those of this graph.

    Args:
        source: The file, or the object.
        file: Its nodes.

    Returns:
        The graph; else why there is none, for the report: a line, or nothing where pumice did not write the file.
    """
    with opened(source) as root:
        node = root.child("node")
        if "metadata" not in node or not node.is_group("metadata") or KEY not in node.child("metadata"):
            return ""
        try:
            return _read(node.child("metadata").child(KEY), file)
        except FileFormatError as error:
            return f"Its metadata of pumice cannot be read, so that it is read as any other NIR file: {error}"


def _read(node: Node, file: NirFile) -> Graph | str:
    if (version := node.integer("version", 0, 2**31)) != VERSION:
        return (
            f"Its metadata of pumice is of version {version}, this pumice reads {VERSION}: it is read as any "
            "other NIR file."
        )
    graph = read_embedded(node.child("graph")).replace(certificate=None)  # none is written
    if node.text("digest") == _digest(file, graph):
        return graph
    dt = np.asarray(node.numbers("dt")).reshape(-1)
    return (
        "Written by pumice and changed since by another tool: it is read as any other NIR file, not by its metadata. "
        f"It was written with dt = {dt[0] if dt.size else '?'}."
    )


def _digest(file: NirFile, graph: Graph) -> str:
    """Of all that nodes and edges say, in any order, and of the graph that they were made of."""
    sha = hashlib.sha256(f"pumice NIR {VERSION}".encode())
    for name in sorted(file.nodes):
        _add_node(sha, file.nodes[name])
    lines = [repr(edge) for edge in sorted(set(file.edges))]
    lines += [f"{part} {digest}" for part, digest in graph_digests(graph).items()]
    sha.update("\n".join([*lines, repr(sorted(graph.info.items()))]).encode())
    return sha.hexdigest()


def _add_node(sha: Any, node: NirNode) -> None:
    sha.update(f"\n{node.name!r} {node.type}\n".encode())
    for field in sorted(node.fields):
        value = node.fields[field]
        if field in _DERIVED or (node.type == "Output" and field == "shape"):
            continue
        if isinstance(value, str):
            sha.update(f"{field} {value!r}\n".encode())
            continue
        # Whatever their type in the file: all integers that are written are exact in float64.
        array = np.asarray(value, np.float64) + 0.0  # and -0 is 0
        sha.update(f"{field} {array.shape}\n".encode() + array.astype("<f8").tobytes())
