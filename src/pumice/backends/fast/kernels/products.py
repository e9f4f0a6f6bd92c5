"""What events add to their targets' activation: one loop per kind of synapse.

Common arguments: `sends` (frames, n_source), int8, is not 0 where something arrives, one frame for each step and
sample, padded with zeros to a multiple of 8; `words` is the same memory as uint64; `values`, int32, is what arrives;
or, where that is 1 everywhere, as of spikes, empty. `found`, int32, is room for a frame's indices, `sizes` uint64.
`activation` (frames, n_target) is added to. Weights have the integer type of the activation. All arrays are flat:
each view and each allocation within a kernel costs more time to compile than what it is for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.backends.fast.kernels.events import find_active, find_silent
from pumice.jit import njit

Array = np.ndarray[Any, Any]


@njit(nogil=True, cache=True, inline="always")
def _add_row(total: Array, at: Any, weight: Array, start: Any, n: Any, value: Any) -> None:
    """total[at : at + n] += value * weight[start : start + n], modulo the type's range; indices are unsigned."""
    if value == 1:
        for i in range(n):
            total[at + i] += weight[start + i]
    else:
        for i in range(n):
            total[at + i] += np.int32(weight[start + i] * value)


@njit(nogil=True, cache=True)
def add_sparse(
    sends: Array,
    words: Array,
    values: Array,
    found: Array,
    start: Array,
    target: Array,
    weight: Array,
    sizes: Array,
    activation: Array,
) -> None:
    """Single weights: source j has the entries start[j] to start[j + 1] of `target` and `weight`.

    `sizes`: n_source, padded; n_target.
    """
    row_length, n_target = sizes[0], sizes[1]
    n_words = row_length // np.uintp(8)
    for f in range(np.uintp(sends.size) // row_length):
        for e in range(find_active(sends, words, f * n_words, (f + np.uintp(1)) * n_words, found)):
            j = np.uintp(found[e])
            value = values[f * row_length + j] if values.size else np.int32(1)
            for k in range(start[j], start[j + np.uintp(1)]):
                activation[f * n_target + target[k]] += np.int32(weight[k] * value)


@njit(nogil=True, cache=True)
def add_token_mixing(
    sends: Array,
    words: Array,
    values: Array,
    found: Array,
    weight: Array,
    head: Array,
    sizes: Array,
    mixed: Array,
    activation: Array,
) -> None:
    """Mixes tokens: `weight` (heads, from token, to token), `head` of each channel.

    `sizes`: n_source, padded; the number of tokens; the first channel that receives; how many channels the target
    has. `mixed` is room for n_source sums.
    """
    n_channels, row_length, tokens, at, all_channels = np.uintp(head.size), sizes[0], sizes[1], sizes[2], sizes[3]
    n_words = row_length // np.uintp(8)
    for f in range(np.uintp(sends.size) // row_length):
        n = find_active(sends, words, f * n_words, (f + np.uintp(1)) * n_words, found)
        if n == 0:
            continue
        for i in range(n_channels * tokens):
            mixed[i] = 0
        for e in range(n):
            j = np.uintp(found[e])
            c = j % n_channels
            row = (np.uintp(head[c]) * tokens + j // n_channels) * tokens
            value = values[f * row_length + j] if values.size else np.int32(1)
            _add_row(mixed, c * tokens, weight, row, tokens, value)
        total = f * tokens * all_channels + at
        for m in range(tokens):
            for channel in range(n_channels):
                activation[total + m * all_channels + channel] += mixed[channel * tokens + m]


@njit(nogil=True, cache=True)
def add_runs(
    sends: Array,
    words: Array,
    values: Array,
    found: Array,
    weight: Array,
    runs: tuple[Array, Array, Array, Array],
    full: Array,
    sizes: Array,
    activation: Array,
) -> None:
    """A convolution, by scattering each event into its neighbourhood; or all to all: a convolution of one place.

    Args:
        sends: See the module.
        words: See the module.
        values: See the module.
        found: See the module.
        weight: (in, kernel_x * kernel_y * out_per_group), for each source channel the kernel's columns in the order
            of the runs.
        runs: Where each place (x, y) goes: entries start[place] to start[place + 1] of (offset in `weight`, offset
            in the target, number); weights that are neighbours act on targets that are neighbours; uint32.
        full: What all sources together add, if they send spikes: where most do, what the silent ones would have added
            is subtracted from it. Else empty.
        sizes: n_source, padded; n_target; channels of the source, and of a group, in and out.
        activation: See the module.
    """
    # Unsigned throughout: signed indices would be tested for counting from the end, each time.
    starts, rows, targets, numbers = runs
    row_length, n_target, n_in, in_per_group, n_out = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    n_source = (np.uintp(starts.size) - np.uintp(1)) * n_in
    channel_size = np.uintp(weight.size) // n_in
    is_dense = starts.size == 2 and rows.size == 1 and in_per_group == n_in and numbers[0] == channel_size
    n_words = row_length // np.uintp(8)
    for f in range(np.uintp(sends.size) // row_length):
        total, value = f * n_target, np.int32(1)
        n = find_active(sends, words, f * n_words, (f + np.uintp(1)) * n_words, found)
        if full.size > 0 and np.uintp(2) * n > n_source:
            n, value = find_silent(sends, f * row_length, n_source, found), np.int32(-1)
            _add_row(activation, total, full, np.uintp(0), n_target, np.int32(1))
        if is_dense:  # nothing to look up
            for e in range(n):
                j = np.uintp(found[e])
                if values.size:
                    value = values[f * row_length + j]
                _add_row(activation, total + np.uintp(targets[0]), weight, j * channel_size, channel_size, value)
            continue
        place, first = np.uintp(0), np.uintp(0)
        for e in range(n):
            j = np.uintp(found[e])
            while j >= first + n_in:  # the indices ascend; this is cheaper than to divide each
                first += n_in
                place += np.uintp(1)
            c = j - first
            to = total if in_per_group == n_in else total + c // in_per_group * n_out
            if values.size:
                value = values[f * row_length + j]
            for r in range(np.uintp(starts[place]), np.uintp(starts[place + np.uintp(1)])):
                row = c * channel_size + np.uintp(rows[r])
                _add_row(activation, to + np.uintp(targets[r]), weight, row, np.uintp(numbers[r]), value)
