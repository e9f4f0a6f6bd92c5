"""The Dspike surrogate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from pumice.nn.surrogate.base import Surrogate


@dataclass(frozen=True)
class Dspike(Surrogate):
    r"""Derivative of a hyperbolic tangent that runs from 0 at x = -1 to 1 at x = 1, and stays there.

    .. math:: f(x) = \frac{\tanh(b x)}{2 \tanh b} + \frac12, \qquad
              f'(x) = \frac{b \, (1 - \tanh^2(b x))}{2 \tanh b} \quad (|x| \le 1)

    Li, Guo, Zhang, Deng, Hai, Gu: Differentiable Spike, NeurIPS 2021, centred at the threshold.

    Args:
        temperature: b, larger is steeper.

    Raises:
        InputError: temperature is not > 0, or not finite.

    Example:
        >>> round(Dspike(2.5).derivative(torch.tensor(0.0)).item(), 6)
        1.266959
    """

    temperature: float = 2.5

    def __post_init__(self) -> None:
        self._check("temperature")

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """f'(x), elementwise."""
        b = self.temperature
        return (1 - torch.tanh(b * x).square_()).mul_(b / (2 * math.tanh(b))) * (x.abs() <= 1)

    def kernel(self) -> tuple[str, float, float]:
        """See `Surrogate`."""
        return "dspike", self.temperature, self.temperature / (2 * math.tanh(self.temperature))

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """The hyperbolic tangent."""
        return torch.tanh(self.temperature * x.clamp(-1, 1)) / (2 * math.tanh(self.temperature)) + 0.5
