"""Neurons of one kind and one shape, and what each kind states about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from pumice.ir.integers import PlainIntegers
from pumice.ir.limits import SIGNED_32, STEPS, Limit, misfits, out_of_range
from pumice.ir.reset import Reset

IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
Int32Array: TypeAlias = npt.NDArray[np.int32]
States: TypeAlias = dict[str, Int32Array]


@dataclass(frozen=True, eq=False)
class Population(PlainIntegers, ABC):
    """Neurons of one kind and one shape.

    A kind is a subclass that states the facts below; what passes, checks and backends need to know follows from
    them. Parameters broadcast against `shape` (so a per-channel array has shape (channel,)).

    Attributes:
        name: Unique in the graph.
        shape: (x, y, channel) or (features,).
        reset: When all states are cleared, or None.
    """

    states: ClassVar[tuple[str, ...]] = ()
    """Names of the state variables, in the order in which a step computes them."""
    parts: ClassVar[tuple[str, ...]] = ("real",)
    """Which inputs the neurons have; only resonators have an imaginary one."""
    sends_values: ClassVar[bool] = False
    """Whether the output are integers of any size instead of spikes."""
    can_reset: ClassVar[bool] = False
    """Whether Lava has a form of these neurons that clears its states at set steps."""
    state_words: ClassVar[int] = 1
    """Words of 64 bits that the states of one neuron take on Loihi 2."""
    limits: ClassVar[Mapping[str, Limit]] = {}
    """What each field that holds numbers may hold."""

    name: str
    shape: tuple[int, ...]
    reset: Reset | None = field(default=None, kw_only=True)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    @property
    def remembers(self) -> bool:
        """Whether what the neurons do depends on earlier samples: they have states, and nothing clears them."""
        return bool(self.states) and not self.can_reset

    @property
    def sent_range(self) -> tuple[int, int]:
        """The smallest and the largest value that a neuron can ever send."""
        return SIGNED_32 if self.sends_values else (0, 1)

    @property
    def hard_wired(self) -> bool | None:
        """Whether Loihi 2 has these neurons in silicon, False if they are microcode; None where it is not known."""
        return None

    @abstractmethod
    def step(self, states: States, activation: dict[str, Int32Array]) -> tuple[Int32Array, States]:
        """The definition of these neurons: one time step, resets aside.

        Args:
            states: Each of `states`, shape (..., *shape).
            activation: Sum over the incoming synapses, for each of `parts`.

        Returns:
            What the neurons send, and their states afterwards.
        """

    def problems(self) -> Iterator[str]:
        """What is not valid about these neurons taken by themselves, a line each."""
        if self.reset is not None and not self.can_reset:
            yield f"a {type(self).__name__} cannot be reset"
        if self.reset is not None:
            yield from out_of_range("reset interval", self.reset.interval, STEPS.low, STEPS.high)
            yield from out_of_range("reset offset", self.reset.offset, 0, STEPS.high)
        for label, limit in self.limits.items():
            yield from misfits(label, getattr(self, label), limit, self.shape)
