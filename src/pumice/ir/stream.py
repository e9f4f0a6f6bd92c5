"""Samples, one after the other, as one stream through a running network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pumice.errors import InputError

if TYPE_CHECKING:
    from pumice.ir.graph import Graph, Timing

IntArray = npt.NDArray[np.integer[Any]]


def _timing(graph: Graph) -> Timing:
    if graph.timing is None:
        raise InputError("this graph states no sample length, so samples cannot be streamed through it")
    return graph.timing


def to_stream(graph: Graph, samples: IntArray) -> IntArray:
    """Lay samples end to end, padded to the graph's period, with its lead before and time for the last to come out.

    Args:
        graph: States the timing.
        samples: Shape (n, sample_steps, *input shape).

    Returns:
        Shape (lead_steps + n * period_steps + latency, *input shape).
    """
    timing = _timing(graph)
    if samples.shape[1:] != (timing.sample_steps, *graph.input.shape):
        raise InputError(
            f"samples must have shape (n, {timing.sample_steps}, {', '.join(map(str, graph.input.shape))}), "
            f"got {samples.shape}"
        )
    n, shape = len(samples), graph.input.shape
    end = timing.lead_steps + n * timing.period_steps
    stream = np.zeros((end + graph.latency, *shape), dtype=samples.dtype)
    stream[timing.lead_steps : end].reshape(n, timing.period_steps, *shape)[:, : timing.sample_steps] = samples
    return stream


def from_stream(graph: Graph, stream: npt.NDArray[Any], n: int, latency: int | None = None) -> npt.NDArray[Any]:
    """Cut each sample's window out of a population's recorded stream.

    Args:
        graph: States the timing.
        stream: Shape (T, *shape): an output's spikes, or a record of any population.
        n: Number of samples.
        latency: Steps by which the population lags the input; the output's if not given.

    Returns:
        Shape (n, sample_steps, *shape).
    """
    timing = _timing(graph)
    first = timing.lead_steps + (graph.latency if latency is None else latency)
    return np.stack([stream[first + i * timing.period_steps :][: timing.sample_steps] for i in range(n)])
