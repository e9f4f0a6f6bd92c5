"""Synapses, compiled for the kernels: weights in the order in which events meet them, delays as shifts in time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pumice.backends.fast.frames import Frames, padded
from pumice.backends.fast.kernels.events import gather_delayed
from pumice.ir import Synapse

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Ends:
    """What a link needs to know of the graph.

    Attributes:
        source_shape: Of the source.
        target_shape: Of the whole target population.
        channels: (first, stop) of those channels that receive.
        binary: Whether the synapse reads spikes, 0 or 1.
        largest_sum: Bound on the size of what the synapse adds to one neuron in one step.
        dtype: Integer type of the target's activation.
    """

    source_shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    channels: tuple[int, int]
    binary: bool
    largest_sum: int
    dtype: type[np.signedinteger[Any]]

    @property
    def n_source(self) -> int:
        """Number of source neurons."""
        return int(np.prod(self.source_shape))

    @property
    def n_target(self) -> int:
        """Number of neurons of the whole target population."""
        return int(np.prod(self.target_shape))

    @property
    def receiving_shape(self) -> tuple[int, ...]:
        """Shape of that part of the target which receives."""
        return (*self.target_shape[:-1], self.channels[1] - self.channels[0])

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
        self._add(arriving.reshape(-1, arriving.shape[-1]), activation.reshape(-1, activation.shape[-1]))

    def _all_spike(self) -> Array:
        """What all sources together add if they send spikes, else nothing; see `kernels.products.add_runs`."""
        if not self.ends.binary:
            return np.zeros(0, self.ends.dtype)
        self._full = np.zeros(0, self.ends.dtype)
        ones = np.zeros((1, padded(self.ends.n_source)), np.int8)
        ones[:, : self.ends.n_source] = 1
        total = np.zeros((1, self.ends.n_target), self.ends.dtype)
        self._add(ones, total)
        return total[0]

    @abstractmethod
    def _add(self, arriving: Array, activation: Array) -> None:
        """Add frames (n_frames, n_source) to (n_frames, n_target)."""


def per_channel(delay_steps: int | Array, ends: Ends) -> Array:
    """For each source neuron, its channel's delay."""
    return np.broadcast_to(delay_steps, ends.source_shape).reshape(-1)
