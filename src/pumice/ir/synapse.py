"""The linear maps between populations: one dataclass per kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pumice.ir.integers import PlainIntegers

IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Synapse(PlainIntegers):
    """A linear map from a source (the input or a population) into one population's current.

    A value that leaves the source in step t acts in step t + `latency_steps` + `delay_steps`.

    Attributes:
        source: Name of the input or of a population.
        target: Name of a population.
        graded: Multiply by the source's integer value; otherwise every non-zero value counts as one spike.
        balance_steps: Further delay of the whole synapse, which makes up for a longer path beside it; it counts
            as latency, while `delay_steps` are part of what the network computes.
        target_channels: (first, stop): only these channels of the target receive; all if None. Two synapses
            into disjoint ranges are a concatenation.
        part: "real" or "imag": which input of a resonator is driven.
    """

    hop_steps: ClassVar[int] = 1

    source: str
    target: str
    graded: bool = False
    balance_steps: int = field(default=0, kw_only=True)
    target_channels: tuple[int, int] | None = field(default=None, kw_only=True)
    part: str = field(default="real", kw_only=True)

    @property
    def latency_steps(self) -> int:
        """Steps that count as latency: one for the hop, and the balance."""
        return self.hop_steps + self.balance_steps

    @property
    def is_recurrent(self) -> bool:
        """Whether the synapse feeds its own source."""
        return self.source == self.target

    @property
    def max_delay_steps(self) -> int:
        """The longest trained delay of this synapse (0 for kinds without delays)."""
        return int(np.max(getattr(self, "delay_steps", 0), initial=0))


@dataclass(frozen=True, eq=False)
class Direct(Synapse):
    """The input's values are the target's current, in the same step (NetX: an input layer with neurons)."""

    hop_steps: ClassVar[int] = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Synapse):
    """All to all: current += (weight @ source) * 2^weight_exp.

    A source of shape (x, y, channel) is flattened channel first, then y, then x (`flatten_whc`): the order
    of PyTorch's and NetX's flatten. The target has one dimension.

    Attributes:
        weight: Integers, shape (n_target, n_source).
        weight_exp: Left shift of the sum, 0 to 7.
        delay_steps: 0 to 62: one number, one per source neuron (n_source,), or one per weight.
    """

    weight: IntArray
    weight_exp: int = 0
    delay_steps: int | IntArray = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv(Synapse):
    """A convolution; the sum is `fixedpoint.conv_accumulate`.

    Attributes:
        weight: Integers, shape (out, kernel_x, kernel_y, in / groups), a correlation kernel like PyTorch's.
        stride: (x, y).
        padding: (x, y), zeros on both sides.
        dilation: (x, y).
        groups: Blocks of channels that are connected with each other only.
        delay_steps: 0 to 62: one number, or one per source channel (in,).
    """

    weight: IntArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    delay_steps: int | IntArray = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Sparse(Synapse):
    """Single weights between neurons; both ends are flattened like a dense synapse's source (`flatten_whc`).

    Attributes:
        rows: Target neuron of each weight, shape (n,).
        columns: Source neuron of each weight, shape (n,).
        values: Integers, shape (n,).
        weight_exp: Left shift of the sum, 0 to 7.
        delay_steps: 0 to 62: one number, or one per weight (n,).
    """

    rows: IntArray
    columns: IntArray
    values: IntArray
    weight_exp: int = 0
    delay_steps: int | IntArray = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class OneToOne(Synapse):
    """Each neuron feeds the neuron at its own place: current += weight * source * 2^weight_exp.

    Attributes:
        weight: One number, one per channel, or one per neuron (broadcast against the shape).
        weight_exp: Left shift, 0 to 7.
        delay_steps: 0 to 62: one number, or one per channel.
    """

    weight: int | IntArray
    weight_exp: int = 0
    delay_steps: int | IntArray = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenMixing(Synapse):
    """Mixes the tokens of each channel: per head one matrix, shared by the head's channels.

    An image (x, y, channel) has x * y tokens, numbered y * width + x; channels are split into equal heads in
    their order. current[m, c] += sum_n weight[head(c), m, n] * source[n, c].

    Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024.

    Attributes:
        weight: Integers, shape (heads, tokens, tokens).
        weight_exp: Left shift of the sum, 0 to 7.
        delay_steps: 0 to 62: one number, or one per channel.
    """

    weight: IntArray
    weight_exp: int = 0
    delay_steps: int | IntArray = 0
