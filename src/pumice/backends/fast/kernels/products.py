"""What events add to their targets' activation: one loop per kind of synapse.

Common arguments: `arriving` (frames, n_source) holds the values that arrive, one frame for each step and sample, and
`words` is the same memory as uint64; `activation` (frames, n_target) is added to. `full` is what all sources together
add, see `find_rarer`. Weights have the integer type of the activation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pumice.backends.fast.kernels.events import find_active, find_rarer

Array = np.ndarray[Any, Any]

_LIMIT = 1 << 23


@njit(nogil=True, cache=True)
def _add_row(total: Array, at: Any, weight: Array, start: Any, n: Any, value: Any) -> None:
    """total[at : at + n] += value * weight[start : start + n], modulo the type's range, both of one dimension.

    Unsigned indices into whole arrays: a slice would count references, which costs more than the sum.
    """
    to, row = np.uintp(at), np.uintp(start)
    if value == 1:
        for i in range(np.uintp(n)):
            total[to + i] += weight[row + i]
    elif value == -1:
        for i in range(np.uintp(n)):
            total[to + i] -= weight[row + i]
    else:
        for i in range(np.uintp(n)):
            total[to + i] += np.int32(weight[row + i] * value)


@njit(nogil=True, cache=True)
def add_dense(arriving: Array, words: Array, weight: Array, full: Array, at: int, activation: Array) -> None:
    """All to all; `weight` (n_source, n_target) acts on activation[..., at : at + n_target]."""
    n_source, n_target = weight.shape
    flat_weight, flat_total = weight.reshape(-1), activation.reshape(-1)
    row_length = activation.shape[1]
    found = np.empty(arriving.shape[1], np.int32)
    for f in range(len(arriving)):
        frame = arriving[f]
        n, silent = find_rarer(frame, words[f], n_source, full, activation[f], found)
        for i in range(n):
            j = found[i]
            value = -1 if silent else frame[j]
            _add_row(flat_total, f * row_length + at, flat_weight, j * n_target, n_target, value)


@njit(nogil=True, cache=True)
def add_sparse(
    arriving: Array,
    words: Array,
    start: Array,
    target: Array,
    weight: Array,
    activation: Array,
) -> None:
    """Single weights: source j has the entries start[j] to start[j + 1] of `target` and `weight`."""
    active = np.empty(arriving.shape[1], np.int32)
    for f in range(len(arriving)):
        frame = arriving[f]
        total = activation[f]
        for i in range(find_active(frame, words[f], active)):
            j = active[i]
            for k in range(start[j], start[j + 1]):
                total[target[k]] += np.int32(weight[k] * frame[j])


@njit(nogil=True, cache=True)
def add_token_mixing(
    arriving: Array,
    words: Array,
    weight: Array,
    head: Array,
    channels: tuple[int, ...],
    activation: Array,
) -> None:
    """Mixes tokens: `weight` (heads, from token, to token), `head` of each channel; `channels`: (first, all)."""
    tokens = weight.shape[1]
    n_channels = head.size
    at, row_length = channels
    active = np.empty(arriving.shape[1], np.int32)
    mixed = np.zeros((n_channels, tokens), activation.dtype)
    flat_mixed, flat_weight = mixed.reshape(-1), weight.reshape(-1)
    for f in range(len(arriving)):
        frame = arriving[f]
        n = find_active(frame, words[f], active)
        if n == 0:
            continue
        mixed[:] = 0
        for i in range(n):
            j = active[i]
            c = j % n_channels
            row = (head[c] * tokens + j // n_channels) * tokens
            _add_row(flat_mixed, c * tokens, flat_weight, row, tokens, frame[j])
        total = activation[f]
        for m in range(tokens):
            for c in range(n_channels):
                total[m * row_length + at + c] += mixed[c, m]


@njit(nogil=True, cache=True)
def add_conv(
    arriving: Array,
    words: Array,
    weight: Array,
    x_taps: tuple[Array, ...],
    y_runs: tuple[Array, ...],
    full: Array,
    layout: tuple[int, ...],
    wraps: bool,
    activation: Array,
) -> None:
    """A convolution, by scattering each event into its neighbourhood; the tables are made by `links.ConvLink`.

    Args:
        arriving: See the module.
        words: See the module.
        weight: (in, kernel_x, kernel_y * out_per_group), for each source channel the kernel's columns in the
            order of the runs.
        x_taps: Where each x goes: entries start[x] to start[x + 1] of (offset in `weight`, offset in the target).
        y_runs: Where each y goes: entries start[y] to start[y + 1] of (offset in `weight`, offset in the target,
            number); columns that are neighbours in `weight` hit targets that are neighbours.
        full: See the module.
        layout: Source channels and height, target channels, and the channels of a group, in and out.
        wraps: Whether the sum may leave 24 bits, and so is wrapped before it is added.
        activation: See the module.
    """
    # Unsigned throughout: signed indices would be tested for counting from the end, each time.
    x_start, x_row, x_to = x_taps
    y_start, y_row, y_to, y_number = y_runs
    n_in, height, row_length, in_per_group, n_out = layout
    n_source = (x_start.size - 1) * height * n_in
    whole_rows = n_out == row_length
    one_group = in_per_group == n_in
    found = np.empty(arriving.shape[1], np.int32)
    apart = np.zeros(activation.shape[1] if wraps else 0, activation.dtype)
    flat_weight, flat_total = weight.reshape(-1), apart if wraps else activation.reshape(-1)
    channel_size = np.uintp(weight.shape[1] * weight.shape[2])
    for f in range(len(arriving)):
        frame = arriving[f]
        n, silent = find_rarer(frame, words[f], n_source, full, apart if wraps else activation[f], found)
        start = np.uintp(0 if wraps else f * activation.shape[1])
        x, y, place = np.uintp(0), np.uintp(0), 0
        for e in range(np.uintp(n)):
            j = np.int64(found[e])
            value = np.int64(-1) if silent else np.int64(frame[np.uintp(j)])
            while j >= place + n_in:  # the indices ascend; this is cheaper than to divide each
                place += n_in
                y += np.uintp(1)
                if y == np.uintp(height):
                    x, y = x + np.uintp(1), np.uintp(0)
            c = j - place
            from_channel = np.uintp(c) * channel_size
            to_channel = start if one_group else start + np.uintp(c // in_per_group * n_out)
            for p in range(x_start[x], x_start[x + np.uintp(1)]):
                row, to = from_channel + x_row[p], to_channel + x_to[p]
                for q in range(y_start[y], y_start[y + np.uintp(1)]):
                    if whole_rows:
                        n_weights = y_number[q] * np.uintp(n_out)
                        _add_row(flat_total, to + y_to[q], flat_weight, row + y_row[q], n_weights, value)
                    else:
                        for k in range(y_number[q]):
                            target = to + y_to[q] + k * np.uintp(row_length)
                            _add_row(
                                flat_total, target, flat_weight, row + y_row[q] + k * np.uintp(n_out), n_out, value
                            )
        if wraps:
            _add_wrapped(apart, activation[f])


@njit(nogil=True, cache=True)
def _add_wrapped(apart: Array, total: Array) -> None:
    """Add a sum, wrapped into [-2^23, 2^23), and clear it."""
    for i in range(apart.size):
        total[i] += np.int32(((np.int64(apart[i]) + _LIMIT) & (2 * _LIMIT - 1)) - _LIMIT)
        apart[i] = 0
