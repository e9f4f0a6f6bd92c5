"""Arms: the linear maps whose currents a `Merge` brings together, each with a norm of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from pumice.errors import InputError
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.synapse import convolve_steps
from pumice.nn.tdbn import TDBN

Pair = int | tuple[int, int]
NormFactory = Callable[[], TDBN]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


class AbstractArm(torch.nn.Module, ABC):
    """A linear map with a weight and, optionally, a `TDBN` behind it.

    Args:
        weight: Initial weight; its first axis (or, for token mixing, the split of channels) is the output channel.
        out_channels: Channels that the arm gives.
        norm: A `TDBN`, or a function that makes one, or None.
    """

    weight: torch.Tensor
    weight_hook: Callable[[torch.Tensor], torch.Tensor] | None
    """What the weight is replaced by in the forward pass: SLAYER's quantiser, or the deployed integers."""

    def __init__(self, out_channels: int, norm: TDBN | Callable[[], TDBN] | None) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.norm = norm if norm is None or isinstance(norm, TDBN) else norm()
        if self.norm is not None and self.norm.num_features is None:
            self.norm.set_features(out_channels)
        self.weight_hook = None
        self.is_deployed = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The current that the arm adds; deployed, an integer sum whose norm is folded into weight and bias."""
        z = self.linear(x, self.weight if self.weight_hook is None else self.weight_hook(self.weight))
        return z if self.norm is None or self.is_deployed else self.norm(z)

    @abstractmethod
    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Apply `weight` to spikes of shape (batch, channel, ..., time)."""

    def gain(self) -> torch.Tensor:
        """What the norm multiplies the current by, per channel (1 without a norm)."""
        return torch.ones(1, device=self.weight.device) if self.norm is None else self.norm.gain()

    def offset(self) -> torch.Tensor:
        """What the norm adds in every step, per channel (0 without a norm)."""
        zeros = torch.zeros(self.out_channels, device=self.weight.device)
        return zeros if self.norm is None else self.norm.offset()

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights that can meet in one target neuron: shape (out_channels, n)."""
        return weight.reshape(self.out_channels, -1)


class DenseArm(AbstractArm):
    """Fully connected.

    Args:
        in_neurons: Number of inputs.
        out_neurons: Number of outputs.
        norm: A `TDBN`, or a function that makes one, or None.

    Shape:
        (batch, in_neurons, time) -> (batch, out_neurons, time).

    Example:
        >>> DenseArm(3, 2)(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """

    def __init__(self, in_neurons: int, out_neurons: int, norm: TDBN | Callable[[], TDBN] | None = None) -> None:
        super().__init__(out_neurons, norm)
        self.weight = torch.nn.Parameter(torch.nn.Linear(in_neurons, out_neurons, bias=False).weight.data)

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A matrix product over the neurons."""
        return slayer_order(F.linear(time_major(x), weight))


class ConvArm(AbstractArm):
    """A convolution, without bias; initialised like STBP-tdBN's (Kaiming normal, fan out).

    Args:
        in_features: Channels in.
        out_features: Channels out.
        kernel_size: One number or (height, width).
        stride: One number or (height, width).
        padding: One number or (height, width), zeros.
        dilation: One number or (height, width).
        groups: Blocks of channels that are connected with each other only.
        norm: A `TDBN`, or a function that makes one, or None.

    Shape:
        (batch, in_features, height, width, time) -> (batch, out_features, height', width', time).

    Example:
        >>> ConvArm(1, 4, 3, stride=2, padding=1)(torch.ones(1, 1, 8, 6, 5)).shape
        torch.Size([1, 4, 4, 3, 5])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        norm: TDBN | Callable[[], TDBN] | None = None,
    ) -> None:
        super().__init__(out_features, norm)
        weight = torch.empty(out_features, in_features // groups, *_pair(kernel_size), 1)
        self.weight = torch.nn.Parameter(torch.nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu"))
        self.stride, self.padding, self.dilation = _pair(stride), _pair(padding), _pair(dilation)
        self.groups = groups

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A convolution over height and width, the same in every step."""
        over_image = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return convolve_steps(x, weight[..., 0], **over_image, groups=self.groups)


class IdentityArm(AbstractArm):
    """A shortcut: each neuron to the one at its own place. Its weight is 1, which only a norm changes.

    Args:
        channels: Channels.
        norm: A `TDBN` (of the paper's residual block: alpha 1/sqrt(2)), or a function that makes one, or None.

    Shape:
        (batch, channel, ..., time) -> the same.

    Example:
        >>> IdentityArm(3)(torch.ones(1, 3, 5)).shape
        torch.Size([1, 3, 5])
    """

    def __init__(self, channels: int, norm: TDBN | Callable[[], TDBN] | None = None) -> None:
        super().__init__(channels, norm)
        self.register_buffer("weight", torch.ones(channels))

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A product per channel."""
        if weight is self.weight:  # ones
            return x
        return x * weight.reshape(1, -1, *[1] * (x.ndim - 2))


class TokenMixingArm(AbstractArm):
    """One matrix over the tokens per head, shared by the head's channels.

    Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024. The tokens of an image are its pixels, row by row. There is
    no norm: one that differs between the channels of a head could not be folded into their common matrix.

    Args:
        channels: Channels, a multiple of `heads`.
        tokens: height * width.
        heads: Number of matrices.

    Shape:
        (batch, channel, height, width, time) -> the same.

    Raises:
        InputError: The heads do not divide the channels, or the image has another number of tokens.

    Example:
        >>> TokenMixingArm(4, tokens=6, heads=2)(torch.ones(1, 4, 2, 3, 5)).shape
        torch.Size([1, 4, 2, 3, 5])
    """

    def __init__(self, channels: int, *, tokens: int, heads: int = 1) -> None:
        super().__init__(channels, None)
        if channels % heads:
            raise InputError(f"TokenMixingArm: {heads} heads do not divide {channels} channels")
        weight = torch.empty(heads, tokens, tokens)
        self.weight = torch.nn.Parameter(torch.nn.init.normal_(weight, std=(2 / tokens) ** 0.5))

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A matrix product over the tokens, head by head."""
        batch, channels, height, width, time = x.shape
        heads, tokens = weight.shape[:2]
        if height * width != tokens:
            raise InputError(f"TokenMixingArm mixes {tokens} tokens, got an image of {height} x {width}")
        grouped = x.reshape(batch, heads, channels // heads, tokens, time)
        return torch.einsum("hmn,bhcnt->bhcmt", weight, grouped).reshape(x.shape)

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights of every token of every head, which all its channels share: shape (heads * tokens, tokens)."""
        return weight.reshape(-1, weight.shape[-1])


def arm_list(arms: tuple[Any, ...]) -> torch.nn.ModuleList:
    """Check and hold a merge's arms."""
    if not arms or not all(isinstance(arm, AbstractArm) for arm in arms):
        found = ", ".join(type(arm).__name__ for arm in arms) or "nothing"
        raise InputError(f"a Merge needs one or more arms (DenseArm, ConvArm, IdentityArm, ...), got {found}")
    return torch.nn.ModuleList(arms)
