"""Decays that learn: lava-dl's parameter, with its derivative."""

from __future__ import annotations

from typing import Any

import torch
from lava.lib.dl.slayer.utils.quantize import quantize

from pumice.fixedpoint.formats import DECAY_ONE


def rounded(decay: torch.Tensor) -> torch.Tensor:
    r"""A decay in 1/4096 as whole numbers, for lava-dl's integrators and ours, whose gradient this makes right.

    .. math:: \frac{\partial y[t]}{\partial \alpha} = -\frac{y[t-1]}{4096} + \ldots, \qquad
        y[t] = (1 - \alpha / 4096) \, y[t-1] + x[t]

    An integrator gives the sum of :math:`g[t] \, y[t-1]`, the derivative by what is left of y, and calls it that of
    the decay (lava-dl 0.6): an optimiser would move decays away from where the loss falls.

    Args:
        decay: :math:`\alpha`, 0 to 4096.

    Example:
        >>> decay = torch.tensor([1024.4], requires_grad=True)
        >>> whole = rounded(decay)
        >>> whole.backward(torch.tensor([4096.0]))
        >>> whole.tolist(), decay.grad.tolist()
        ([1024.0], [-1.0])
    """
    return quantize(_OfWhatIsLost.apply(decay) if decay.requires_grad else decay)


class _OfWhatIsLost(torch.autograd.Function):
    """The same number; backward the derivative by what is left, of 1, becomes that by what is lost, of 4096."""

    @staticmethod
    def forward(ctx: Any, decay: torch.Tensor) -> torch.Tensor:
        return decay.view_as(decay)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return -grads[0] / DECAY_ONE
