"""Synapses: the linear maps whose currents a `Merge` brings together, each with a norm of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch

from pumice.errors import InputError
from pumice.names import is_class
from pumice.nn.checks import check_input
from pumice.nn.computed_weight import detached_state
from pumice.nn.exact import exactly_if_deployed
from pumice.nn.norms.tdbn import TDBN

Pair = int | tuple[int, int]
NormFactory = Callable[[], TDBN]


class AbstractSynapse(torch.nn.Module, ABC):
    r"""A linear map with a weight and, optionally, a `TDBN` behind it.

    .. math:: c = \mathrm{norm}(W s)

    The norm is that of STBP-tdBN (Zheng et al., AAAI 2021); deployed, it is folded into W and a bias. A synapse of
    one's own sets `weight` and defines `linear`; it can be trained, but `lower` refuses what it does not know.

    Args:
        out_channels: Channels that the synapse gives.
        norm: A `TDBN`, or a function that makes one, or None.
        in_channels: Channels that it takes; not checked if not given.

    Shape:
        (batch, in_channels, ..., time) -> (batch, out_channels, ..., time).

    Raises:
        InputError: The norm is none, or the input has other channels or axes.

    Example:
        >>> class Negative(AbstractSynapse):
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
    weight_exp = 0
    """Quantized, the weights are multiples of 2^weight_exp of their 8-bit integers."""
    weight: torch.Tensor
    bias: torch.nn.Parameter | None
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
        self.bias: torch.nn.Parameter | None = None

    @exactly_if_deployed
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The current that the synapse adds; deployed, an integer sum whose norm is folded into weight and bias."""
        self._check(x)
        weight = self.weight if self.weight_hook is None else self.weight_hook(self.weight)
        z = self.linear(x.to(weight.dtype) if self.is_deployed else x, weight)  # fixed point may need float64
        if self.is_deployed:
            return z
        if self.bias is not None:
            z = z + self.bias.reshape(-1, *[1] * (z.ndim - 2))
        return z if self.norm is None else self.norm(z)

    def held(self, sums: torch.Tensor) -> torch.Tensor:
        """The sums of a convolution; deployed, as Lava's process holds them, in 24 bits."""
        hook: Any = self.weight_hook
        held: torch.Tensor = hook.held(sums) if self.is_deployed else sums
        return held

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
        """What the norm, or the bias, adds in every step, per channel (0 without)."""
        if self.bias is not None:
            return self.bias
        zeros = torch.zeros(self.out_channels, dtype=self.weight.dtype, device=self.weight.device)
        return zeros if self.norm is None else self.norm.offset()

    def add_bias_(self) -> None:
        """Learn what is added to the current in every step, per channel, 0 at first.

        Raises:
            InputError: There is a norm, which does the same.
        """
        if self.norm is not None:
            raise InputError(f"{type(self).__name__}: a norm has a shift of its own; leave out norm or bias")
        self.bias = torch.nn.Parameter(self.weight.new_zeros(self.out_channels))

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights that can meet in one target neuron: shape (out_channels, n)."""
        return weight.reshape(self.out_channels, -1)


def kernel_weight(*shape: int) -> torch.nn.Parameter:
    """The weight of a convolution as training begins (He, Zhang, Ren, Sun, ICCV 2015)."""
    return torch.nn.Parameter(torch.nn.init.kaiming_normal_(torch.empty(shape), mode="fan_out", nonlinearity="relu"))


def _made(norm: Any, where: str) -> TDBN | None:
    """The norm that was given, or that the given function makes."""
    if norm is None or isinstance(norm, TDBN):
        return norm
    makes = is_class(norm, TDBN) or not isinstance(norm, (type, torch.nn.Module))
    made = norm() if callable(norm) and makes else norm
    if not isinstance(made, TDBN):
        raise InputError(f"{where}: norm must be a TDBN, what makes one, or None, got {made!r}; use nn.TDBN")
    return made


def synapse_list(synapses: tuple[Any, ...]) -> torch.nn.ModuleList:
    """Check and hold a merge's synapses."""
    if not synapses or not all(isinstance(synapse, AbstractSynapse) for synapse in synapses):
        found = ", ".join(type(synapse).__name__ for synapse in synapses) or "nothing"
        raise InputError(
            f"a Merge needs one or more synapses (DenseSynapse, ConvSynapse, IdentitySynapse, ...), got {found}"
        )
    return torch.nn.ModuleList(synapses)
