"""SLAYER's surrogate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pumice.errors import InputError
from pumice.nn.surrogate.base import Surrogate

PAPER = {"tau_grad": 0.01, "scale_grad": 20.0}
"""Parameters of SLAYER's neurons that give the paper's (1 / theta) exp(-|x| / theta), as slayerPytorch sets it."""

TUTORIAL = {"tau_grad": 0.03, "scale_grad": 3.0}
"""Parameters of lava-dl's tutorials."""


@dataclass(frozen=True)
class Exponential(Surrogate):
    r"""Probability that small noise on the voltage changes the spike.

    .. math:: f'(x) = \frac{\kappa}{2 \tau} e^{-|x| / \tau}

    Shrestha and Orchard: SLAYER, NeurIPS 2018, equation for rho; parameters as in lava-dl, where a CUBA neuron has
    tau = 100 tau_grad theta and kappa = 0.1 scale_grad.

    Args:
        tau: Width, in units of voltage.
        scale: kappa, the height of the smooth step.

    Raises:
        InputError: tau or scale is not finite.

    Example:
        >>> Exponential(tau=1.0, scale=2.0).derivative(torch.tensor([0.0, 0.5])).tolist()
        [1.0, 0.6065306663513184]
    """

    tau: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("tau", "scale"):  # SLAYER's neurons may have any
            self._check(name, is_positive=False)

    @property
    def height(self) -> float:
        """The derivative at the threshold.

        Raises:
            InputError: tau is 0.
        """
        if self.tau == 0:
            raise InputError("the exponential surrogate has width 0: SLAYER rounds a threshold below 1/64 to 0")
        return self.scale / 2 / self.tau

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """f'(x), elementwise."""
        height = self.height
        return x.abs().mul_(-1 / self.tau).exp_().mul_(height)

    def kernel(self) -> tuple[str, float, float]:
        """See `Surrogate`."""
        return "exponential", self.tau, self.height

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Distribution function of the Laplace distribution, times kappa."""
        tail = 0.5 * torch.exp(-x.abs() / self.tau)
        return self.scale * torch.where(x < 0, tail, 1 - tail)


@dataclass(frozen=True)
class GradedExponential(Surrogate):
    r"""lava-dl's surrogate of graded spikes: constant above the threshold.

    .. math:: f'(x) = \kappa \, e^{\min(x, 0) / \tau}

    Args:
        tau: Width below the threshold, in units of voltage.
        scale: kappa.

    Raises:
        InputError: tau or scale is not finite.

    Example:
        >>> GradedExponential(tau=1.0, scale=2.0).derivative(torch.tensor([0.0, 3.0])).tolist()
        [2.0, 2.0]
    """

    tau: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("tau", "scale"):  # SLAYER's neurons may have any
            self._check(name, is_positive=False)

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """f'(x), elementwise."""
        return x.clamp(max=0).div_(self.tau).exp_().mul_(self.scale)

    def kernel(self) -> tuple[str, float, float]:
        """See `Surrogate`."""
        return "graded_exponential", self.tau, self.scale

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """Exponential below the threshold, linear above."""
        return self.scale * (self.tau * torch.exp(x.clamp(max=0) / self.tau) + x.clamp(min=0))
