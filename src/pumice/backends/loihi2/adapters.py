"""What carries values between Lava's processes on the host and populations on the chip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.process import AbstractProcess
from lava.proc.io.encoder import Compression

from pumice.backends.lava.weights import GRADED_BITS
from pumice.backends.loihi2.chip_graph import takes_pixels
from pumice.backends.loihi2.extension import closed
from pumice.errors import BackendError
from pumice.ir import Conv, Graph, Population

SPIKE = "lava.proc.embedded_io.spike"
STATE = "lava.proc.embedded_io.state"
INPUT_BITS = (8, 16, 24)
"""Widths of a graded spike that were seen in runs on a chip."""


class AbstractAdapters(ABC):
    """Makes the adapters of a graph. Each has the port `out`; all but the readers of states have `inp`, too.

    Attributes:
        made: The arguments of each adapter made so far, as text.
    """

    def __init__(self) -> None:
        self.made: list[str] = []

    @abstractmethod
    def input(self, graph: Graph, x: npt.NDArray[np.int32]) -> AbstractProcess:
        """From the host to the synapses that the graph's input feeds."""

    @abstractmethod
    def spikes(self, population: Population) -> AbstractProcess:
        """From a population to the host: what it sends."""

    @abstractmethod
    def state(self, graph: Graph, population: Population, variable: Any) -> AbstractProcess:
        """From a population to the host: one of its variables, in every step."""


class ChipAdapters(AbstractAdapters):
    """The adapters of Intel's extension, chosen as in lava-dl's tests and tutorials.

    `PyToN3ConvAdapter` feeds convolutions, `PyToNxAdapter` all else; `NxToPyAdapter` reads spikes; `ReadConv` reads
    states of populations that convolutions feed, `Read` those of others.

    Raises:
        MissingExtensionError: When one is made and the extension is not there.
    """

    def input(self, graph: Graph, x: npt.NDArray[np.int32]) -> AbstractProcess:
        """One adapter for all of the synapses, which `for_chip` has made alike."""
        fed = list(graph.out_of(graph.input.name))
        bits = input_bits(x) if any(s.graded for s in fed) else 0
        if any(map(takes_pixels, fed)):
            dense = Compression.DENSE
            return self._make(
                SPIKE, "PyToN3ConvAdapter", graph.input.shape, num_message_bits=bits, spike_exp=0, compression=dense
            )
        return self._make(SPIKE, "PyToNxAdapter", graph.input.shape, num_message_bits=bits)

    def spikes(self, population: Population) -> AbstractProcess:
        """0 bits for spikes, 24 for values."""
        bits = GRADED_BITS if population.sends_values else 0
        return self._make(SPIKE, "NxToPyAdapter", population.shape, num_message_bits=bits)

    def state(self, graph: Graph, population: Population, variable: Any) -> AbstractProcess:
        """Connected to the variable."""
        if any(isinstance(s, Conv) for s in graph.into(population.name)):
            reader = self._make(STATE, "ReadConv", population.shape)
        else:
            reader = self._make(STATE, "Read", population.shape, interval=1, offset=0)
        reader.connect_var(variable)
        return reader

    def _make(self, module: str, kind: str, shape: tuple[int, ...], **arguments: Any) -> AbstractProcess:
        shown = ", ".join(f"{name}={getattr(value, 'name', value)}" for name, value in arguments.items())
        self.made.append(f"{kind}(shape={shape}{', ' if shown else ''}{shown})")
        adapter: AbstractProcess = closed(module, kind)(shape=shape, **arguments)
        return adapter


def input_bits(x: npt.NDArray[np.int32]) -> int:
    """The narrowest message that holds all values of a stream, with their sign.

    Raises:
        BackendError: None does.

    Example:
        >>> input_bits(np.array([0, 16])), input_bits(np.array([0, 255]))
        (8, 16)
    """
    low, high = int(x.min()), int(x.max())
    for bits in INPUT_BITS:
        if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1):
            return bits
    raise BackendError(f"input values must fit {INPUT_BITS[-1]} bits signed, got {low} to {high}")
