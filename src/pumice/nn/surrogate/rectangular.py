"""Rectangular surrogate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pumice.nn.surrogate.base import Surrogate


@dataclass(frozen=True)
class Rectangular(Surrogate):
    r"""Constant near the threshold; its edge is excluded.

    .. math:: f'(x) = \frac{1}{a} \, [\, |x| < a / 2 \,]

    Wu, Deng, Li, Zhu, Shi: Spatio-temporal backpropagation, Frontiers in Neuroscience 2018 (h1); also tdBN, 2021.

    Args:
        width: a, in units of voltage.

    Raises:
        InputError: width is not > 0, or not finite.

    Example:
        >>> Rectangular(1.0).derivative(torch.tensor([0.0, 0.5])).tolist()
        [1.0, 0.0]
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        self._check("width")

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """f'(x), elementwise."""
        return (x.abs() < self.width / 2).to(x.dtype) / self.width

    def kernel(self) -> tuple[str, float, float]:
        """See `Surrogate`."""
        return "rectangular", self.width, 0.0

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """A ramp from 0 to 1."""
        return (x / self.width + 0.5).clamp(0, 1)
