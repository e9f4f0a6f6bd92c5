"""SLAYER's 8-bit weights, with its gradient."""

from __future__ import annotations

from typing import Any

import torch

from pumice.nn.kernels import operators


def _clamp_passes_at_its_bounds() -> bool:
    """Whether this torch's clamp has derivative 1 at its bounds: versions differ, and with them SLAYER's weights."""
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.ones(1, requires_grad=True)
        x.clamp(0, 1).backward()
    return bool(x.grad)


_EDGE = 0 if _clamp_passes_at_its_bounds() else 1


class OnGrid(torch.autograd.Function):
    """The nearest of 256 multiples of a step, ties to even; the gradient passes where none was clamped.

    SLAYER's own chain of functions takes several times as long on a large layer.
    """

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, step: float) -> torch.Tensor:
        """Quantised weights."""
        weight = weight.detach()
        if weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.is_contiguous():
            quantized, passes = torch.empty_like(weight), torch.empty_like(weight)
            operators.quantise(weight, step, _EDGE, quantized, passes)
        else:
            rounded = (weight / step).round_()
            passes = (rounded == rounded.clamp(-128 + _EDGE, 127 - _EDGE)).to(weight.dtype)
            quantized = rounded.clamp_(-128, 127).mul_(step).sub_(weight - weight)  # no finite weight for infinity
        ctx.save_for_backward(passes)
        return quantized

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradient where nothing was clamped."""
        (passes,) = ctx.saved_tensors
        return grads[0] * passes, None
