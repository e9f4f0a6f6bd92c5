"""What pumice adds to a NetX file: the root group /pumice, which stock netx does not look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from pumice.errors import InputError
from pumice.files.text import name_problem, text_problem
from pumice.fixedpoint.formats import STATE
from pumice.ir import Certificate, Graph, Input, Population, Reset, Timing
from pumice.ir.digest import part_names
from pumice.ir.limits import SIGNED_32
from pumice.names import counted
from pumice.netx.fields import LARGE, MAX_TEXT_BYTES, Node

FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
SMALL_BYTES = 2048
"""Up to this size the index of a compressed field costs more than compression saves."""
CHAIN, GRAPH = "chain", "graph"


def put_text(group: h5py.Group, name: str, text: str) -> None:
    """Write one string of fixed length, UTF-8."""
    raw = text.encode()
    if not raw or b"\0" in raw or len(raw) > MAX_TEXT_BYTES:
        raise InputError(f"{name}: {text[:40]!r} cannot be stored (empty, too long, or with a NUL in it)")
    group.create_dataset(name, data=np.array(raw))


def put_packed(group: h5py.Group, name: str, values: npt.NDArray[Any]) -> None:
    """Write integers in the smallest type that holds them, compressed unless they are few."""
    array = np.asarray(values).astype(np.int64)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    small = array.astype(np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high)))
    if small.nbytes <= SMALL_BYTES:
        group.create_dataset(name, data=small)
    else:
        group.create_dataset(name, data=small, compression="gzip", shuffle=True)


def write_header(root: h5py.Group, graph: Graph, form: str) -> h5py.Group:
    """Write /pumice: everything but the populations' and synapses' numbers.

    Args:
        root: The file.
        graph: What is written.
        form: CHAIN if /layer holds the numbers, GRAPH if /pumice does.

    Returns:
        The group /pumice.
    """
    head = root.create_group("pumice")
    head.attrs["version"] = np.int64(FORMAT_VERSION)
    return put_header(head, graph, form)


def put_header(head: h5py.Group, graph: Graph, form: str) -> h5py.Group:
    """Write the same into a group that is there, without a version.

    Returns:
        The group.
    """
    put_text(head, "form", form)
    entry = head.create_group("input")
    put_text(entry, "name", graph.input.name)
    entry.create_dataset("shape", data=np.array(graph.input.shape, np.int64))
    if graph.input.value_range is not None:
        entry.create_dataset("value_range", data=np.array(graph.input.value_range, np.int64))
    groups = head.create_group("population")
    for index, population in enumerate(graph.populations):
        group = groups.create_group(str(index))
        put_text(group, "name", population.name)
        if population.reset is not None:
            group.create_dataset(
                "reset", data=np.array([population.reset.interval, population.reset.offset], np.int64)
            )
    names = [p.name for p in graph.populations]
    head.create_dataset("outputs", data=np.array([names.index(name) for name in graph.outputs], np.int64))
    if graph.timing is not None:
        head.create_dataset("timing", data=np.array(astuple(graph.timing), np.int64))
    for key, value in graph.info.items():
        if problem := name_problem(key) or text_problem(value):
            raise InputError(f"info {key[:40]!r} {problem}, and cannot be stored")
    if graph.info:
        put_text(head, "info", json.dumps(graph.info, sort_keys=True))
    if graph.certificate is not None:
        _write_certificate(head.create_group("certificate"), graph, graph.certificate)
    return head


def _write_certificate(group: h5py.Group, graph: Graph, certificate: Certificate) -> None:
    names = [p.name for p in graph.populations]
    parts = {*part_names(graph)}
    if (
        {*certificate.spikes} != {*graph.outputs}
        or {*certificate.spike_counts} != {*names}
        or {*certificate.state_digests} != {*names}
        or {*(certificate.graph_digests or parts)} != parts
        or certificate.x.shape[1:] != graph.input.shape
        or any(spikes.shape[1:] != graph.shape_of(name) for name, spikes in certificate.spikes.items())
    ):
        raise InputError(
            "the certificate is of a graph with other populations or outputs; certify this one (pumice.certify), or "
            "save it without: graph.replace(certificate=None)"
        )
    put_packed(group, "x", certificate.x)
    spikes = group.create_group("spikes")
    for index, name in enumerate(graph.outputs):
        put_packed(spikes, str(index), certificate.spikes[name])
    group.create_dataset("spike_counts", data=np.array([certificate.spike_counts[n] for n in names], np.int64))
    group.create_dataset("state_digests", data=_packed([certificate.state_digests[n] for n in names]))
    if certificate.graph_digests is not None:
        group.create_dataset("graph_digests", data=_packed([certificate.graph_digests[n] for n in part_names(graph)]))


def _packed(digests: list[str]) -> npt.NDArray[np.uint8]:
    """Digests of 32 bytes each."""
    return np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)


def check_version(head: Node) -> str:
    """The form of the file, after its version was found to be known.

    Raises:
        FileFormatError: The file is of another version.
    """
    version = head.attribute("version")
    if version not in READABLE_VERSIONS:
        hint = "; update pumice to read it" if version is not None and version > FORMAT_VERSION else ""
        readable = " and ".join(map(str, READABLE_VERSIONS))
        raise head.error(f"format version {version} is not known, this pumice reads {readable}{hint}")
    form = head.text("form")
    if form not in (CHAIN, GRAPH):
        raise head.error(f"must be {CHAIN!r} or {GRAPH!r}, got {form!r}", "form")
    return form


def known_only(node: Node, known: Sequence[str]) -> None:
    """Refuse fields that this version does not know: they might change what the network does."""
    if unknown := [name for name in node.names() if name not in known]:
        raise node.error(f"unknown field; known are {', '.join(known)}", unknown[0])


def numbered(node: Node) -> Iterator[Node]:
    """The groups "0", "1", ... of a group that must hold nothing else."""
    names = node.names()
    if sorted(names, key=lambda n: (len(n), n)) != [str(i) for i in range(len(names))]:
        raise node.error(f"must hold 0 to {len(names) - 1}, got {', '.join(names[:8])}")
    return (node.child(str(i)) for i in range(len(names)))


def read_input(head: Node) -> Input:
    """The network's input."""
    node = head.child("input")
    known_only(node, ("name", "shape", "value_range"))
    value_range = None
    if "value_range" in node:
        values = node.integers("value_range", *SIGNED_32)
        if values.shape != (2,) or values[0] > values[1]:
            raise node.error("must be the smallest and the largest value", "value_range")
        value_range = int(values[0]), int(values[1])
    return Input(node.name(), node.shape(), value_range)


