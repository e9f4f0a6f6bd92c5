"""Sums of currents that remember which synapse made them from which spikes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from pumice.errors import InputError
from pumice.names import counted
from pumice.nn.checks import check_same_shape
from pumice.nn.synapses.base import AbstractSynapse


class Term(NamedTuple):
    """One synapse's share of a current.

    Attributes:
        synapse: The linear map.
        spikes: What it maps, shape (batch, channel, ..., time).
        first_channel: Where its channels begin in the sum.
    """

    synapse: AbstractSynapse
    spikes: torch.Tensor
    first_channel: int = 0


class Current:
    r"""A residual stream: a sum of currents on its way to neurons.

    .. math:: I = \sum_k W_k s_k

    Spiking Token Mixer (Deng, Wu, Du, Gu, NeurIPS 2024) adds what its blocks give to a stream of currents that no
    neuron of its own holds. On a chip such a sum exists only inside a population. So a `Current` keeps its terms:
    every `Neurons` that it enters becomes a population with one synapse for each term.

    Args:
        value: Computes the sum; called once, when the sum is first needed.
        terms: What it is the sum of.
        channels: Channels of the sum.

    Raises:
        InputError: What is added or put beside is no `Current`, or one of another shape, which torch would broadcast.

    Example:
        >>> from pumice.nn import ConvSynapse
        >>> spikes = torch.ones(1, 2, 4, 4, 5)
        >>> a, b = (Current.of(ConvSynapse(2, 3, 1), spikes) for _ in range(2))
        >>> (a + b).value.shape, len((a + b).terms)
        (torch.Size([1, 3, 4, 4, 5]), 2)
    """

    def __init__(self, value: Callable[[], torch.Tensor], terms: tuple[Term, ...], channels: int) -> None:
        self._compute = value
        self._value: torch.Tensor | None = None
        self.terms = terms
        self.channels = channels

    @classmethod
    def of(cls, synapse: AbstractSynapse, spikes: torch.Tensor) -> Current:
        """The current that one synapse makes of spikes."""
        return cls(lambda: synapse(spikes), (Term(synapse, spikes),), synapse.out_channels)

    @classmethod
    def holding(cls, value: torch.Tensor) -> Current:
        """A current of unknown origin: it can be computed with, but not be lowered."""
        return cls(lambda: value, (), value.shape[1])

    @property
    def value(self) -> torch.Tensor:
        """The sum, shape (batch, channel, ..., time); in a deployed network integers without bias."""
        if self._value is None:
            self._value = self._compute()
        return self._value

    def __add__(self, other: Current) -> Current:
        """The sum of two currents of the same shape."""
        check_current("Current: +", other)
        if self.channels != other.channels:
            raise InputError(
                f"Current: currents of {self.channels} and {counted(other.channels, 'channel')} cannot be added; "
                "give the synapses the same number, or use beside()"
            )
        return Current(lambda: _added(self.value, other.value), self.terms + other.terms, self.channels)

    def beside(self, other: Current) -> Current:
        """The channels of `other` behind the own ones."""
        check_current("Current.beside", other)
        shifted = tuple(term._replace(first_channel=term.first_channel + self.channels) for term in other.terms)
        channels = self.channels + other.channels
        return Current(lambda: _side_by_side(self.value, other.value), self.terms + shifted, channels)


def check_current(where: str, current: Any) -> None:
    """Refuse spikes where a current is due.

    Raises:
        InputError: It is no `Current`.

    Example:
        >>> check_current("Neurons", torch.ones(1, 2, 3))
        Traceback (most recent call last):
        pumice.errors.InputError: Neurons takes a Current, got a Tensor; use Current.of(synapse, spikes)
    """
    if not isinstance(current, Current):
        raise InputError(f"{where} takes a Current, got a {type(current).__name__}; use Current.of(synapse, spikes)")


def _added(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    check_same_shape("Current", (a, b))
    return a + b


def _side_by_side(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    check_same_shape("Current", (a, b), concat=True)
    return torch.cat([a, b], 1)


@dataclass(frozen=True, eq=False)
class MergedOffset:
    """What the norms of a current's synapses add together; of its terms it keeps the synapses, not the spikes.

    Attributes:
        places: Each synapse, and where its channels begin in the sum.
        channels: Of the sum.
    """

    places: tuple[tuple[AbstractSynapse, int], ...]
    channels: int

    @classmethod
    def of(cls, terms: Sequence[Term], channels: int) -> MergedOffset:
        """That of a current with these terms."""
        return cls(tuple((term.synapse, term.first_channel) for term in terms), channels)

    def __call__(self) -> torch.Tensor:
        """What is added in every step, shape (channels,), with gradient."""
        total = self.places[0][0].weight.new_zeros(self.channels)
        for synapse, first in self.places:
            total = total + torch.nn.functional.pad(
                synapse.offset(), (first, self.channels - first - synapse.out_channels)
            )
        return total


def sum_of_offsets(terms: Sequence[Term], channels: int) -> torch.Tensor:
    """What the norms of all terms add in every step, shape (channels,), with gradient."""
    return MergedOffset.of(terms, channels)()
