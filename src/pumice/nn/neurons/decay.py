"""Decays that learn: lava-dl's parameter, with the sign of its derivative put right."""

from __future__ import annotations

from typing import Any

import torch
from lava.lib.dl.slayer.utils.quantize import quantize


def rounded(decay: torch.Tensor) -> torch.Tensor:
    r"""A decay in 1/4096 as whole numbers, for lava-dl's integrators and ours, with a gradient that may be followed.

    .. math:: y[t] = (1 - \alpha) \, y[t-1] + x[t], \qquad
        \frac{\partial y[t]}{\partial \alpha} = -y[t-1] + (1 - \alpha) \frac{\partial y[t-1]}{\partial \alpha}

    The integrators give the derivative by what is left, :math:`1 - \alpha`, which lava-dl (0.6) takes for that by
    :math:`\alpha`: an optimiser would move decays away from where the loss falls. As in lava-dl, the gradient is by
    the decay from 0 to 1, though the parameter counts 1/4096.

    Args:
        decay: :math:`4096 \, \alpha`.

    Example:
        >>> decay = torch.tensor([1024.4], requires_grad=True)
        >>> whole = rounded(decay)
        >>> whole.backward(torch.tensor([0.5]))
        >>> whole.tolist(), decay.grad.tolist()
        ([1024.0], [-0.5])
    """
    return quantize(_OfWhatIsLost.apply(decay) if decay.requires_grad else decay)


class _OfWhatIsLost(torch.autograd.Function):
    """The same number; backward, the derivative by what is left becomes that by what is lost."""

    @staticmethod
    def forward(ctx: Any, decay: torch.Tensor) -> torch.Tensor:
        return decay.view_as(decay)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return -grads[0]
