"""Synapses, prepared for the kernels: weights in the order in which events meet them, delays as shifts in time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from pumice.backends.fast.bounds import activation_types, largest_sum, largest_value, reads_values
from pumice.backends.fast.frames import Frames, words
from pumice.backends.fast.kernels.events import add_delayed, gather_delayed
from pumice.backends.fast.kernels.products import add_conv, add_dense, add_sparse, add_token_mixing
from pumice.backends.fast.matrix import ConvMatrix, Matrix
from pumice.errors import BackendError
from pumice.fixedpoint.formats import STATE_LIMIT
from pumice.ir import Conv, Dense, Direct, Graph, OneToOne, Sparse, Synapse, TokenMixing, flatten_whc
from pumice.ir.kinds import unknown_kind

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Ends:
    """What a link needs to know of the graph.

    Attributes:
        source_shape: Of the source.
        target_shape: Of the whole target population.
        channels: (first, stop) of those channels that receive.
        binary: Whether the synapse reads spikes, 0 or 1.
        largest_value: Bound on the size of what the source sends, as this synapse reads it.
        dtype: Integer type of the target's activation.
    """

    source_shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    channels: tuple[int, int]
    binary: bool
    largest_value: int
    dtype: type[np.signedinteger[Any]]

    @property
    def n_source(self) -> int:
        """Number of source neurons."""
        return int(np.prod(self.source_shape))

    @property
    def n_target(self) -> int:
        """Number of neurons of the whole target population."""
        return int(np.prod(self.target_shape))

    def target_index(self) -> Array:
        """Place in the target's memory of each receiving neuron, shaped like the receiving part."""
        return np.arange(self.n_target).reshape(self.target_shape)[..., self.channels[0] : self.channels[1]]


