"""Convolutions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pumice.backends.fast.frames import events, padded
from pumice.backends.fast.kernels.products import add_runs
from pumice.backends.fast.links.base import Array, Ends, Link, per_channel
from pumice.backends.fast.matrix import ConvMatrix
from pumice.fixedpoint.formats import STATE_LIMIT
from pumice.ir import Conv


class ConvLink(Link):
    """A convolution as tables of where events go."""

    def __init__(self, synapse: Conv, ends: Ends, delay: int | Array) -> None:
        super().__init__(synapse, ends, delay)
        n_out, kernel_x, kernel_y, in_per_group = synapse.weight.shape
        width, height, n_in = ends.source_shape
        width_out, height_out, row_length = ends.target_shape
        out_per_group = n_out // synapse.groups
        taps = [_taps(synapse, axis, n, n_to) for axis, n, n_to in ((0, width, width_out), (1, height, height_out))]
        columns = _column_order(kernel_y, synapse.stride[1], synapse.dilation[1])
        # Neighbouring columns act on neighbouring targets if no other channels lie between.
        merged = out_per_group == row_length
        x_runs = _table([[(i, to, 1) for i, to in sorted(places)] for places in taps[0]])
        y_runs = _table([_runs(places, columns, merged=merged) for places in taps[1]])
        strides = (kernel_y * out_per_group, height_out * row_length), (out_per_group, row_length)
        self._runs = _combined(x_runs, y_runs, strides, ends.channels[0], out_per_group)
        grouped = synapse.weight.reshape(synapse.groups, out_per_group, kernel_x, kernel_y, in_per_group)
        by_source = grouped.transpose(0, 4, 2, 3, 1)[:, :, :, columns]
        self._weight = np.ascontiguousarray(by_source, ends.dtype).reshape(-1)
        sizes = padded(ends.n_source), ends.n_target, n_in, in_per_group, out_per_group
        self._sizes = np.array(sizes, np.uint64)
        self._wraps = ends.largest_sum >= STATE_LIMIT
        self._matrix = None if self._wraps else ConvMatrix.of(synapse, ends.source_shape, ends.largest_sum)
        self._full = self._all_spike()

    @property
    def wraps(self) -> bool:
        """Whether sums may leave 24 bits; then events of different delays must not be added before wrapping."""
        return self._wraps

    def _add(self, arriving: Array, activation: Array) -> None:
        if self._matrix is not None and self._matrix.pays_off(arriving):
            image = activation.reshape(-1, *self.ends.target_shape)
            part = image[..., self.ends.channels[0] : self.ends.channels[1]]
            part += self._matrix.product(arriving[:, : self.ends.n_source])
            return
        total = np.zeros_like(activation) if self._wraps else activation
        add_runs(*events(arriving), self._weight, self._runs, self._full, self._sizes, total.reshape(-1))
        if self._wraps:
            activation += _wrapped(total)


def _wrapped(total: Array) -> Array:
    """Into [-2^23, 2^23)."""
    return ((total + STATE_LIMIT) & (2 * STATE_LIMIT - 1)) - STATE_LIMIT


def prepare_conv(s: Conv, ends: Ends) -> Iterator[Link]:
    """One link, unless sums might wrap: each delay's events are a sum of their own, and each sum wraps."""
    together = ConvLink(s, ends, s.latency_steps + per_channel(s.delay_steps, ends))
    if isinstance(together.delay, int) or not together.wraps:
        yield together
        return
    delays = np.broadcast_to(s.delay_steps, ends.source_shape[-1:])
    for delay in np.unique(delays):
        yield ConvLink(_only_channels(s, delays == delay), ends, s.latency_steps + int(delay))


def _only_channels(s: Conv, kept: npt.NDArray[np.bool_]) -> Conv:
    """The same convolution with the other source channels' weights at 0."""
    out_group = np.arange(len(s.weight)) // (len(s.weight) // s.groups)
    channel = out_group[:, None] * s.weight.shape[3] + np.arange(s.weight.shape[3])
    return replace(s, weight=np.where(kept[channel][:, None, None, :], s.weight, 0), delay_steps=0)


def _taps(s: Conv, axis: int, n_source: int, n_target: int) -> list[list[tuple[int, int]]]:
    """For each place along an axis, the (kernel index, target place) pairs that it drives."""
    stride, padding, dilation = s.stride[axis], s.padding[axis], s.dilation[axis]
    found: list[list[tuple[int, int]]] = []
    for place in range(n_source):
        offsets = [(i, place + padding - i * dilation) for i in range(s.weight.shape[1 + axis])]
        found.append([(i, at // stride) for i, at in offsets if at % stride == 0 and 0 <= at // stride < n_target])
    return found


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
