"""Samples, one after the other, as one stream through a running network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pumice.errors import InputError
from pumice.ir.schedule import latencies
from pumice.names import counted

if TYPE_CHECKING:
    from pumice.ir.graph import Graph, Timing

IntArray = npt.NDArray[np.integer[Any]]


def timing_of(graph: Graph) -> Timing:
    """The graph's timing.

    Raises:
        InputError: It states none.
    """
    if graph.timing is None:
        raise InputError("this graph states no sample length; give it a timing: graph.replace(timing=Timing(...))")
    return graph.timing


def to_stream(graph: Graph, samples: IntArray) -> IntArray:
    """Lay samples end to end, padded to the graph's period, with its lead before and time for the last to come out.

    Args:
        graph: States the timing.
        samples: Integers (or bool), shape (n, sample_steps, *input shape).

    Returns:
        Shape (lead_steps + n * period_steps + latency of the slowest output, *input shape).

    Raises:
        InputError: The graph states no timing, or the samples are of another shape or kind.
    """
    timing = timing_of(graph)
    samples = np.asarray(samples)
    if not (np.issubdtype(samples.dtype, np.integer) or samples.dtype == np.bool_):
        raise InputError(f"samples must be integers (or bool), got {samples.dtype}; encode or round them first")
    if samples.shape[1:] != (timing.sample_steps, *graph.input.shape):
        raise InputError(
            f"samples must have shape (n, {timing.sample_steps}, {', '.join(map(str, graph.input.shape))}), "
            f"got {samples.shape}"
        )
    n, shape = len(samples), graph.input.shape
    end = timing.lead_steps + n * timing.period_steps
    steps = latencies(graph)
    stream = np.zeros((end + max(steps[name] for name in graph.outputs), *shape), dtype=samples.dtype)
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

    Raises:
        InputError: The graph states no timing, or the stream is shorter than n samples.
    """
    timing = timing_of(graph)
    first = timing.lead_steps + (graph.latency if latency is None else latency)
    if n < 1:
        raise InputError(f"n must be at least 1, got {n}")
    needed = first + (n - 1) * timing.period_steps + timing.sample_steps
    if len(stream) < needed:
        held = max(0, (len(stream) - first - timing.sample_steps) // timing.period_steps + 1)
        raise InputError(
            f"the stream has {counted(len(stream), 'step')}, and must have {needed:,} for {counted(n, 'sample')}; it "
            f"holds at most {counted(held, 'sample')}"
        )
    return np.stack([stream[first + i * timing.period_steps :][: timing.sample_steps] for i in range(n)])


def recorded_samples(graph: Graph) -> npt.NDArray[np.int32]:
    """The samples in the stream of a graph's certificate, (n, T, *input shape); none without one or a timing.

    Example:
        >>> from pumice.ir.builder import chain
        >>> recorded_samples(chain((4,), [3, 2], seed=0)).shape
        (0, 1, 4)
    """
    timing, certificate = graph.timing, graph.certificate
    if timing is None or certificate is None:
        return np.zeros((0, 1, *graph.input.shape), np.int32)
    x = np.asarray(certificate.x, np.int32)
    n = max(0, (len(x) - graph.latency - timing.lead_steps) // timing.period_steps)
    starts = timing.lead_steps + timing.period_steps * np.arange(n)
    return x[starts[:, None] + np.arange(timing.sample_steps)]
