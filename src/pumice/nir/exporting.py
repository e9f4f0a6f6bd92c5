"""`to_nir`: a graph becomes a NIR file that other simulators run and that comes back as it was; a model, too."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pumice.errors import GraphError, InputError
from pumice.files.paths import possible_path
from pumice.fixedpoint.formats import STATE_EXP
from pumice.ir import Accumulator, Graph, Population, Synapse, verify_graph
from pumice.netx import load
from pumice.netx.tree import write_tree
from pumice.nir.clocks import clocks, constant_entries
from pumice.nir.drawing import Drawing, FloatArray, nir_shape
from pumice.nir.metadata import file_tree
from pumice.nir.neuron_nodes import Drive, channel_bias, check_kind, draw_neurons, is_filtered, voltage_bias
from pumice.nir.neurons import is_number
from pumice.nir.reader import NirFile
from pumice.nir.synapse_nodes import Ends, carries_bias, constant_of, draw_synapse, needs_matrix

SUFFIX = ".nir"


def to_nir(graph: Any, path: str | os.PathLike[str], example_input: Any = None, *, dt: float = 1e-4) -> Path:
    r"""Write a graph, or a model before quantization, as a NIR file (Pedersen et al., Nature Communications 2024).

    Each population becomes the node whose Euler step of :math:`\Delta t` has the same integers, rounding aside,
    and each synapse its integer weights as floats:

    .. math::
        \tau = \Delta t \cdot 4096 / d, \qquad r = 4096 / d, \qquad
        \vartheta = \texttt{vth\_mant}, \qquad W = w \cdot 2^{\texttt{weight\_exp}}

    Other simulators run it in floating point: equal up to the fraction that the integers drop toward zero in each
    decay, and to the registers' ends. NIR's edges take no time, so that hops and what balances them are left out;
    trained delays are Delay nodes. What NIR cannot say (resets between samples, latency, how weights are stored) is
    in the file's metadata under `pumice`, with a digest of the nodes: `pumice.from_nir` gives the same graph again
    (without its certificate), unless a tool has changed the nodes since.

    Of a **model** the file has the floating-point weights, with norms folded, and neurons whose Euler step is the
    model's, without the rounding of SLAYER's: a floating-point simulation of it gives the model's spikes, up to what
    SLAYER drops in each decay. The integers of a quantized model are those of its graph, `pumice.lower`.

    Images are (C, H, W). A population is drawn as one dimension, in the order of a flatten, where something enters it
    that NIR has as a matrix only (single weights, token mixing, transposed convolutions). An input without a stated
    range is taken for spikes.

    Args:
        graph: A graph, the path of a `.net` file, or a model as for `pumice.lower`.
        path: The file, `*.nir`; an existing one is replaced.
        example_input: Of a model: a batch, (batch, *shape, time).
        dt: Length of a step, in seconds.

    Returns:
        The path.

    Raises:
        GraphError: NIR has no exact form of a population or synapse; the message names it and the remedy.
        LoweringError: A block of a model has no node; the message names it. The model is quantized.
        InputError: An argument does not fit, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> from pumice.ir import graph_digests
        >>> from pumice.ir.builder import chain
        >>> from pumice.nir import from_nir
        >>> graph = chain((4,), [3, 2], seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = to_nir(graph, Path(folder) / "small.nir")
        ...     graph_digests(from_nir(path)) == graph_digests(graph)
        True
    """
    file_path = nir_path(path)
    if not is_number(dt) or not 0 < dt < np.inf:
        raise InputError(f"dt must be a time > 0, in seconds, got {dt!r}")
    dt = float(dt)
    if hasattr(graph, "named_modules"):  # a model; torch need not be here
        if example_input is None:
            raise InputError(f"to_nir needs an example of what a model takes: to_nir(model, {str(path)!r}, x)")
        write_model: Callable[..., None] = import_module("pumice.lowering.float_nir").write_model
        write_model(graph, example_input, file_path, float(dt))
        return file_path
    if example_input is not None:
        raise InputError(f"to_nir takes an example_input for a model, got a {type(graph).__name__}; leave it out")
    known = verify_graph(load(graph) if isinstance(graph, (str, os.PathLike)) else graph)
    file = draw(known, float(dt))
    write_tree(file_path, file_tree(file, known, float(dt)))
    return file_path


def nir_path(path: str | os.PathLike[str]) -> Path:
    """The path, if a NIR file may be written to it.

    Raises:
        InputError: It is no path, or has another suffix.
    """
    file = possible_path(path)
    if file.suffix != SUFFIX:
        raise InputError(f"{file}: the name of a NIR file must end in {SUFFIX}")
    return file


def draw(graph: Graph, dt: float) -> NirFile:
    """The nodes and edges of a valid graph.

    Raises:
        GraphError: As `to_nir`.
    """
    return _Exporter(graph, dt).drawing.file()


class _Exporter:
    """Names and forms of all populations first, then the nodes of each with what enters it."""

    def __init__(self, graph: Graph, dt: float) -> None:
        self.graph, self.drawing = graph, Drawing("to_nir", dt)
        self.clocks = clocks(graph)
        self.order = {name: i for i, name in enumerate(graph.names)}
        for population in graph.populations:
            check_kind(population)
        for synapse in graph.synapses:
            _check_values(graph, synapse)
            self._check_order(synapse)
        self.flat = self._flat()
        self.names = {name: self.drawing.reserve(name) for name in self.order if name not in self.clocks}
        shape = nir_shape(graph.input.shape, len(graph.input.shape) == 1)
        self.drawing.put(self.names[graph.input.name], "Input", shape=np.array(shape))
        for population in graph.populations:
            if population.name not in self.clocks:
                self._draw(population)
        for name in graph.outputs:
            if name in self.clocks:
                raise GraphError(f"population {name!r}: is an output, and no input reaches it; NIR has no such node")
            output = np.array(nir_shape(graph.shape_of(name), name in self.flat))
            self.drawing.add(self.names[name], "output", "Output", shape=output)

    def _check_order(self, s: Synapse) -> None:
        if self.order[s.source] > self.order[s.target]:
            raise GraphError(
                f"synapse {s.source} -> {s.target}: is a loop over several populations, which takes one step in the "
                "simulators of NIR and one for each population here; keep this network in its .net file, or let only "
                "single populations feed themselves"
            )

    def _flat(self) -> set[str]:
        """Images in one dimension too, where a matrix ends."""
        flat = {name for name in self.order if len(self.graph.shape_of(name)) == 1}
        for population in self.graph.populations:  # sources first
            into = [s for s in self.graph.into(population.name) if s.source not in self.clocks]
            if any(needs_matrix(s) or s.source in flat for s in into):
                flat.add(population.name)
        return flat

    def _draw(self, p: Population) -> None:
        flat = p.name in self.flat
        bias = voltage_bias(p, flat)
        constant = np.zeros_like(bias)
        synapses: list[Synapse] = []
        for s in self.graph.into(p.name):
            if s.source in self.clocks:
                ends = self._ends(s, "")
                constant += constant_of(s, ends, constant_entries(self.graph, self.clocks[s.source], s))
            else:
                synapses.append(s)
        if not is_filtered(p):  # a constant input is a bias then, and an Affine node is what most tools read
            constant, bias = constant + bias, np.zeros_like(bias)
        carrier, carried = self._carrier(synapses, constant)
        if carrier is not None:
            constant = np.zeros_like(constant)
        elif not is_filtered(p):
            constant, bias = np.zeros_like(bias), constant
        entry = draw_neurons(self.drawing, p, self.names[p.name], flat, Drive(constant, bias))
        for s in synapses:
            draw_synapse(self.drawing, s, self._ends(s, entry), carried if s is carrier else None)

    def _carrier(self, synapses: list[Synapse], constant: FloatArray) -> tuple[Synapse | None, FloatArray]:
        """The synapse whose node has room for a constant, and the constant in its form."""
        values: FloatArray | None = constant if constant.ndim == 1 else channel_bias(constant)
        if values is not None and np.any(values):
            for s in synapses:
                if not s.is_recurrent and carries_bias(s, self._ends(s, "")):
                    return s, values
        return None, constant

    def _ends(self, s: Synapse, entry: str) -> Ends:
        source = s.source
        return Ends(
            self.names.get(source, source),
            entry,
            self.graph.shape_of(source),
            self.graph.shape_of(s.target),
            source in self.flat,
            s.target in self.flat,
            unit=1 << STATE_EXP if self._is_readout(source) else 1,
            extra_steps=s.balance_steps if s.is_recurrent else 0,
        )

    def _is_readout(self, name: str) -> bool:
        return name != self.graph.input.name and isinstance(self.graph.population(name), Accumulator)


def _check_values(graph: Graph, s: Synapse) -> None:
    """Refuse synapses that count values as spikes: NIR's nodes multiply."""
    if s.graded:
        return
    for what, low, high in _sent(graph, s.source):
        if low < 0 or high > 1:
            raise GraphError(
                f"synapse {s.source} -> {s.target}: counts every value of {what} ({low}..{high}) that is not 0 as "
                "one spike, and NIR's nodes multiply; make the synapse graded, or let only 0 and 1 enter"
            )


def _sent(graph: Graph, name: str) -> Iterator[tuple[str, Any, Any]]:
    if name != graph.input.name:
        yield (f"population {name!r}", *graph.population(name).sent_range)
    elif graph.input.value_range is not None:
        yield ("the input", *graph.input.value_range)
