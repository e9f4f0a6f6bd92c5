"""What events add to their targets' activation: one loop per kind of synapse.

Common arguments: `arriving` (frames, n_source) holds the values that arrive, one frame for each step and sample, and
`words` is the same memory as uint64; `activation` (frames, n_target) is added to. `full` is what all sources together
add, see `find_rarer`. Weights have the integer type of the activation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.backends.fast.kernels.events import find_active, find_rarer
from pumice.jit import njit

Array = np.ndarray[Any, Any]

_LIMIT = 1 << 23


@njit(nogil=True, cache=True, inline="always")
def _add_row(total: Array, at: Any, weight: Array, start: Any, n: Any, sign: int, value: Any) -> None:
    """total[at : at + n] += value * weight[start : start + n], modulo the type's range, both of one dimension.

    Unsigned indices into whole arrays: a slice would count references, which costs more than the sum. `sign` is 1 or
    -1 where all events of a frame have that value, else 0: the compiler then asks outside the loop over events.
    """
    to, row = np.uintp(at), np.uintp(start)
    if sign == 1:
        for i in range(np.uintp(n)):
            total[to + i] += weight[row + i]
    elif sign == -1:
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
    spikes = 1 if full.size > 0 else 0
    found = np.empty(arriving.shape[1], np.int32)
    for f in range(len(arriving)):
        frame = arriving[f]
        n, silent = find_rarer(frame, words[f], n_source, full, activation[f], found)
        sign = -1 if silent else spikes
        for i in range(np.uintp(n)):
            j = np.uintp(found[i])
            _add_row(flat_total, f * row_length + at, flat_weight, j * n_target, n_target, sign, np.int64(frame[j]))


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
    spikes = 1 if arriving.itemsize == 1 else 0
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
            _add_row(flat_mixed, c * tokens, flat_weight, row, tokens, spikes, np.int64(frame[j]))
        total = activation[f]
        for m in range(tokens):
            for c in range(n_channels):
                total[m * row_length + at + c] += mixed[c, m]


@njit(nogil=True, cache=True)
def add_conv(
    arriving: Array,
    words: Array,
    weight: Array,
    runs: tuple[Array, ...],
    full: Array,
    channels: tuple[int, ...],
    wraps: bool,
    activation: Array,
) -> None:
    """A convolution, by scattering each event into its neighbourhood; the tables are made by `links.ConvLink`.

    Args:
        arriving: See the module.
        words: See the module.
        weight: (in, kernel_x * kernel_y * out_per_group), for each source channel the kernel's columns in the order
            of the runs.
        runs: Where each place (x, y) goes: entries start[place] to start[place + 1] of (offset in `weight`, offset
            in the target, number); weights that are neighbours act on targets that are neighbours.
        full: See the module.
        channels: Of the source, and of a group, in and out.
        wraps: Whether the sum may leave 24 bits, and so is wrapped before it is added.
        activation: See the module.
    """
    # Unsigned throughout: signed indices would be tested for counting from the end, each time.
    starts, rows, targets, numbers = runs
    n_in, in_per_group, n_out = channels
    n_source = (starts.size - 1) * n_in
    one_group = in_per_group == n_in
    spikes = 1 if full.size > 0 else 0
    found = np.empty(arriving.shape[1], np.int32)
    apart = np.zeros(activation.shape[1] if wraps else 0, activation.dtype)
    flat_weight, flat_total = weight.reshape(-1), apart if wraps else activation.reshape(-1)
    channel_size = np.uintp(weight.shape[1])
    for f in range(len(arriving)):
        frame = arriving[f]
        n, silent = find_rarer(frame, words[f], n_source, full, apart if wraps else activation[f], found)
        start = np.uintp(0 if wraps else f * activation.shape[1])
        sign = -1 if silent else spikes
        place, first = np.uintp(0), 0
        for e in range(np.uintp(n)):
            j = np.int64(found[e])
            while j >= first + n_in:  # the indices ascend; this is cheaper than to divide each
                first += n_in
                place += np.uintp(1)
            c = j - first
            from_channel = np.uintp(c) * channel_size
            to_channel = start if one_group else start + np.uintp(c // in_per_group * n_out)
            for r in range(starts[place], starts[place + np.uintp(1)]):
                to, row = to_channel + targets[r], from_channel + rows[r]
                _add_row(flat_total, to, flat_weight, row, numbers[r], sign, np.int64(frame[j]))
        if wraps:
            _add_wrapped(apart, activation[f])


@njit(nogil=True, cache=True)
def _add_wrapped(apart: Array, total: Array) -> None:
    """Add a sum, wrapped into [-2^23, 2^23), and clear it."""
    for i in range(apart.size):
        total[i] += np.int32(((np.int64(apart[i]) + _LIMIT) & (2 * _LIMIT - 1)) - _LIMIT)
        apart[i] = 0
