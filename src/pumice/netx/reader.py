"""NetX file -> Graph."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from pumice.errors import FileFormatError, GraphError, InputError, PumiceWarning
from pumice.files.limits import check_run_bytes
from pumice.files.paths import possible_path
from pumice.ir import Direct, Graph, verify_graph
from pumice.ir.footprint import sample_bytes
from pumice.netx.chain import build_chain
from pumice.netx.extension import read_graph
from pumice.netx.fields import Node, open_file
from pumice.netx.header import (
    GRAPH,
    check_version,
    known_only,
    numbered,
    read_input,
    read_outputs,
    read_reset,
    with_header,
)
from pumice.netx.layers import read_layer
from pumice.netx.neurons import Rules


def load(
    path: str | os.PathLike[str],
    *,
    as_stock: bool = False,
    input_shape: tuple[int, ...] | None = None,
    input_message_bits: int | None = None,
    num_layers: int | None = None,
    skip_layers: int = 0,
    spike_exp: int | None = None,
) -> Graph:
    """Read a NetX HDF5 file: what lava-dl exports (chains) and what `save` writes.

    Where stock `lava.lib.dl.netx.hdf5.Network` departs from what was trained, the file means what was
    trained, and a `PumiceWarning` says so.

    Args:
        path: The file.
        as_stock: Reproduce stock netx instead, with its clipping, clamping and dropped fields; what pumice added
            to the file (names, resets, certificate) is not looked at.
        input_shape: (x, y, channel) or (features,), used only where the file does not state it.
        input_message_bits: 0: every non-zero input counts as one spike; more: input values are multiplied.
            Default: what the file states, else 0. Without effect where the file has input neurons, or neurons of
            which `skip_layers` leaves out the last: these send spikes or values.
        num_layers: Read only the first layers of a stock chain.
        skip_layers: Of those, leave out so many at the start: the stream is what the last of these would send.
        spike_exp: Fraction bits of what sigma-delta neurons of a stock chain send, 0 to 7; stock netx's default is 6.

    Raises:
        FileFormatError: The file is missing, damaged (also where its bytes are not those that `save` wrote), holds
            what cannot be represented, or asks for more memory than a file may (see docs/security.md).
        InputError: An argument does not fit the file.
        ResourceError: Memory does not suffice.
    """
    _check_arguments(input_message_bits, num_layers, skip_layers, spike_exp)
    with open_file(possible_path(path)) as root:
        if as_stock or "pumice" not in root:
            rules = Rules(as_stock) if spike_exp is None else Rules(as_stock, spike_exp)
            graph = _read_stock(root, rules, input_shape, num_layers, skip_layers, graded=bool(input_message_bits))
        elif num_layers is not None or skip_layers or spike_exp is not None:
            raise InputError(f"{path}: num_layers, skip_layers and spike_exp are for files of stock lava-dl only")
        else:
            graph = _read_own(root)
            graph = graph if input_message_bits is None else _with_graded_input(graph, input_message_bits > 0)
    try:
        verify_graph(graph)
    except GraphError as error:
        raise FileFormatError(f"{path}: {error}") from error
    check_run_bytes(str(path), sample_bytes(graph))
    return graph


def _check_arguments(input_message_bits: Any, num_layers: Any, skip_layers: Any, spike_exp: Any) -> None:
    for name, value, low, high in (
        ("input_message_bits", input_message_bits, 0, 24),
        ("num_layers", num_layers, 1, None),
        ("skip_layers", skip_layers, 0, None),
        ("spike_exp", spike_exp, 0, 7),
    ):
        whole = isinstance(value, int | np.integer)
        if (value is None and name != "skip_layers") or (whole and low <= value and (high is None or value <= high)):
            continue
        allowed = f"be at least {low}" if high is None else f"lie in {low}..{high}"
        raise InputError(f"{name} must {allowed}, got {value!r}")


def _read_stock(
    root: Node,
    rules: Rules,
    input_shape: tuple[int, ...] | None = None,
    num_layers: int | None = None,
    skip_layers: int = 0,
    *,
    graded: bool = False,
) -> Graph:
    """The chain in /layer."""
    if "layer" not in root and "node" in root:
        raise root.error("is a NIR file, no NetX network; pumice.from_nir and `pumice import` read it")
    nodes = list(numbered(root.child("layer")))[:num_layers]
    read = [read_layer(node, index, rules) for index, node in enumerate(nodes)]
    for place in (place for _, unknown in read for place in unknown):
        warnings.warn(f"{place}: unknown field, ignored (as by stock netx)", PumiceWarning, stacklevel=3)
    layers = [layer for layer, _ in read]
    skipped, layers = layers[:skip_layers], layers[skip_layers:]
    for layer in skipped:
        input_shape = layer.shape or input_shape
    senders = [layer.neuron.kind.sends_values for layer in skipped if layer.neuron is not None]
    graded = senders[-1] if senders else graded
    if all(layer.neuron is None for layer in layers):
        where = " behind those that are left out" if skipped else ""
        raise root.error(f"holds no layer with neurons{where}")
    return build_chain(layers, as_stock=rules.as_stock, input_shape=input_shape, graded_input=graded)


def _read_own(root: Node) -> Graph:
    """A file that `save` wrote."""
    head = root.child("pumice")
    form = check_version(head)
    if form == GRAPH:
        return _verified_header(read_graph(head), head)
    known_only(head, ("form", "input", "population", "outputs", "timing", "info", "certificate", "graded"))
    graph = _read_stock(root, Rules())
    entry = read_input(head)
    names = graph.names
    nodes = list(numbered(head.child("population")))
    if len(nodes) != len(graph.populations) or entry.shape != graph.input.shape:
        raise head.error("does not describe the layers of this file")
    for node in nodes:
        known_only(node, ("name", "reset"))
    populations = tuple(
        replace(p, name=node.name(), reset=read_reset(node)) for p, node in zip(graph.populations, nodes, strict=True)
    )
    renamed = dict(zip(names, [entry.name, *(p.name for p in populations)], strict=True))
    graph = graph.replace(
        input=entry,
        populations=populations,
        synapses=tuple(replace(s, source=renamed[s.source], target=renamed[s.target]) for s in graph.synapses),
        outputs=read_outputs(head, populations),
    )
    return _verified_header(_with_graded_input(graph, bool(head.integer("graded", 0, 1))), head)


def _verified_header(graph: Graph, head: Node) -> Graph:
    """Names must be sound before anything is looked up by name."""
    try:
        verify_graph(graph)
    except GraphError as error:
        raise head.error(str(error)) from error
    return with_header(graph, head)


def _with_graded_input(graph: Graph, graded: bool) -> Graph:
    return graph.replace(
        synapses=tuple(
            replace(s, graded=graded) if s.source == graph.input.name and not isinstance(s, Direct) else s
            for s in graph.synapses
        )
    )
