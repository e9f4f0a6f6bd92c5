"""Arms: the linear maps whose currents a `Merge` brings together, each with a norm of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from pumice.errors import InputError
from pumice.nn.checks import check_divides, check_input, check_sizes, checked_pair
from pumice.nn.computed_weight import detached_state
from pumice.nn.exact import exactly_if_deployed
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.rounding import wrap_sum
from pumice.nn.synapse import convolve_steps
from pumice.nn.tdbn import TDBN

Pair = int | tuple[int, int]
NormFactory = Callable[[], TDBN]


class AbstractArm(torch.nn.Module, ABC):
    r"""A linear map with a weight and, optionally, a `TDBN` behind it.

    .. math:: c = \mathrm{norm}(W s)

    The norm is that of STBP-tdBN (Zheng et al., AAAI 2021); deployed, it is folded into W and a bias. An arm of one's
    own sets `weight` and defines `linear`; it can be trained, but `lower` refuses what it does not know.

    Args:
        out_channels: Channels that the arm gives.
        norm: A `TDBN`, or a function that makes one, or None.
        in_channels: Channels that it takes; not checked if not given.

    Shape:
        (batch, in_channels, ..., time) -> (batch, out_channels, ..., time).

    Raises:
        InputError: The norm is none, or the input has other channels or axes.

    Example:
        >>> class Negative(AbstractArm):
        ...     def __init__(self, channels):
        ...         super().__init__(channels, None, in_channels=channels)
        ...         self.register_buffer("weight", -torch.ones(channels))
        ...
        ...     def linear(self, x, weight):
        ...         return x * weight[:, None]
        >>> Negative(2)(torch.ones(1, 2, 3)).unique().tolist()
        [-1.0]
    """

    takes_images = False
    """Whether the input has a height and a width."""
    weight: torch.Tensor
    weight_hook: Callable[[torch.Tensor], torch.Tensor] | None
    """What the weight is replaced by in the forward pass: SLAYER's quantiser, or the deployed integers."""

    def __init__(
        self, out_channels: int, norm: TDBN | Callable[[], TDBN] | None, *, in_channels: int | None = None
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.in_channels = in_channels
        self.norm = _made(norm, type(self).__name__)
        if self.norm is not None and self.norm.num_features is None:
            self.norm.set_features(out_channels)
        self.weight_hook = None
        self.is_deployed = False

    @exactly_if_deployed
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The current that the arm adds; deployed, an integer sum whose norm is folded into weight and bias."""
        self._check(x)
        z = self.linear(x, self.weight if self.weight_hook is None else self.weight_hook(self.weight))
        return z if self.norm is None or self.is_deployed else self.norm(z)

    def __getstate__(self) -> dict[str, Any]:
        return detached_state(self)

    def _check(self, x: torch.Tensor) -> None:
        """Refuse an input of other channels, or of other axes."""
        if self.in_channels is not None:
            check_input(type(self).__name__, x, self.in_channels, image=self.takes_images)

    @abstractmethod
    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Apply `weight` to spikes of shape (batch, channel, ..., time)."""

    def gain(self) -> torch.Tensor:
        """What the norm multiplies the current by, per channel (1 without a norm)."""
        return (
            torch.ones(1, dtype=self.weight.dtype, device=self.weight.device)
            if self.norm is None
            else self.norm.gain()
        )

    def offset(self) -> torch.Tensor:
        """What the norm adds in every step, per channel (0 without a norm)."""
        zeros = torch.zeros(self.out_channels, dtype=self.weight.dtype, device=self.weight.device)
        return zeros if self.norm is None else self.norm.offset()

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights that can meet in one target neuron: shape (out_channels, n)."""
        return weight.reshape(self.out_channels, -1)


class DenseArm(AbstractArm):
    r"""Fully connected.

    .. math:: c_k(t) = \mathrm{norm}_k\Big(\sum_j W_{kj} \, s_j(t)\Big)

    Of SLAYER (Shrestha and Orchard, NeurIPS 2018), with the norm of Zheng et al., AAAI 2021; initialised like
    `torch.nn.Linear`, without bias.

    Args:
        in_neurons: Number of inputs.
        out_neurons: Number of outputs.
        norm: A `TDBN`, or a function that makes one, or None.

    Shape:
        (batch, in_neurons, time) -> (batch, out_neurons, time).

    Raises:
        InputError: A size is below 1, `norm` is no norm, or the input has another number of neurons.

    Example:
        >>> DenseArm(3, 2)(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """

    def __init__(self, in_neurons: int, out_neurons: int, norm: TDBN | Callable[[], TDBN] | None = None) -> None:
        check_sizes("DenseArm", in_neurons=in_neurons, out_neurons=out_neurons)
        super().__init__(out_neurons, norm, in_channels=in_neurons)
        self.weight = torch.nn.Parameter(torch.nn.Linear(in_neurons, out_neurons, bias=False).weight.data)

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A matrix product over the neurons."""
        return slayer_order(F.linear(time_major(x), weight))


class ConvArm(AbstractArm):
    r"""A convolution, without bias; initialised like STBP-tdBN's (Kaiming normal, fan out).

    .. math:: c_k(t) = \mathrm{norm}_k\Big(\sum_j W_{kj} * s_j(t)\Big)

    The convolution, followed by tdBN, of Zheng et al., AAAI 2021; the same in every step.

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

    Raises:
        InputError: The arguments do not make a convolution, or the input has other channels or axes.

    Example:
        >>> ConvArm(1, 4, 3, stride=2, padding=1)(torch.ones(1, 1, 8, 6, 5)).shape
        torch.Size([1, 4, 4, 3, 5])
    """

    takes_images = True

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
        check_sizes("ConvArm", in_features=in_features, out_features=out_features, groups=groups)
        check_divides("ConvArm", "groups", groups, in_features, out_features)
        super().__init__(out_features, norm, in_channels=in_features)
        kernel = checked_pair("ConvArm", "kernel_size", kernel_size)
        self.stride = checked_pair("ConvArm", "stride", stride)
        self.padding = checked_pair("ConvArm", "padding", padding, at_least=0)
        self.dilation = checked_pair("ConvArm", "dilation", dilation)
        self.groups = groups
        weight = torch.empty(out_features, in_features // groups, *kernel, 1)
        self.weight = torch.nn.Parameter(torch.nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu"))

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A convolution over height and width, the same in every step."""
        over_image = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        sums = convolve_steps(x, weight[..., 0], **over_image, groups=self.groups)
        return wrap_sum(sums) if getattr(self.weight_hook, "may_wrap", False) else sums


class IdentityArm(AbstractArm):
    r"""A shortcut: each neuron to the one at its own place. Its weight is 1, which only a norm changes.

    .. math:: c_k(t) = \mathrm{norm}_k(s_k(t))

    Zheng, Wu, Deng, Hu, Li: Going Deeper With Directly-Trained Larger Spiking Neural Networks, AAAI 2021.

    Args:
        channels: Channels.
        norm: A `TDBN` (of the paper's residual block: alpha 1/sqrt(2)), or a function that makes one, or None.

    Shape:
        (batch, channel, ..., time) -> the same.

    Raises:
        InputError: There is no channel, `norm` is no norm, or the input has another number of channels.

    Example:
        >>> IdentityArm(3)(torch.ones(1, 3, 5)).shape
        torch.Size([1, 3, 5])
    """

    def __init__(self, channels: int, norm: TDBN | Callable[[], TDBN] | None = None) -> None:
        check_sizes("IdentityArm", channels=channels)
        super().__init__(channels, norm, in_channels=channels)
        self.register_buffer("weight", torch.ones(channels))

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A product per channel."""
        if weight is self.weight:  # ones
            return x
        return x * weight.reshape(1, -1, *[1] * (x.ndim - 2))


class TokenMixingArm(AbstractArm):
    r"""One matrix over the tokens per head, shared by the head's channels.

    .. math:: c_{km}(t) = \sum_n M_{h(k), mn} \, s_{kn}(t), \qquad h(k) = \lfloor k H / D \rfloor

    with D channels k, H heads and tokens m, n.

    Deng, Wu, Du, Gu: Spiking Token Mixer, NeurIPS 2024. The tokens of an image are its pixels, row by row. There is
    no norm: one that differs between the channels of a head could not be folded into their common matrix.

    Args:
        channels: Channels, a multiple of `heads`.
        tokens: height * width.
        heads: Number of matrices.

    Shape:
        (batch, channel, height, width, time) -> the same.

    Raises:
        InputError: The heads do not divide the channels, or the image has other channels or another number of tokens.

    Example:
        >>> TokenMixingArm(4, tokens=6, heads=2)(torch.ones(1, 4, 2, 3, 5)).shape
        torch.Size([1, 4, 2, 3, 5])
    """

    takes_images = True

    def __init__(self, channels: int, *, tokens: int, heads: int = 1) -> None:
        check_sizes("TokenMixingArm", channels=channels, tokens=tokens, heads=heads)
        check_divides("TokenMixingArm", "heads", heads, channels)
        super().__init__(channels, None, in_channels=channels)
        weight = torch.empty(heads, tokens, tokens)
        self.weight = torch.nn.Parameter(torch.nn.init.normal_(weight, std=(2 / tokens) ** 0.5))

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A matrix product over the tokens, head by head."""
        batch, channels, height, width, time = x.shape
        heads, tokens = weight.shape[:2]
        if height * width != tokens:
            raise InputError(
                f"TokenMixingArm mixes {tokens} tokens, got an image of {height} x {width}; "
                f"make it with tokens={height * width}"
            )
        grouped = x.reshape(batch, heads, channels // heads, tokens, time)
        return torch.einsum("hmn,bhcnt->bhcmt", weight, grouped).reshape(x.shape)

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights of every token of every head, which all its channels share: shape (heads * tokens, tokens)."""
        return weight.reshape(-1, weight.shape[-1])


def _made(norm: Any, where: str) -> TDBN | None:
    """The norm that was given, or that the given function makes."""
    if norm is None or isinstance(norm, TDBN):
        return norm
    makes = issubclass(norm, TDBN) if isinstance(norm, type) else not isinstance(norm, torch.nn.Module)
    made = norm() if callable(norm) and makes else norm
    if not isinstance(made, TDBN):
        raise InputError(f"{where}: norm must be a TDBN, what makes one, or None, got {made!r}; use nn.TDBN")
    return made


def arm_list(arms: tuple[Any, ...]) -> torch.nn.ModuleList:
    """Check and hold a merge's arms."""
    if not arms or not all(isinstance(arm, AbstractArm) for arm in arms):
        found = ", ".join(type(arm).__name__ for arm in arms) or "nothing"
        raise InputError(f"a Merge needs one or more arms (DenseArm, ConvArm, IdentityArm, ...), got {found}")
    return torch.nn.ModuleList(arms)
