"""Which sources send something: the list of non-zero entries of a frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from pumice.jit import njit

Array = np.ndarray[Any, Any]


@njit(nogil=True, cache=True)
def find_active(sends: Array, words: Array, first: Any, stop: Any, active: Array) -> Any:
    """Write the indices of non-zero bytes of one frame, in order, and return how many there are.

    Args:
        sends: int8, frames one after the other, each padded with zeros to a multiple of 8.
        words: The same memory as uint64: silence is skipped 8 bytes at a time.
        first: Of the frame's words.
        stop: One past the last.
        active: int32, at least as long as the frame.
    """
    # Each index is written, and kept if n moves on: a branch would be one that the processor guesses wrong.
    n, begin = np.uintp(0), np.uintp(8) * np.uintp(first)
    for w in range(np.uintp(first), np.uintp(stop)):
        if words[w] != 0:
            for i in range(np.uintp(8)):
                at = np.uintp(8) * w + i
                active[n] = np.int32(at - begin)
                n += np.uintp(sends[at] != 0)
    return n


@njit(nogil=True, cache=True)
def find_silent(sends: Array, first: Any, n_source: Any, silent: Array) -> Any:
    """Write the indices of zeros among the n_source bytes from `first` on, in order, and return how many."""
    n = np.uintp(0)
    for i in range(np.uintp(n_source)):
        silent[n] = np.int32(i)
        n += np.uintp(sends[np.uintp(first) + i] == 0)
    return n


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
def add_delayed(undelayed: Array, delay: Array, at: int, activation: Array) -> None:
    """Give each target neuron a delay of its own: what is computed for it at once arrives so much later.

    activation[t, :, at + i] += undelayed[t + longest - delay[i], :, at + i]

    Args:
        undelayed: Shape (at least longest + steps - shortest, batch, n_target).
        delay: Steps, shape (n,), the longest among them.
        at: First of the n targets.
        activation: Shape (steps, batch, n_target), added to.
    """
    longest = delay.max()
    for t in range(len(activation)):
        for b in range(activation.shape[1]):
            for i in range(delay.size):
                activation[t, b, at + i] += undelayed[t + longest - delay[i], b, at + i]


@njit(nogil=True, cache=True)
def count_active(sent: Array, counts: Array) -> None:
    """Add to `counts` (batch, n) how often each entry of `sent` (steps, batch, at least n) is not zero."""
    for t in range(len(sent)):
        for b in range(counts.shape[0]):
            frame, count = sent[t, b], counts[b]
            for i in range(count.size):
                count[i] += frame[i] != 0
