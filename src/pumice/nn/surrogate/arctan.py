"""Arc tangent surrogate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from pumice.nn.surrogate.base import Surrogate


@dataclass(frozen=True)
class Arctan(Surrogate):
    r"""A Cauchy distribution around the threshold.

    .. math:: f(x) = \frac1\pi \arctan\Big(\frac{\pi}{2} a x\Big) + \frac12, \qquad
              f'(x) = \frac{a}{2 (1 + (\frac{\pi}{2} a x)^2)}

    Fang, Yu, Chen, Masquelier, Huang, Tian: Parametric leaky integrate-and-fire neurons, ICCV 2021.

    Args:
        slope: a, per unit of voltage.

    Raises:
        InputError: slope is not > 0, or not finite.

    Example:
        >>> Arctan(2.0).derivative(torch.tensor(0.0)).item()
        1.0
    """

    slope: float = 2.0

    def __post_init__(self) -> None:
        self._check("slope")

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """f'(x), elementwise."""
        return (self.slope / 2) / (1 + (math.pi / 2 * self.slope * x).square_())

    def kernel(self) -> tuple[str, float, float]:
        """See `Surrogate`."""
        return "arctan", self.slope, math.pi / 2 * self.slope

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """The arc tangent, from 0 to 1."""
        return torch.arctan(math.pi / 2 * self.slope * x) / math.pi + 0.5
