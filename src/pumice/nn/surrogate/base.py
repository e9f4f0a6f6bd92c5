"""What a surrogate is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Real

import torch

from pumice.errors import InputError

COMPILED = ("rectangular", "triangle", "arctan", "fast_sigmoid", "dspike", "exponential", "graded_exponential")
"""Names of the derivatives that there are compiled loops for, on every device."""


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

    def _check(self, name: str, *, is_positive: bool = True) -> None:
        """Refuse a number of one's own of which no derivative comes."""
        value = getattr(self, name)
        number = float(value) if isinstance(value, Real) else math.nan
        if not math.isfinite(number) or (is_positive and number <= 0):
            allowed = "> 0, and finite" if is_positive else "finite"
            raise InputError(f"{type(self).__name__}: {name} must be a number that is {allowed}, got {value!r}")

    @abstractmethod
    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """f'(x), elementwise."""

    def kernel(self) -> tuple[str, float, float] | None:
        """One of `COMPILED`, and its two numbers; None: the derivative is computed by PyTorch."""
        return None

    def compiled(self) -> tuple[str, float, float] | None:
        """`kernel`, unless a subclass has another `derivative` and did not say its kernel.

        Raises:
            InputError: There are no loops of that name.
        """
        classes = type(self).__mro__
        nearest = next(c for c in classes if "derivative" in vars(c) or "kernel" in vars(c))
        kernel = self.kernel() if "kernel" in vars(nearest) else None
        if kernel is not None and kernel[0] not in COMPILED:
            raise InputError(
                f"{type(self).__name__}.kernel: there are compiled loops for {', '.join(COMPILED)}, not for "
                f"{kernel[0]!r}; return None, and its derivative is computed by PyTorch"
            )
        return kernel

    @abstractmethod
    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """f(x), elementwise: what would fire if `derivative` were the truth."""
