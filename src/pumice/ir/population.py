"""Where values live: the network's input, and populations of neurons of one kind and one shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pumice.fixedpoint.formats import DECAY_ONE
from pumice.ir.integers import PlainIntegers

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Reset(PlainIntegers):
    """u and v become 0 in every time step t (counted from 1) with t % interval == offset % interval.

    The reset comes after the step's input has arrived and before it is integrated.

    Attributes:
        interval: Steps from one reset to the next, >= 1.
        offset: Phase, any integer >= 0.
    """

    interval: int
    offset: int = 0

    def applies(self, t: int) -> bool:
        """Whether the reset happens in time step `t` (the first step is 1).

        Example:
            >>> [t for t in range(1, 12) if Reset(interval=4, offset=2).applies(t)]
            [2, 6, 10]
        """
        return t % self.interval == self.offset % self.interval


@dataclass(frozen=True)
class Input(PlainIntegers):
    """The network's input: one integer array per time step.

    Attributes:
        name: Unique in the graph.
        shape: (x, y, channel) or (features,).
        value_range: Smallest and largest value that the network was made for, or None if nothing was promised.
    """

    name: str
    shape: tuple[int, ...]
    value_range: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Population(PlainIntegers):
    """Neurons of one kind and one shape.

    Parameters broadcast against `shape` (so a per-channel array has shape (channel,)).

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

    name: str
    shape: tuple[int, ...]
    reset: Reset | None = field(default=None, kw_only=True)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Cuba(Population):
    """Current-based leaky integrate-and-fire neurons; the step is `fixedpoint.cuba_step`.

    Attributes:
        vth_mant: Threshold mantissa, 17 bits: fires when v > vth_mant * 64.
        i_decay_q12: Current decay in units of 2^-12, 0 to 4096 (4096: the current has no memory).
        v_decay_q12: Voltage decay in units of 2^-12, 0 to 4096.
        bias_mant: Added to v every step as bias_mant * 2^bias_exp; 13 bits on the chip.
        bias_exp: 0 to 7.
    """

    states: ClassVar[tuple[str, ...]] = ("u", "v")
    can_reset: ClassVar[bool] = True

    vth_mant: int
    i_decay_q12: int | IntArray = DECAY_ONE
    v_decay_q12: int | IntArray = 0
    bias_mant: int | IntArray = 0
    bias_exp: int = 6


@dataclass(frozen=True, eq=False)
class Accumulator(Population):
    """Neurons that integrate like `Cuba` and never fire: the output is the voltage.

    Attributes: as those of `Cuba`, without a threshold.
    """

    states: ClassVar[tuple[str, ...]] = ("u", "v")
    sends_values: ClassVar[bool] = True
    can_reset: ClassVar[bool] = True

    i_decay_q12: int | IntArray = DECAY_ONE
    v_decay_q12: int | IntArray = 0
    bias_mant: int | IntArray = 0
    bias_exp: int = 6


@dataclass(frozen=True, eq=False)
class Sigma(Population):
    """Sums up the changes that it receives and sends the sum; the step is `fixedpoint.sigma_step`."""

    states: ClassVar[tuple[str, ...]] = ("sigma",)
    sends_values: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class Delta(Population):
    """Sends the change of its input once it is large enough; the step is `fixedpoint.delta_step`.

    The input is shifted left by spike_exp + state_exp before it is compared, the change is shifted right by
    state_exp before it is sent.

    Attributes:
        vth: Threshold in the state's units (NetX: vThMant * 2^(spike_exp + state_exp)).
        spike_exp: Fraction bits of what is sent.
        state_exp: Further fraction bits of the state.
        cum_error: Compare the summed-up change since the last message.
    """

    states: ClassVar[tuple[str, ...]] = ("act", "residue", "error")
    sends_values: ClassVar[bool] = True

    vth: int
    spike_exp: int = 6
    state_exp: int = 6
    cum_error: bool = False


@dataclass(frozen=True, eq=False)
class SigmaDelta(Population):
    """Sums up changes, applies bias and activation, and sends the change of the result.

    Attributes:
        vth: Threshold in the state's units.
        bias: Added to the sum, in the state's units, broadcast against the shape.
        relu: Rectify the sum; otherwise it is passed on as it is.
        spike_exp: Fraction bits of what is sent.
        state_exp: Further fraction bits of the state.
        cum_error: Compare the summed-up change since the last message.
    """

    states: ClassVar[tuple[str, ...]] = ("sigma", "act", "residue", "error")
    sends_values: ClassVar[bool] = True

    vth: int
    bias: int | IntArray = 0
    relu: bool = True
    spike_exp: int = 6
    state_exp: int = 6
    cum_error: bool = False


@dataclass(frozen=True, eq=False)
class Resonator(Population):
    """Resonate-and-fire neurons; the step is `fixedpoint.resonator_step`.

    Attributes:
        vth: Threshold in the state's units (NetX: vThMant * 2^state_exp).
        sin_decay: (1 - decay) * sin(2 pi / period), times 2^decay_bits.
        cos_decay: (1 - decay) * cos(2 pi / period), times 2^decay_bits.
        state_exp: Left shift of the input.
        decay_bits: Fraction bits of the decays.
        izhikevich: Fire on the imaginary part, with a reset; otherwise on the phase.
    """

    states: ClassVar[tuple[str, ...]] = ("real", "imag")
    parts: ClassVar[tuple[str, ...]] = ("real", "imag")

    vth: int
    sin_decay: int | IntArray
    cos_decay: int | IntArray
    state_exp: int = 6
    decay_bits: int = 12
    izhikevich: bool = False
