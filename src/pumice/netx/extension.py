"""Graphs that are no stock chain: their numbers are in /pumice, and /layer makes stock netx fail at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from pumice.ir import Conv, Cuba, Dense, Direct, Graph, Synapse
from pumice.netx.fields import LARGE, Node
from pumice.netx.header import (
    known_only,
    numbered,
    put_packed,
    put_text,
    read_input,
    read_outputs,
    read_reset,
)

STOCK_STOPPER = b"concat"
"""A layer type for which stock netx raises NotImplementedError; types it does not know it would skip."""

_GEOMETRY = (("stride", 1), ("padding", 0), ("dilation", 1))


def write_graph(root: h5py.Group, head: h5py.Group, graph: Graph) -> None:
    """Write populations and synapses into /pumice.

    Args:
        root: The file.
        head: Its group /pumice, header written.
        graph: What is written.
    """
    stopper = root.create_group("layer").create_group("0")
    stopper.create_dataset("type", (1,), "S10", np.array([STOCK_STOPPER]))
    stopper.create_dataset("shape", data=np.array(graph.output.shape[::-1], np.int64))
    for index, population in enumerate(graph.populations):
        group = head["population"][str(index)]
        put_text(group, "type", "CUBA")
        group.create_dataset("shape", data=np.array(population.shape, np.int64))
        put_packed(group, "iDecay", np.asarray(population.i_decay_q12))
        put_packed(group, "vDecay", np.asarray(population.v_decay_q12))
        put_packed(group, "vThMant", np.asarray(population.vth_mant))
        put_packed(group, "bias", np.asarray(population.bias_mant))
        put_packed(group, "biasExp", np.asarray(population.bias_exp))
    synapses = head.create_group("synapse")
    for index, synapse in enumerate(graph.synapses):
        group = synapses.create_group(str(index))
        kind = next(name for name, (cls, _) in _KINDS.items() if type(synapse) is cls)
        put_text(group, "type", kind)
        put_text(group, "source", synapse.source)
        put_text(group, "target", synapse.target)
        put_packed(group, "graded", np.asarray(synapse.graded))
        if isinstance(synapse, Dense | Conv):
            put_packed(group, "weight", synapse.weight)
            put_packed(group, "delay", np.asarray(synapse.delay_steps))
        if isinstance(synapse, Dense):
            put_packed(group, "weightExp", np.asarray(synapse.weight_exp))
        if isinstance(synapse, Conv):
            for name, _ in _GEOMETRY:
                put_packed(group, name, np.array(getattr(synapse, name)))
            put_packed(group, "groups", np.asarray(synapse.groups))


def read_graph(head: Node) -> Graph:
    """Read populations and synapses from /pumice.

    Args:
        head: The group /pumice.

    Raises:
        FileFormatError: A field is missing, unknown or out of range.
    """
    known_only(head, ("form", "input", "population", "synapse", "outputs", "timing", "info", "certificate"))
    populations = tuple(_population(node) for node in numbered(head.child("population")))
    if not populations:
        raise head.error("there is no population", "population")
    synapses = tuple(_synapse(node) for node in numbered(head.child("synapse")))
    return Graph(read_input(head), populations, synapses, read_outputs(head, populations))


def _population(node: Node) -> Cuba:
    known_only(node, ("name", "type", "shape", "iDecay", "vDecay", "vThMant", "bias", "biasExp", "reset"))
    if (kind := node.text("type")) != "CUBA":
        raise node.error(f"neuron type {kind!r} is not known", "type")
    return Cuba(
        node.text("name"),
        node.shape(),
        vth_mant=node.integer("vThMant", 0, 2**18 - 1),
        i_decay_q12=_number_or_array(node, "iDecay", 0, 4096),
        v_decay_q12=_number_or_array(node, "vDecay", 0, 4096),
        bias_mant=_number_or_array(node, "bias", -(2**15), 2**15 - 1),
        bias_exp=node.integer("biasExp", 0, 7),
        reset=read_reset(node),
    )


def _synapse(node: Node) -> Synapse:
    kind = node.text("type")
    if kind not in _KINDS:
        raise node.error(f"synapse type {kind!r} is not known; known are {', '.join(_KINDS)}", "type")
    cls, read = _KINDS[kind]
    arguments: dict[str, Any] = {"graded": bool(node.integer("graded", 0, 1)), **read(node)}
    return cls(node.text("source"), node.text("target"), **arguments)


def _direct(node: Node) -> dict[str, Any]:
    known_only(node, ("type", "source", "target", "graded"))
    return {}


def _dense(node: Node) -> dict[str, Any]:
    known_only(node, ("type", "source", "target", "graded", "weight", "delay", "weightExp"))
    return {
        "weight": node.integers("weight", -LARGE, LARGE),
        "weight_exp": node.integer("weightExp", 0, 7),
        "delay_steps": _number_or_array(node, "delay", 0, LARGE),
    }


def _conv(node: Node) -> dict[str, Any]:
    geometry = [name for name, _ in _GEOMETRY]
    known_only(node, ("type", "source", "target", "graded", "weight", "delay", "groups", *geometry))
    return {
        "weight": node.integers("weight", -LARGE, LARGE),
        "delay_steps": _number_or_array(node, "delay", 0, LARGE),
        "groups": node.integer("groups", 1, LARGE),
        **{name: node.pair(name, low, 2**15) for name, low in _GEOMETRY},
    }


_KINDS: dict[str, tuple[type[Synapse], Callable[[Node], dict[str, Any]]]] = {
    "direct": (Direct, _direct),
    "dense": (Dense, _dense),
    "conv": (Conv, _conv),
}


def _number_or_array(node: Node, name: str, low: int, high: int) -> Any:
    values = node.integers(name, low, high)
    return int(values) if values.ndim == 0 else values
