"""Graphs that are no stock chain: their numbers are in /pumice, and /layer makes stock netx fail at once."""

from __future__ import annotations

import h5py
import numpy as np

from pumice.ir import Graph, Population, Synapse
from pumice.netx.fields import Node
from pumice.netx.header import known_only, numbered, read_input, read_outputs, read_reset
from pumice.netx.tables import ENDS, population_rows, read_fields, synapse_rows, write_fields

STOCK_STOPPER = b"concat"
"""A layer type for which stock netx raises NotImplementedError; types it does not know it would skip."""


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
    put_graph(head, graph)


def put_graph(head: h5py.Group, graph: Graph) -> None:
    """Write the numbers of populations and synapses into a group that has its header."""
    for index, population in enumerate(graph.populations):
        group = head["population"][str(index)]
        group.create_dataset("shape", data=np.array(population.shape, np.int64))
        write_fields(group, population_rows(), (), population)
    synapses = head.create_group("synapse")
    for index, synapse in enumerate(graph.synapses):
        write_fields(synapses.create_group(str(index)), synapse_rows(), ENDS, synapse)


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


def _population(node: Node) -> Population:
    kind, attributes = read_fields(node, population_rows(), (), ("name", "shape", "reset"))
    made: Population = kind(node.name(), node.shape(), reset=read_reset(node), **attributes)
    return made


def _synapse(node: Node) -> Synapse:
    kind, attributes = read_fields(node, synapse_rows(), ENDS, ())
    made: Synapse = kind(**attributes)
    return made
