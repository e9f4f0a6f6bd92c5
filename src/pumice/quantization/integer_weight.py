"""The weight hook of a quantized synapse."""

from __future__ import annotations

import torch

from pumice.errors import LoweringError
from pumice.fixedpoint.formats import STATE
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.rounding import wrap_sum
from pumice.quantization.synapse_view import SynapseView


class IntegerWeight:
    """A quantized synapse's weight as the chip holds it, with gradient; it follows the trained weight and norm.

    Args:
        synapse: Whose weight it is.
        neuron: Behind it, which knows the scale.
        max_input: Largest absolute value of the source.
        max_sum: What the largest sum must stay below, so that it is exact.
        where: The block's name, for messages.
    """

    gives_integers = True
    _may_wrap = False

    def __init__(self, synapse: SynapseView, neuron: CubaNeuron, max_input: int, max_sum: int, where: str) -> None:
        self._synapse, self._neuron, self._where = synapse, neuron, where
        self.max_input, self._max_sum = max_input, max_sum

    def held(self, sums: torch.Tensor) -> torch.Tensor:
        """The sums of a convolution as Lava's process holds them: beyond 24 bits they wrap."""
        return wrap_sum(sums) if self._may_wrap or torch.compiler.is_compiling() else sums

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        """The integers of a weight.

        Raises:
            LoweringError: The largest sum is not exact.
        """
        unit = 1 << self._synapse.weight_exp
        integers = self._neuron.integer_weight(weight, self._synapse.gain() / unit) * unit
        largest = self._synapse.rows(integers.detach().abs()).sum(1).max() * self.max_input
        if torch.compiler.is_compiling():  # a graph cannot choose by a number
            torch._assert_async(largest < self._max_sum, self._bound())
        else:
            self._check(float(largest))
        return integers

    def _check(self, largest: float) -> None:
        check_sum(self._where, largest, self.max_input, self._max_sum)
        self._may_wrap = largest > STATE.high

    def _bound(self) -> str:
        return _bound(self._where, self.max_input, self._max_sum)


def check_sum(where: str, largest: float, max_input: int, max_sum: int) -> None:
    """Refuse sums that float32 does not hold exactly.

    Args:
        where: The block's name.
        largest: Of all inputs at once.
        max_input: Largest absolute value of one.
        max_sum: What the sum must stay below.

    Raises:
        LoweringError: It does not.

    Example:
        >>> check_sum("0", 5.0, 1, 16)
    """
    if not largest < max_sum:
        raise LoweringError(
            f"{_bound(where, max_input, max_sum)}, where float32 is exact, got {largest:.0f}; "
            "use fewer input bits (input_range), smaller weights or fewer synapses"
        )


def _bound(where: str, max_input: int, max_sum: int) -> str:
    return f"block {where!r}: its inputs, up to {max_input}, times its weights must add up to less than {max_sum}"
