"""Layers of sigma-delta neurons, under lava-dl's names: ``from pumice.nn import sigma_delta as sd``."""

from __future__ import annotations

from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn.blocks.layers import Flatten
from pumice.nn.blocks.merge import Merge as CubaMerge
from pumice.nn.checks import check_sizes
from pumice.nn.neurons.sigma_delta import SigmaDeltaNeuron
from pumice.nn.synapses.base import AbstractSynapse, Pair, synapse_list
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.conv_transpose import ConvTransposeSynapse, UpsampleSynapse
from pumice.nn.synapses.dense import DenseSynapse

__all__ = ["Conv", "ConvT", "Dense", "Flatten", "Input", "Merge", "Output", "Upsample"]
_PARAMS = ("threshold", "activation", "bias")


class Input(torch.nn.Module):
    r"""Encodes values by their changes: the first block of a sigma-delta network.

    .. math:: x(t) = n(t) \, 2^{-k}, \qquad s(t) = \delta(t) \text{ if } |\delta(t)| \ge \vartheta, \text{ else } 0

    with the change delta of x since what was last sent. Deployed, it is a population of `ir.Delta`.

    Args:
        threshold: The smallest change of x that is sent.
        fraction_bits: k, 0 to 20: the input's whole numbers n count in units of 2^-k (8 for images of 0 to 255).

    Shape:
        (batch, channel, ..., time), whole numbers -> the same, changes.

    Raises:
        InputError: The threshold is below 0, or `fraction_bits` outside its range.

    Example:
        >>> Input(threshold=0.5, fraction_bits=2)(torch.tensor([[[4.0, 5.0, 6.0]]])).tolist()
        [[[1.0, 0.0, 0.5]]]
    """

    MOST_BITS = 20

    def __init__(self, threshold: float = 0.0, *, fraction_bits: int = 0) -> None:
        super().__init__()
        check_sizes("sigma_delta.Input", at_least=0, fraction_bits=fraction_bits)
        if fraction_bits > self.MOST_BITS:
            raise InputError(
                f"sigma_delta.Input: fraction_bits must be at most {self.MOST_BITS}, got {fraction_bits}"
            )
        self.fraction_bits = int(fraction_bits)
        self.neuron = SigmaDeltaNeuron(threshold, None, sums=False)
        self.delay = None

    @classmethod
    def of(cls, block: Any) -> Input:
        """The encoder that does to round(32 x) what lava-dl's `slayer.block.sigma_delta.Input` does to x.

        That rounds its input to a multiple of 1/32, and cuts it off at -4 and 3.97; cut off before.

        Args:
            block: lava-dl's, without weight and bias.

        Raises:
            InputError: It has a weight or a bias, or no neuron.
        """
        if getattr(block, "neuron", None) is None or block.weight is not None or block.bias is not None:
            raise InputError(
                "sigma_delta.Input.of takes lava-dl's sigma_delta.Input with neurons, without weight and bias; "
                "scale and shift the data instead"
            )
        return cls(float(block.neuron.delta.threshold), fraction_bits=5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Changes of the values."""
        x = x.double() if self.neuron.is_deployed else x
        changes: torch.Tensor = self.neuron(x / 2.0**self.fraction_bits)
        return changes


class Merge(CubaMerge):
    r"""Sigma-delta neurons that receive several synapses: sums (residual connections) and concatenations.

    .. math:: s = \Sigma\Delta\Big(\sum_k W_k s_k\Big)

    or, with `concat`, the synapses' channels side by side. The neurons are those of `SigmaDeltaNeuron`, after
    O'Connor and Welling (Sigma Delta Quantized Networks, ICLR 2017).

    Args:
        neuron_params: threshold (0 if not given), activation ("relu" if not given, or None) and bias (True if not
            given: one per channel).
        *synapses: One or more, without norms, one for each input.
        concat: Put the synapses' channels side by side instead of summing them.

    Shape:
        One tensor (batch, channel, ..., time) of changes for each synapse -> one of changes.

    Raises:
        InputError: A parameter is unknown or wrong, a synapse has a norm, or sizes do not agree.

    Example:
        >>> from pumice.nn import DenseSynapse, IdentitySynapse
        >>> sum = Merge({"threshold": 0.1}, DenseSynapse(3, 3), IdentitySynapse(3))
        >>> sum(torch.ones(1, 3, 5), torch.ones(1, 3, 5)).shape
        torch.Size([1, 3, 5])
    """

    sends_changes = True

    def __init__(self, neuron_params: dict[str, Any], *synapses: AbstractSynapse, concat: bool = False) -> None:
        torch.nn.Module.__init__(self)
        where = f"sigma_delta.{type(self).__name__}"
        if unknown := [name for name in neuron_params if name not in _PARAMS]:
            raise InputError(f"{where}: neuron_params has {unknown[0]!r}, known are {', '.join(_PARAMS)}")
        self.synapses = synapse_list(synapses)
        if any(synapse.norm is not None for synapse in synapses):
            raise InputError(
                f"{where}: a synapse's norm would act on changes, and its offset in every step; use synapses without"
            )
        self.concat = concat
        options = {name: value for name, value in neuron_params.items() if name != "bias"}
        self.neuron = SigmaDeltaNeuron(
            **options,
            channels=self._channels() if neuron_params.get("bias", True) else 0,
            sends_changes=self.sends_changes,
        )
        self.delay = self.recurrent = self.vth_mant = None


class Dense(Merge):
    """Fully connected layer of sigma-delta neurons, as lava-dl's `slayer.block.sigma_delta.Dense`.

    Args:
        neuron_params: threshold, activation and bias, see `Merge`.
        in_neurons: Number of inputs.
        out_neurons: Number of neurons.

    Shape:
        (batch, in_neurons, time) -> (batch, out_neurons, time), changes.

    Raises:
        InputError: As `Merge`, or a size is below 1.

    Example:
        >>> Dense({"threshold": 0.1}, 3, 2)(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """

    def __init__(self, neuron_params: dict[str, Any], in_neurons: int, out_neurons: int) -> None:
        super().__init__(neuron_params, DenseSynapse(in_neurons, out_neurons))


class Conv(Merge):
    """Convolution layer of sigma-delta neurons, as lava-dl's `slayer.block.sigma_delta.Conv`.

    Args:
        neuron_params: threshold, activation and bias, see `Merge`.
        in_features: Channels in.
        out_features: Channels out.
        kernel_size: One number or (height, width).
        **options: stride, padding, dilation and groups, see `ConvSynapse`.

    Shape:
        (batch, in_features, height, width, time) -> (batch, out_features, height', width', time), changes.

    Raises:
        InputError: As `ConvSynapse` and `Merge`.

    Example:
        >>> Conv({"threshold": 0.1}, 1, 4, 3, stride=2, padding=1)(torch.ones(1, 1, 8, 6, 5)).shape
        torch.Size([1, 4, 4, 3, 5])
    """

    def __init__(
        self,
        neuron_params: dict[str, Any],
        in_features: int,
        out_features: int,
        kernel_size: Pair,
        **options: Any,
    ) -> None:
        super().__init__(neuron_params, ConvSynapse(in_features, out_features, kernel_size, **options))


class ConvT(Merge):
    """Transposed convolution into sigma-delta neurons, as lava-dl's `slayer.block.sigma_delta.ConvT`.

    Args:
        neuron_params: threshold, activation and bias, see `Merge`.
        in_features: Channels in.
        out_features: Channels out.
        kernel_size: One number or (height, width).
        **options: stride, padding, output_padding, dilation and groups, see `ConvTransposeSynapse`.

    Shape:
        (batch, in_features, height, width, time) -> (batch, out_features, height', width', time), changes.

    Raises:
        InputError: As `ConvTransposeSynapse` and `Merge`.

    Example:
        >>> ConvT({"threshold": 0.1}, 4, 2, 2, stride=2)(torch.ones(1, 4, 3, 5, 6)).shape
        torch.Size([1, 2, 6, 10, 6])
    """

    def __init__(
        self,
        neuron_params: dict[str, Any],
        in_features: int,
        out_features: int,
        kernel_size: Pair,
        **options: Any,
    ) -> None:
        super().__init__(neuron_params, ConvTransposeSynapse(in_features, out_features, kernel_size, **options))


class Upsample(Merge):
    """Nearest-neighbour upsampling into sigma-delta neurons, with a weight of 1.

    Args:
        neuron_params: threshold, activation and bias, see `Merge`.
        channels: Channels.
        factor: One number or (height, width).

    Shape:
        (batch, channel, height, width, time) -> (batch, channel, factor * height, factor * width, time), changes.

    Raises:
        InputError: As `UpsampleSynapse` and `Merge`.

    Example:
        >>> Upsample({"threshold": 0.1}, 3, 2)(torch.ones(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 8, 10, 6])
    """

    def __init__(self, neuron_params: dict[str, Any], channels: int, factor: Pair) -> None:
        super().__init__(neuron_params, UpsampleSynapse(channels, factor))


class Output(Merge):
    r"""The last layer, whose answer are numbers: sums of changes, as lava-dl's `slayer.block.sigma_delta.Output`.

    .. math:: y(t) = \sum_{t' \le t} W s(t') + b

    Deployed, it is a population of `ir.Sigma`, and one of its integers is worth `graph.info["unit"]`.

    Args:
        in_neurons: Number of inputs.
        out_neurons: Numbers of the answer.
        bias: Whether there is a b.

    Shape:
        (batch, in_neurons, time), changes -> (batch, out_neurons, time), values.

    Raises:
        InputError: A size is below 1.

    Example:
        >>> Output(3, 2)(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """

    sends_changes = False

    def __init__(self, in_neurons: int, out_neurons: int, *, bias: bool = True) -> None:
        super().__init__({"activation": None, "bias": bias}, DenseSynapse(in_neurons, out_neurons))
