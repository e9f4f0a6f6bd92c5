"""A NIR file as plain nodes and edges: nested graphs flattened to dotted names, every field checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.errors import FileFormatError
from pumice.netx.fields import MAX_VALUES, Node
from pumice.nir.in_memory import NirSource, opened

FloatArray = npt.NDArray[np.float64]
MAX_NODES = 10_000
MAX_NESTING = 16
GRAPH, INNER = "NIRGraph", "Identity"

# type -> required fields, optional fields. A file may say no more than this: an unknown field could mean anything.
_CONV = (("weight", "stride", "padding", "dilation", "groups"), ("bias", "input_shape"))
_POOL = (("kernel_size", "stride", "padding"), ())
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": (("shape",), ()),
    "Output": ((), ("shape",)),
    "Affine": (("weight", "bias"), ()),
    "Linear": (("weight",), ()),
    "Conv1d": _CONV,
    "Conv2d": _CONV,
    "SumPool2d": _POOL,
    "AvgPool2d": _POOL,
    "Flatten": ((), ("start_dim", "end_dim", "input_type")),
    "Scale": (("scale",), ()),
    "Threshold": (("threshold",), ()),
    "Delay": (("delay",), ()),
    "I": (("r",), ()),
    "LI": (("tau", "r", "v_leak"), ()),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
    "CubaLI": (("tau_syn", "tau_mem", "r", "v_leak"), ("w_in",)),
    "CubaLIF": (("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"), ("w_in", "v_reset")),
}


@dataclass(frozen=True, eq=False)
class NirNode:
    """One node of the flattened graph.

    Attributes:
        name: As in the file; nodes of nested graphs are called `outer.inner`.
        type: A key of `FIELDS`, or "Identity" (input or output of a nested graph).
        fields: Numbers as float64 or int64; texts as they are.
        where: Place in the file, for messages.
    """

    name: str
    type: str
    fields: dict[str, Any]
    where: str

    def error(self, message: str) -> FileFormatError:
        """An error that says where in the file it is."""
        return FileFormatError(f"{self.where}: {self.type} {self.name!r}: {message}")

    def floats(self, field: str, default: float | None = None) -> FloatArray:
        """A field as float64."""
        if field not in self.fields and default is not None:
            return np.array(default)
        return np.asarray(self.fields[field], np.float64)

    def whole(self, field: str, low: int, default: int | None = None) -> tuple[int, ...]:
        """A field of integers >= low, flat."""
        if field not in self.fields and default is not None:
            return (default,)
        values = np.asarray(self.fields[field])
        if values.dtype.kind not in "iuf" or not values.size or np.any(values != np.trunc(values)):
            raise self.error(f"{field} must hold integers, got {self.fields[field]!r}")
        if values.min() < low or values.max() > MAX_VALUES:
            raise self.error(f"{field} must lie in {low}..{MAX_VALUES}, got {values.reshape(-1).tolist()[:4]}")
        return tuple(int(v) for v in values.reshape(-1))

    def one(self, field: str, low: int, default: int | None = None) -> int:
        """A field that is one integer >= low."""
        values = self.whole(field, low, default)
        if len(values) != 1:
            raise self.error(f"{field} must be one number, got {len(values)}")
        return values[0]


@dataclass(frozen=True, eq=False)
class NirFile:
    """What a NIR file says: nodes by name, and (source, target) edges."""

    where: str
    nodes: dict[str, NirNode]
    edges: tuple[tuple[str, str], ...]

    def error(self, message: str) -> FileFormatError:
        """An error that names the file."""
        return FileFormatError(f"{self.where} {message}")

    def into(self, name: str) -> list[str]:
        """Sources of the edges into a node."""
        return self._ends[0].get(name, [])

    def out_of(self, name: str) -> list[str]:
        """Targets of the edges out of a node."""
        return self._ends[1].get(name, [])

    @cached_property
    def _ends(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        sources: dict[str, list[str]] = {}
        targets: dict[str, list[str]] = {}
        for source, target in self.edges:
            sources.setdefault(target, []).append(source)
            targets.setdefault(source, []).append(target)
        return sources, targets


def read_nir(source: NirSource) -> NirFile:
    """Read a NIR file (HDF5), or an object of the `nir` package, with NetX's hardened reader.

    Node names with a slash, which HDF5 takes for nested groups, are put together again, with _ in its place: names
    of populations hold no separators.

    Raises:
        FileFormatError: The file is missing, damaged, no NIR file, or holds a node or field that is not known.
    """
    with opened(source) as root:
        if "node" not in root:
            netx = "a NetX network, which pumice.load and pumice's other commands read"
            kind = netx if "layer" in root or "pumice" in root else "no NIR file"
            raise root.error(f"has no group 'node': it is {kind}")
        nodes: dict[str, NirNode] = {}
        edges = _read_graph(root.child("node"), "", nodes, 0)
        file = NirFile(root.where, nodes, tuple(dict.fromkeys(edges)))
    for edge in file.edges:
        for name in edge:
            if name not in nodes:
                known = ", ".join(sorted(nodes)[:12])
                raise file.error(
                    f"the edge {edge[0]!r} -> {edge[1]!r} names {name!r}, which is no node; there are {known}"
                )
        source, target = (nodes[name] for name in edge)
        if source.type == "Output":
            raise source.error(f"an edge leads from it to {target.name!r}; let it start at what enters the Output")
        if target.type == "Input":
            raise target.error(f"an edge leads to it from {source.name!r}; nothing but the network's input enters it")
    return file


def _read_graph(group: Node, prefix: str, nodes: dict[str, NirNode], depth: int) -> list[tuple[str, str]]:
    if depth > MAX_NESTING:
        raise group.error(f"graphs are nested more than {MAX_NESTING} deep")
    if group.text("type") != GRAPH:
        raise group.error(f"must be a {GRAPH}, got {group.text('type')!r}", "type")
    ends: dict[str, tuple[list[str], list[str]]] = {}
    edges: list[tuple[str, str]] = []
    inner: dict[str, list[str]] = {"Input": [], "Output": []}
    for name, node in _entries(group.child("nodes"), "", 0):
        kind, full = node.text("type"), prefix + name
        if full in nodes or full in ends:
            raise node.error(
                f"the name {full!r} is used twice (a nested graph's nodes are called outer.inner, and / becomes _); "
                "rename one"
            )
        if kind == GRAPH:
            before = set(nodes)
            edges += _read_graph(node, full + ".", nodes, depth + 1)
            own = [n for n in nodes if n not in before and "." not in n[len(full) + 1 :]]
            ends[full] = (
                [n for n in own if nodes[n].fields.get("end") == "Input"],
                [n for n in own if nodes[n].fields.get("end") == "Output"],
            )
            continue
        nodes[full] = _read_node(node, full, kind, depth)
        if kind in inner:
            inner[kind].append(full)
        if len(nodes) > MAX_NODES:
            raise group.error(f"holds more than {MAX_NODES} nodes")
    return edges + [_joined(group, prefix, edge, ends) for edge in _edges(group)]


def _joined(
    group: Node, prefix: str, edge: tuple[str, str], ends: dict[str, tuple[list[str], list[str]]]
) -> tuple[str, str]:
    """An edge to or from a nested graph leads to its input, or from its output."""
    full = []
    for side, name in zip((1, 0), edge, strict=True):
        found = prefix + name
        if found in ends:
            inside = ends[found][side]
            if len(inside) != 1:
                what = "outputs" if side else "inputs"
                raise group.error(f"the nested graph {found!r} has {len(inside)} {what}; an edge needs exactly one")
            found = inside[0]
        full.append(found)
    return full[0], full[1]


def _entries(group: Node, prefix: str, depth: int) -> list[tuple[str, Node]]:
    found = []
    for name in group.names():
        child = group.child(name)
        if "type" in child and not child.is_group("type"):
            found.append((prefix + name, child))
        elif depth < MAX_NESTING:
            if not child.names():
                raise child.error("is an empty group: a node needs a type")
            found += _entries(child, f"{prefix}{name}_", depth + 1)
        else:
            raise child.error(f"groups are nested more than {MAX_NESTING} deep")
    return found


def _edges(group: Node) -> list[tuple[str, str]]:
    if "edges" not in group:
        raise group.error("has no edges")
    if not group.is_text("edges"):
        raise group.error("must be pairs of node names; a graph without edges computes nothing", "edges")
    texts = [text.replace("/", "_") for text in group.texts("edges")]
    if len(texts) % 2:
        raise group.error(f"must be pairs of node names, got {len(texts)} names", "edges")
    return list(zip(texts[::2], texts[1::2], strict=True))


def _read_node(node: Node, name: str, kind: str, depth: int) -> NirNode:
    if kind not in FIELDS:
        raise node.error(
            f"{name!r} is of type {kind!r}, which is not known; known are {', '.join(FIELDS)} and "
            f"{GRAPH}. Express it "
            "by these, or train the network with pumice.nn"
        )
    required, optional = FIELDS[kind]
    present = [n for n in node.names() if n not in ("type", "metadata")]
    if missing := [n for n in required if n not in present]:
        raise node.error(f"the {kind} {name!r} has no {missing[0]!r}")
    if unknown := [n for n in present if n not in (*required, *optional)]:
        raise node.error(
            f"unknown field of the {kind} {name!r}; known are {', '.join((*required, *optional))}", unknown[0]
        )
    fields: dict[str, Any] = {}
    for field in present:
        fields[field] = node.text(field) if node.is_text(field) else node.numbers(field)
        if isinstance(fields[field], str) and field != "padding":
            raise node.error("must hold numbers, got a text", field)
        if field in required and not np.size(fields[field]):
            raise node.error("must hold at least one number, got none", field)
    if depth and kind in ("Input", "Output"):
        return NirNode(name, INNER, {"end": kind}, node.where)
    return NirNode(name, kind, fields, node.where)