class Link(ABC):
    """Adds what arrives to the activation of the target; made once, read by any number of simulations.

    Attributes:
        synapse: What it was made from.
        delay: Steps from leaving the source to acting on the target: one number, or one per source neuron.
    """

    def __init__(self, synapse: Synapse, ends: Ends, delay: int | Array) -> None:
        self.synapse = synapse
        self.ends = ends
        self.delay = int(np.min(delay)) if np.min(delay) == np.max(delay) else np.asarray(delay, np.int64)
        self.longest = int(np.max(self.delay))

    def add(self, frames: Frames, activation: Array, first: int, stop: int) -> None:
        """Add what arrives in the chunk's steps first to stop - 1.

        Args:
            frames: Of the source.
            activation: Of the target in these steps, shape (stop - first, batch, n_target).
            first: First step.
            stop: One past the last step.
        """
        if isinstance(self.delay, int):
            arriving = frames.at(first, stop, self.delay)
        else:
            sent = frames.array[frames.history + first - self.longest : frames.history + stop]
            arriving = np.zeros((stop - first, *sent.shape[1:]), sent.dtype)
            gather_delayed(sent, self.delay, arriving)
        flat = arriving.reshape(-1, arriving.shape[-1])
        self._add(flat, words(arriving), activation.reshape(-1, activation.shape[-1]))

    def _all_spike(self) -> Array:
        """What all sources together add if they send spikes, else nothing; see `kernels.events.find_rarer`."""
        if not self.ends.binary:
            return np.zeros(0, self.ends.dtype)
        self._full = np.zeros(0, self.ends.dtype)
        ones = np.zeros((1, -(-self.ends.n_source // 8) * 8), np.int8)
        ones[:, : self.ends.n_source] = 1
        total = np.zeros((1, self.ends.n_target), self.ends.dtype)
        self._add(ones, words(ones), total)
        return total[0]

    @property
    @abstractmethod
    def fan_out(self) -> Array:
        """Weights that each source neuron drives, shape (n_source,): the synaptic events that one spike causes."""

    @abstractmethod
    def _add(self, arriving: Array, words: Array, activation: Array) -> None:
        """Add frames (n_frames, n_source) to (n_frames, n_target)."""


class DirectLink(Link):
    """The input's values are the activation."""

    @property
    def fan_out(self) -> Array:  # noqa: D102
        return np.zeros(self.ends.n_source, np.int64)

    def _add(self, arriving: Array, words: Array, activation: Array) -> None:
        activation += arriving[:, : self.ends.n_source]


class DenseLink(Link):
    """All to all."""

    def __init__(self, synapse: Dense, ends: Ends, delay: int | Array) -> None:
        super().__init__(synapse, ends, delay)
        order = flatten_whc(np.arange(ends.n_source).reshape(ends.source_shape))
        weight = np.empty((ends.n_source, len(synapse.weight)), ends.dtype)
        weight[order] = synapse.weight.T.astype(np.int64) << synapse.weight_exp
        self._weight = weight
        self._matrix = Matrix.of(weight, largest_sum(synapse, ends.largest_value))
        self._full = self._all_spike()

    @property
    def fan_out(self) -> Array:  # noqa: D102
        return np.count_nonzero(self._weight, axis=1)

    def _add(self, arriving: Array, words: Array, activation: Array) -> None:
        first, stop = self.ends.channels
        if self._matrix is not None and self._matrix.pays_off(arriving):
            activation[:, first:stop] += self._matrix.product(arriving[:, : self.ends.n_source])
        else:
            add_dense(arriving, words, self._weight, self._full, first, activation)


class TargetDelayLink(DenseLink):
    """All to all, with a delay for each target neuron: products once for each step, then looked up later."""

    def __init__(self, synapse: Dense, ends: Ends, delay: Array) -> None:
        super().__init__(synapse, ends, delay)
        self._target_delay = np.asarray(delay, np.int64)
        self._shortest = int(delay.min())

    def add(self, frames: Frames, activation: Array, first: int, stop: int) -> None:
        """See `Link.add`. What left the source before is multiplied again for every range of steps."""
        sent = frames.array[frames.history + first - self.longest : frames.history + stop - self._shortest]
        undelayed = np.zeros((*sent.shape[:2], activation.shape[-1]), activation.dtype)
        self._add(sent.reshape(-1, sent.shape[-1]), words(sent), undelayed.reshape(-1, activation.shape[-1]))
        add_delayed(undelayed, self._target_delay, self.ends.channels[0], activation)


class SparseLink(Link):
    """Single weights, sorted by source."""

    def __init__(self, synapse: Synapse, ends: Ends, delay: int | Array, entries: tuple[Array, Array, Array]) -> None:
        super().__init__(synapse, ends, delay)
        # A stored 0 adds nothing and is no synaptic event.
        target, source, weight = (array[entries[2] != 0] for array in entries)
        order = np.argsort(source, kind="stable")
        self._start = np.searchsorted(source[order], np.arange(ends.n_source + 1))
        self._target = target[order].astype(np.int64)
        self._weight = weight[order].astype(ends.dtype)

    @property
    def fan_out(self) -> Array:  # noqa: D102
        return np.diff(self._start)

    def _add(self, arriving: Array, words: Array, activation: Array) -> None:
        add_sparse(arriving, words, self._start, self._target, self._weight, activation)


class TokenMixingLink(Link):
    """One matrix per head, over places in memory order."""

    def __init__(self, synapse: TokenMixing, ends: Ends, delay: int | Array) -> None:
        super().__init__(synapse, ends, delay)
        width, height, channels = ends.source_shape
        heads = len(synapse.weight)
        tokens = np.arange(width * height).reshape(height, width).T.reshape(-1)  # of the places x * height + y
        mixed = synapse.weight.astype(np.int64)[:, tokens][:, :, tokens] << synapse.weight_exp
        self._weight = np.ascontiguousarray(mixed.transpose(0, 2, 1), ends.dtype)
        self._head = np.arange(channels) * heads // channels

    @property
    def fan_out(self) -> Array:  # noqa: D102
        return np.count_nonzero(self._weight, axis=2)[self._head].T.reshape(-1)

    def _add(self, arriving: Array, words: Array, activation: Array) -> None:
        channels = (self.ends.channels[0], self.ends.target_shape[-1])
        add_token_mixing(arriving, words, self._weight, self._head, channels, activation)


class ConvLink(Link):
    """A convolution as tables of where events go."""

    def __init__(self, synapse: Conv, ends: Ends, delay: int | Array) -> None:
        super().__init__(synapse, ends, delay)
        n_out, kernel_x, kernel_y, in_per_group = synapse.weight.shape
        width, height, n_in = ends.source_shape
        width_out, height_out, row_length = ends.target_shape
        out_per_group = n_out // synapse.groups
        taps = [_taps(synapse, axis, n, n_to) for axis, n, n_to in ((0, width, width_out), (1, height, height_out))]
        self._hits = [_hits(axis, kernel) for axis, kernel in zip(taps, (kernel_x, kernel_y), strict=True)]
        columns = _column_order(kernel_y, synapse.stride[1], synapse.dilation[1])
        # Neighbouring columns act on neighbouring targets if no other channels lie between.
        merged = out_per_group == row_length
        x_runs = _table([[(i, to, 1) for i, to in sorted(places)] for places in taps[0]])
        y_runs = _table([_runs(places, columns, merged=merged) for places in taps[1]])
        sizes = (kernel_y * out_per_group, height_out * row_length), (out_per_group, row_length)
        self._runs = _combined(x_runs, y_runs, sizes, ends.channels[0], out_per_group)
        grouped = synapse.weight.reshape(synapse.groups, out_per_group, kernel_x, kernel_y, in_per_group)
        self._n_weights = np.count_nonzero(grouped, axis=1).transpose(0, 3, 1, 2).reshape(n_in, kernel_x, kernel_y)
        by_source = grouped.transpose(0, 4, 2, 3, 1)[:, :, :, columns]
        self._weight = np.ascontiguousarray(by_source.reshape(n_in, kernel_x * kernel_y * out_per_group), ends.dtype)
        self._channels = (n_in, in_per_group, out_per_group)
        largest = largest_sum(synapse, ends.largest_value)
        self._wraps = largest >= STATE_LIMIT
        self._matrix = None if self._wraps else ConvMatrix.of(synapse, ends.source_shape, largest)
        self._full = self._all_spike()

    @property
    def wraps(self) -> bool:
        """Whether sums may leave 24 bits; then events of different delays must not be added before wrapping."""
        return self._wraps

    @property
    def fan_out(self) -> Array:  # noqa: D102
        return np.einsum("xi,yj,cij->xyc", *self._hits, self._n_weights).reshape(-1)

    def _add(self, arriving: Array, words: Array, activation: Array) -> None:
        if self._matrix is not None and self._matrix.pays_off(arriving):
            image = activation.reshape(-1, *self.ends.target_shape)
            part = image[..., self.ends.channels[0] : self.ends.channels[1]]
            part += self._matrix.product(arriving[:, : self.ends.n_source])
            return
        add_conv(arriving, words, self._weight, self._runs, self._full, self._channels, self._wraps, activation)


def _taps(s: Conv, axis: int, n_source: int, n_target: int) -> list[list[tuple[int, int]]]:
    """For each place along an axis, the (kernel index, target place) pairs that it drives."""
    stride, padding, dilation = s.stride[axis], s.padding[axis], s.dilation[axis]
    found: list[list[tuple[int, int]]] = []
    for place in range(n_source):
        offsets = [(i, place + padding - i * dilation) for i in range(s.weight.shape[1 + axis])]
        found.append([(i, at // stride) for i, at in offsets if at % stride == 0 and 0 <= at // stride < n_target])
    return found


def _hits(taps: list[list[tuple[int, int]]], kernel: int) -> Array:
    """For each place along an axis, which kernel indices it uses: 0 or 1, shape (n_source, kernel)."""
    used = np.zeros((len(taps), kernel), np.int64)
    for place, pairs in enumerate(taps):
        used[place, [i for i, _ in pairs]] = 1
    return used


def _column_order(kernel: int, stride: int, dilation: int) -> list[int]:
    """Kernel columns grouped by the targets' phase, descending, so that neighbours hit neighbours."""
    return sorted(range(kernel), key=lambda j: (j * dilation % stride, -j))


def _runs(places: list[tuple[int, int]], columns: list[int], *, merged: bool) -> list[tuple[int, int, int]]:
    """(first column, first target, number) of runs in which both go up by one: the longest if merged, else single."""
    runs: list[tuple[int, int, int]] = []
    for column, target in sorted((columns.index(j), target) for j, target in places):
        if merged and runs and column == runs[-1][0] + runs[-1][2] and target == runs[-1][1] + runs[-1][2]:
            runs[-1] = (*runs[-1][:2], runs[-1][2] + 1)
        else:
            runs.append((column, target, 1))
    return runs


def _table(rows: Sequence[Sequence[tuple[int, ...]]]) -> tuple[Array, ...]:
    """Lists of (column, target, number) as one array for each field, after the array of where each list starts."""
    start = np.cumsum([0, *(len(row) for row in rows)])
    fields = np.array([entry for row in rows for entry in row], np.int64).reshape(-1, 3)
    return (start, *fields.T)


def _combined(
    x_runs: tuple[Array, ...],
    y_runs: tuple[Array, ...],
    sizes: tuple[tuple[int, int], tuple[int, int]],
    first_target: int,
    n_out: int,
) -> tuple[Array, ...]:
    """For each place (x, y), every run along x with every run along y, as offsets in memory.

    Args:
        x_runs: `_table` of the runs along x.
        y_runs: Likewise.
        sizes: For x and y, the distance of neighbouring columns in the weight, and of neighbouring targets.
        first_target: Added to all targets.
        n_out: Numbers in a column.
    """
    (x_start, x_column, x_to, _), (y_start, y_column, y_to, y_number) = x_runs, y_runs
    n_x, n_y = np.diff(x_start), np.diff(y_start)
    start = np.concatenate([[0], np.cumsum(np.outer(n_x, n_y))])
    place = np.repeat(np.arange(len(start) - 1), np.diff(start))
    at, (x, y) = np.arange(len(place)) - start[place], np.divmod(place, len(n_y))
    i, j = x_start[x] + at // n_y[y], y_start[y] + at % n_y[y]
    weight = x_column[i] * sizes[0][0] + y_column[j] * sizes[1][0]
    target = x_to[i] * sizes[0][1] + y_to[j] * sizes[1][1] + first_target
    return tuple(np.ascontiguousarray(a, np.uint32) for a in (start, weight, target, y_number[j] * n_out))


def links(graph: Graph) -> list[Link]:
    """The links of every synapse of a graph."""
    kinds = activation_types(graph)
    return [link for s in graph.synapses for link in _prepare(s, _ends(graph, s, kinds[s.target]))]


def _ends(graph: Graph, s: Synapse, dtype: type[np.signedinteger[Any]]) -> Ends:
    target_shape = graph.shape_of(s.target)
    return Ends(
        graph.shape_of(s.source),
        target_shape,
        s.target_channels or (0, target_shape[-1]),
        not reads_values(graph, s),
        largest_value(graph, s),
        dtype,
    )


@singledispatch
def _prepare(synapse: Synapse, ends: Ends) -> Iterator[Link]:
    known = (kind for kind in _prepare.registry if kind is not object)
    raise BackendError(unknown_kind(synapse, known, "the fast backend"))


@_prepare.register
def _(s: Direct, ends: Ends) -> Iterator[Link]:
    yield DirectLink(s, ends, 0)


@_prepare.register
def _(s: Dense, ends: Ends) -> Iterator[Link]:
    delays = np.broadcast_to(s.delay_steps, s.weight.shape)
    if np.all(delays == delays[:1]):
        order = flatten_whc(np.arange(ends.n_source).reshape(ends.source_shape))
        per_source = np.empty(ends.n_source, np.int64)
        per_source[order] = delays[0]
        yield DenseLink(s, ends, s.latency_steps + per_source)
        return
    if np.all(delays == delays[:, :1]):
        yield TargetDelayLink(s, ends, s.latency_steps + delays[:, 0])
        return
    rows, columns = np.nonzero(s.weight)
    yield from _prepare(
        Sparse(
            s.source,
            s.target,
            s.graded,
            rows=rows,
            columns=columns,
            values=s.weight[rows, columns],
            weight_exp=s.weight_exp,
            delay_steps=delays[rows, columns],
            balance_steps=s.balance_steps,
            target_channels=s.target_channels,
            part=s.part,
        ),
        ends,
    )


@_prepare.register
def _(s: Sparse, ends: Ends) -> Iterator[Link]:
    source = flatten_whc(np.arange(ends.n_source).reshape(ends.source_shape))[s.columns]
    target = flatten_whc(ends.target_index())[s.rows] if s.rows.size else s.rows
    weight = s.values.astype(np.int64) << s.weight_exp
    delays = np.broadcast_to(s.delay_steps, s.values.shape)
    for delay in np.unique(delays):
        now = delays == delay
        yield SparseLink(s, ends, s.latency_steps + int(delay), (target[now], source[now], weight[now]))


@_prepare.register
def _(s: OneToOne, ends: Ends) -> Iterator[Link]:
    weight = np.broadcast_to(s.weight, ends.source_shape).reshape(-1).astype(np.int64) << s.weight_exp
    entries = (ends.target_index().reshape(-1), np.arange(ends.n_source), weight)
    yield SparseLink(s, ends, s.latency_steps + _per_channel(s.delay_steps, ends), entries)


@_prepare.register
def _(s: TokenMixing, ends: Ends) -> Iterator[Link]:
    yield TokenMixingLink(s, ends, s.latency_steps + _per_channel(s.delay_steps, ends))


@_prepare.register
def _(s: Conv, ends: Ends) -> Iterator[Link]:
    together = ConvLink(s, ends, s.latency_steps + _per_channel(s.delay_steps, ends))
    if isinstance(together.delay, int) or not together.wraps:
        yield together
        return
    delays = np.broadcast_to(s.delay_steps, ends.source_shape[-1:])
    for delay in np.unique(delays):
        # Each delay's events are a sum of their own, and each sum wraps.
        yield ConvLink(_only_channels(s, delays == delay), ends, s.latency_steps + int(delay))


def _only_channels(s: Conv, kept: npt.NDArray[np.bool_]) -> Conv:
    """The same convolution with the other source channels' weights at 0."""
    out_group = np.arange(len(s.weight)) // (len(s.weight) // s.groups)
    channel = out_group[:, None] * s.weight.shape[3] + np.arange(s.weight.shape[3])
    return replace(s, weight=np.where(kept[channel][:, None, None, :], s.weight, 0), delay_steps=0)


def _per_channel(delay_steps: int | Array, ends: Ends) -> Array:
    return np.broadcast_to(delay_steps, ends.source_shape).reshape(-1)
