"""SHA-256 of every part of a graph: equal for graphs that say the same, however their numbers are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.ir.graph import Graph
from pumice.ir.kinds import check_known
from pumice.ir.populations import Population
from pumice.ir.reset import Reset
from pumice.ir.synapses import Synapse

IntArray = npt.NDArray[np.integer[Any]]

VERSION = "pumice graph 1"
"""Hashed with every part. Digests are in files: what is hashed for a graph must stay as it is, or get a new name."""
CHUNK = 1 << 20
"""So many numbers are hashed at a time."""


def part_names(graph: Graph) -> list[str]:
    """What `graph_digests` tells apart, in its order.

    Example:
        >>> from pumice.ir.builder import chain
        >>> part_names(chain((4,), [3], seed=0))[3:]
        ['the timing', 'population dense0', 'the synapses into dense0']
    """
    named = ([f"population {p.name}", f"the synapses into {p.name}"] for p in graph.populations)
    return ["the input", "the order of populations", "the outputs", "the timing", *chain.from_iterable(named)]


def graph_digests(graph: Graph) -> dict[str, str]:
    """The digest of each part of a graph: its input, outputs, timing, and each population with what enters it.

    Everything counts but the certificate and `info`. How it is stored does not count: the type and memory order of
    arrays, whether what is the same for all neurons is one number or an array, and the order of synapses.

    Args:
        graph: Any graph.

    Raises:
        GraphError: It holds a kind of population or synapse that is not known.

    Example:
        >>> from pumice.ir.builder import chain
        >>> a, b = (graph_digests(chain((4,), [3, 2], seed=0, vth_mant=vth)) for vth in (64, 65))
        >>> [part for part in a if a[part] != b[part]]
        ['population dense0', 'population dense1']
    """
    check_known(graph)
    parts = [_sha(_input(graph)), _sha(_names(graph)), _sha(map(repr, graph.outputs)), _sha(_timing(graph))]
    for p in graph.populations:
        synapses = sorted(_sha(_synapse(graph, s)) for s in graph.into(p.name))
        parts += [_sha(_population(p)), _sha(synapses)]
    return dict(zip(part_names(graph), parts, strict=True))


def first_changed_part(certified: dict[str, str], found: dict[str, str]) -> str | None:
    """The first part whose digest differs, or which only one of the two graphs has; None if they are equal."""
    return next((part for part in {**certified, **found} if certified.get(part) != found.get(part)), None)


def _sha(content: Iterable[str | bytes]) -> str:
    sha = hashlib.sha256(VERSION.encode())
    for item in content:
        sha.update(b"\n" + item if isinstance(item, bytes) else f"\n{item}".encode())
    return sha.hexdigest()


def _input(graph: Graph) -> Iterator[str]:
    value_range = graph.input.value_range
    yield repr(graph.input.name)
    yield repr(_ints(graph.input.shape))
    yield repr(value_range and _ints(value_range))


def _names(graph: Graph) -> Iterator[str]:
    return (repr(p.name) for p in graph.populations)


def _timing(graph: Graph) -> Iterator[str]:
    t = graph.timing
    yield repr(t and _ints((t.sample_steps, t.period_steps, t.lead_steps)))


def _population(p: Population) -> Iterator[str | bytes]:
    yield f"{type(p).__name__} {p.name!r} {_ints(p.shape)}"
    unbiased = hasattr(p, "bias_exp") and not np.any(getattr(p, "bias_mant", 0))
    for field in fields(p):
        if field.name == "bias_exp" and unbiased:
            continue  # it means nothing then, and the chain form of files does not hold it
        if field.name not in ("name", "shape"):
            yield from _field(field.name, getattr(p, field.name), exact=False)


def _synapse(graph: Graph, s: Synapse) -> Iterator[str | bytes]:
    yield f"{type(s).__name__} {s.source!r} {s.target!r} {s.part!r}"
    yield repr(_ints(s.target_channels or (0, graph.shape_of(s.target)[-1])))
    for field in fields(s):
        if field.name not in ("source", "target", "part", "target_channels"):
            # Of arrays that nothing else may stand for (weights), the shape counts; others broadcast.
            yield from _field(field.name, getattr(s, field.name), exact=field.type == "IntArray")


def _field(name: str, value: Any, *, exact: bool) -> Iterator[str | bytes]:
    if isinstance(value, Reset):
        value = (value.interval, value.offset)
    if value is None:
        yield f"{name} None"
        return
    array = np.asarray(value)
    array = array if exact else _simplest(array)
    yield f"{name} {_ints(array.shape)}"
    flat = array.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        yield flat[start : start + CHUNK].astype("<i8").tobytes()


def _simplest(array: IntArray) -> IntArray:
    """The smallest array that broadcasts to the same values.

    Example:
        >>> _simplest(np.array([[7, 7], [7, 7]])).shape, _simplest(np.array([[1, 2], [1, 2]])).shape
        ((), (2,))
    """
    for axis in range(array.ndim):
        first = array.take([0], axis) if array.size else array
        array = first if np.array_equal(np.broadcast_to(first, array.shape), array) else array
    while array.ndim and len(array) == 1:
        array = array[0]
    return array


def _ints(values: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(n) for n in values)
