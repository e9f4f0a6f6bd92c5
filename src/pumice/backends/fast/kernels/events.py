"""Which sources send something: the list of non-zero entries of a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]


@njit(nogil=True, cache=True)
def find_active(frame: Array, words: Array, active: Array) -> int:
    """Write the indices of non-zero entries, in order, and return how many there are.

    Args:
        frame: Values of one step, shape (n,), padded with zeros to a multiple of 8 bytes.
        words: The same memory as uint64: silence is skipped 8 bytes at a time.
        active: int32, at least as long as the frame.
    """
    per_word = frame.size // words.size
    n = 0
    for w in range(words.size):
        if words[w] != 0:
            for i in range(w * per_word, (w + 1) * per_word):
                if frame[i] != 0:
                    active[n] = i
                    n += 1
    return n


@njit(nogil=True, cache=True)
def find_rarer(
    frame: Array, words: Array, n_source: int, full: Array, total: Array, found: Array
) -> tuple[int, bool]:
    """List the spikes, or, if they are the majority, the silent sources; those are then to be subtracted.

    The activation that all sources together cause, `full`, is added to `total` in the second case. `full` is empty
    for sources that send values: then events are never subtracted.

    Returns:
        How many indices were written to `found`, and whether they are the silent ones.
    """
    n = find_active(frame, words, found)
    if full.size == 0 or 2 * n <= n_source:
        return n, False
    n = 0
    for i in range(n_source):
        if frame[i] == 0:
            found[n] = i
            n += 1
    for i in range(full.size):
        total[i] += full[i]
    return n, True


@njit(nogil=True, cache=True)
def gather_delayed(sent: Array, delay: Array, arriving: Array) -> None:
    """Give each source neuron a delay of its own: arriving[t, :, j] = sent[t + longest - delay[j], :, j].

    Args:
        sent: Shape (longest + steps, batch, n): what left the sources, older steps first.
        delay: Steps from leaving to arriving, shape (n,).
        arriving: Shape (steps, batch, n), written.
    """
    longest = len(sent) - len(arriving)
    for t in range(len(arriving)):
        for b in range(arriving.shape[1]):
            for j in range(delay.size):
                arriving[t, b, j] = sent[t + longest - delay[j], b, j]


@njit(nogil=True, cache=True)
def count_active(sent: Array, counts: Array) -> None:
    """Add to `counts` (batch, n) how often each entry of `sent` (steps, batch, at least n) is not zero."""
    for t in range(len(sent)):
        for b in range(counts.shape[0]):
            frame, count = sent[t, b], counts[b]
            for i in range(count.size):
                count[i] += frame[i] != 0
