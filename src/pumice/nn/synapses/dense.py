"""Fully connected."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from pumice.errors import InputError
from pumice.fixedpoint.formats import WEIGHT_EXP
from pumice.nn.checks import check_sizes
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.synapses.base import AbstractSynapse


class DenseSynapse(AbstractSynapse):
    r"""Fully connected.

    .. math:: c_k(t) = \mathrm{norm}_k\Big(\sum_j W_{kj} \, s_j(t)\Big) + b_k

    Of SLAYER (Shrestha and Orchard, NeurIPS 2018), with the norm of Zheng et al., AAAI 2021; initialised like
    `torch.nn.Linear`, without bias.

    Args:
        in_neurons: Number of inputs.
        out_neurons: Number of outputs.
        norm: A `TDBN`, or a function that makes one, or None.
        bias: Whether there is a b, 0 at first; a norm has one already.
        weight_exp: Quantized, the weights are multiples of 2^weight_exp of their 8-bit integers, 0 to 7: for weights
            that are large against those of the other synapses into the same neurons.

    Shape:
        (batch, in_neurons, time) -> (batch, out_neurons, time).

    Raises:
        InputError: A size is below 1, `norm` is no norm, there are norm and bias, an exponent is not 0 to 7, or the
            input has another number of neurons.

    Example:
        >>> DenseSynapse(3, 2)(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """

    def __init__(
        self,
        in_neurons: int,
        out_neurons: int,
        norm: TDBN | Callable[[], TDBN] | None = None,
        *,
        bias: bool = False,
        weight_exp: int = 0,
    ) -> None:
        check_sizes("DenseSynapse", in_neurons=in_neurons, out_neurons=out_neurons)
        if not WEIGHT_EXP.low <= weight_exp <= WEIGHT_EXP.high:
            raise InputError(
                f"DenseSynapse: weight_exp must be {WEIGHT_EXP.low} to {WEIGHT_EXP.high}, got {weight_exp}"
            )
        super().__init__(out_neurons, norm, in_channels=in_neurons)
        self.weight_exp = weight_exp
        self.weight = torch.nn.Parameter(torch.nn.Linear(in_neurons, out_neurons, bias=False).weight.data)
        if bias:
            self.add_bias_()

    def linear(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A matrix product over the neurons."""
        return slayer_order(F.linear(time_major(x), weight))
