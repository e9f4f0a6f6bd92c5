"""The weight hook of a quantized synapse between sigma-delta neurons."""

from __future__ import annotations

import torch

from pumice.fixedpoint.formats import MIXED_WEIGHT
from pumice.nn.neurons.sigma_delta import check_fits
from pumice.nn.rounding import round_even


class FixedPointWeight:
    """A synapse's weight as a multiple of 2^-k in float64, with gradient; it follows the trained weight.

    Args:
        fraction_bits: k.
        state_bits: Fraction bits of what the synapse adds to.
        where: The block's name, for messages.

    Example:
        >>> FixedPointWeight(6, 12, "dense")(torch.tensor([0.26, 9.0])).tolist()
        [0.25, 3.96875]
    """

    gives_integers = True

    def __init__(self, fraction_bits: int, state_bits: int, where: str) -> None:
        self.fraction_bits = fraction_bits
        self._state_bits, self._where = state_bits, where

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        """The weight in fixed point."""
        return self.integers(weight) / 2.0**self.fraction_bits

    def integers(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight as the chip holds it: even integers of 8 bits."""
        return round_even(weight.double() * 2.0**self.fraction_bits, *MIXED_WEIGHT)

    def held(self, sums: torch.Tensor) -> torch.Tensor:
        """The sums of a convolution, which Lava's process holds in 24 bits.

        Raises:
            InputError: One of them does not fit.
        """
        if sums.numel() and not torch.compiler.is_exporting():
            check_fits(f"block {self._where!r}", sums.detach().abs().max(), self._state_bits)
        return sums
