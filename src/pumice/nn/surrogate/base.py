"""What a surrogate is."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch


class Surrogate(ABC):
    r"""A derivative for the spike function, which has none.

    The spike is a step of x = voltage - threshold. Backward, it is taken for a smooth step f(x), and `derivative` is
    f'. All numbers are in SLAYER's units of voltage.

    Example:
        >>> from pumice.nn.surrogate import Triangle
        >>> x = torch.tensor([-0.5, 0.0, 2.0])
        >>> Triangle(1.0).derivative(x).tolist(), Triangle(1.0).smooth(x).tolist()
        ([0.5, 1.0, 0.0], [0.125, 0.5, 1.0])
    """

    @abstractmethod
    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """f'(x), elementwise."""

    def kernel(self) -> tuple[str, float, float] | None:
        """Name and two numbers of the derivative in the `surrogate` loops of `pumice.nn.kernels`; None: not there."""
        return None

    def compiled(self) -> tuple[str, float, float] | None:
        """`kernel`, unless a subclass has another `derivative` and did not say its kernel."""
        classes = type(self).__mro__
        nearest = next(c for c in classes if "derivative" in vars(c) or "kernel" in vars(c))
        return self.kernel() if "kernel" in vars(nearest) else None

    @abstractmethod
    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """f(x), elementwise: what would fire if `derivative` were the truth."""