def read_reset(node: Node) -> Reset | None:
    """A population's reset."""
    if "reset" not in node:
        return None
    values = node.integers("reset", 0, LARGE)
    if values.shape != (2,) or values[0] < 1:
        raise node.error("must be interval >= 1 and offset", "reset")
    return Reset(int(values[0]), int(values[1]))


def read_outputs(head: Node, populations: Sequence[Population]) -> tuple[str, ...]:
    """Names of the output populations."""
    indices = head.integers("outputs", 0, len(populations) - 1).reshape(-1)
    if len(indices) > len(populations):
        raise head.error(f"names {len(indices)} outputs of {len(populations)} populations", "outputs")
    return tuple(populations[int(i)].name for i in indices)


def with_header(graph: Graph, head: Node) -> Graph:
    """The graph with timing, info and certificate from the file."""
    timing = None
    if "timing" in head:
        values = head.integers("timing", 0, LARGE)
        if values.shape not in ((2,), (3,)):
            raise head.error("must be sample_steps, period_steps and lead_steps", "timing")
        timing = Timing(*map(int, values))
    info = _read_info(head) if "info" in head else {}
    certificate = _read_certificate(head.child("certificate"), graph) if "certificate" in head else None
    return graph.replace(timing=timing, info=info, certificate=certificate)


def _read_info(head: Node) -> dict[str, str]:
    text = head.text("info")
    try:
        info = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise head.error("is not JSON", "info") from error
    if not isinstance(info, dict) or not all(isinstance(v, str) for v in info.values()):
        raise head.error("must be a JSON object of strings", "info")
    for key, value in info.items():
        if problem := name_problem(key) or text_problem(value):
            raise head.error(f"{key!r} {problem}", "info")
    return info


def _read_certificate(node: Node, graph: Graph) -> Certificate:
    known_only(node, ("x", "spikes", "spike_counts", "state_digests", "graph_digests"))
    names = [p.name for p in graph.populations]
    x = node.integers("x", *STATE)
    if x.shape[1:] != graph.input.shape or not len(x):
        raise node.error(f"must have shape (T, {', '.join(map(str, graph.input.shape))}), got {x.shape}", "x")
    group = node.child("spikes")
    known_only(group, [str(i) for i in range(len(graph.outputs))])
    spikes = {}
    for index, name in enumerate(graph.outputs):
        spikes[name] = group.integers(str(index), *SIGNED_32)
        if spikes[name].shape != (len(x), *graph.shape_of(name)):
            raise group.error(f"must have shape {(len(x), *graph.shape_of(name))}", str(index))
    counts = node.integers("spike_counts", 0, 2**62)
    if counts.shape != (len(names),):
        raise node.error(f"must be one for each of {counted(len(names), 'population')}", "spike_counts")
    return Certificate(
        x=x.astype(np.int32),
        spikes={name: values.astype(np.int32) for name, values in spikes.items()},
        spike_counts={name: int(n) for name, n in zip(names, counts, strict=True)},
        state_digests=_read_digests(node, "state_digests", names),
        graph_digests=_read_digests(node, "graph_digests", part_names(graph)) if "graph_digests" in node else None,
    )


def _read_digests(node: Node, name: str, of: list[str]) -> dict[str, str]:
    digests = node.integers(name, 0, 255)
    if digests.shape != (len(of), 32):
        raise node.error(f"must be {len(of)} digests of 32 bytes, got shape {digests.shape}", name)
    return {key: bytes(digest.astype(np.uint8)).hex() for key, digest in zip(of, digests, strict=True)}
