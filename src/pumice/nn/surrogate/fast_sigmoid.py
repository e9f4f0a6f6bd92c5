"""Fast sigmoid surrogate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pumice.nn.surrogate.base import Surrogate


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    r"""Long tails without an exponential.

    .. math:: f(x) = \frac12 \Big( 1 + \frac{k x}{1 + k |x|} \Big), \qquad f'(x) = \frac{k}{2 (1 + k |x|)^2}

    Zenke and Ganguli: SuperSpike, Neural Computation 2018 (theirs without the factor k / 2).

    Args:
        slope: k, per unit of voltage.

    Raises:
        InputError: slope is not > 0, or not finite.

    Example:
        >>> FastSigmoid(2.0).derivative(torch.tensor([0.0, 0.5])).tolist()
        [1.0, 0.25]
    """

    slope: float = 10.0

    def __post_init__(self) -> None:
        self._check("slope")

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """f'(x), elementwise."""
        return (self.slope / 2) / (1 + self.slope * x.abs()).square_()

    def kernel(self) -> tuple[str, float, float]:
        """See `Surrogate`."""
        return "fast_sigmoid", self.slope, 0.0

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """The fast sigmoid, from 0 to 1."""
        return 0.5 * (1 + self.slope * x / (1 + self.slope * x.abs()))
