"""Triangular surrogate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pumice.nn.surrogate.base import Surrogate


@dataclass(frozen=True)
class Triangle(Surrogate):
    r"""Falls linearly from the threshold.

    .. math:: f'(x) = \frac{1}{a} \max(0, 1 - |x| / a)

    Bellec, Salaj, Subramoney, Legenstein, Maass: Long short-term memory and learning-to-learn in networks of spiking
    neurons, NeurIPS 2018 (theirs is scaled by 0.3).

    Args:
        width: a, half of the base, in units of voltage.

    Raises:
        InputError: width is not > 0, or not finite.

    Example:
        >>> Triangle(1.0).derivative(torch.tensor([0.0, -0.25])).tolist()
        [1.0, 0.75]
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        self._check("width")

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """f'(x), elementwise."""
        return (1 - x.abs() / self.width).clamp(min=0) / self.width

    def kernel(self) -> tuple[str, float, float]:
        """See `Surrogate`."""
        return "triangle", self.width, 0.0

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Two parabolas from 0 to 1."""
        tail = 0.5 * (1 - x.abs() / self.width).clamp(min=0) ** 2
        return torch.where(x < 0, tail, 1 - tail)
