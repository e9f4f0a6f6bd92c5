"""Learnable axonal delays: SLAYER's, without its loop over neurons."""

from __future__ import annotations

import math
from typing import Any

import torch
from lava.lib.dl.slayer import axon

from pumice.errors import InputError
from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.names import counted
from pumice.nn.kernels import operators
from pumice.nn.layout import slayer_order, time_major
from pumice.nn.neurons import slayer_state

slayer_state.install()

MAX_DELAY = DELAY_STEPS.high
"""Steps: what 6 bits hold, less one, as in lava-dl and NetX."""


class Delay(axon.Delay):
    r"""Delays each channel's spikes by whole steps, and learns by how many.

    .. math::
        y_c[t] = x_c[t - \lfloor d_c \rfloor], \qquad
        \frac{\partial E}{\partial d_c} = \sum_t \frac{\partial E}{\partial y_c[t]} \, (y_c[t-1] - y_c[t])

    summed over batch and space: the backward difference stands for the derivative in time. It is coarse where the
    neurons behind remember only a few steps; their memory is what tells an early spike from a late one. d is clamped
    to [0, max_delay] in each forward pass, and rounded down, as it will be on the chip. A dense layer has one delay
    per neuron, a convolution one per channel.

    Shrestha and Orchard: SLAYER, NeurIPS 2018; the discrete rule is that of slayerPytorch and lava-dl.

    Args:
        channels: Number of delays; that of the first input if not given.
        max_delay: Steps, up to 62.

    Shape:
        (batch, channel, ..., time) -> the same.

    Raises:
        InputError: `max_delay` is outside 0..62, or the input has another number of channels.

    Example:
        >>> delay = Delay(1)
        >>> delay.delay.data[:] = 2.9
        >>> delay(torch.tensor([[[0.0, 1.0, 0.0, 0.0, 0.0]]])).tolist()
        [[[0.0, 0.0, 0.0, 1.0, 0.0]]]
    """

    delay: torch.nn.Parameter

    def __init__(self, channels: int | None = None, max_delay: int = MAX_DELAY) -> None:
        if not 0 <= max_delay <= MAX_DELAY:
            raise InputError(f"max_delay must be 0 to {MAX_DELAY} steps, got {max_delay}")
        super().__init__(max_delay=max_delay)
        if channels is not None:
            self._draw(channels)

    def _draw(self, channels: int) -> None:
        """SLAYER's initial delays: below one step, at random."""
        with torch.inference_mode(False), torch.no_grad():  # a parameter, whatever the first batch is for
            self.delay.data = torch.rand(channels, dtype=torch.float32, device=self.delay.device).to(self.delay)
        self.init = True

    def clamp(self) -> None:
        """Keep delays in their range; infinity becomes NaN, which stays."""
        if self.init:
            values = self.delay.data
            values.copy_(values.clamp(0, self.max_delay) + (values - values))

    def steps(self) -> torch.Tensor:
        """The delays as the chip has them, int64."""
        self.clamp()
        return self.delay.detach().floor().long()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Delayed spikes."""
        if torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling():
            raise InputError("a Delay keeps its parameter in range, so torch.export needs strict=True")
        if not self.init:
            self._draw(input.shape[1])
        if len(self.delay) != input.shape[1]:
            raise InputError(
                f"Delay has {counted(len(self.delay), 'channel')}, got input of shape {tuple(input.shape)}"
            )
        self.clamp()
        return slayer_order(_Shift.apply(time_major(input), self.delay))


class _Shift(torch.autograd.Function):
    """The shift of time-major spikes, with the gradients of input and delays; on the CPU in compiled loops."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, delay: torch.Tensor) -> torch.Tensor:
        floor = delay.detach().floor()
        if _has_loops(x, floor):
            y, words = torch.empty_like(x), _words_for(x)
            operators.delay_forward(x.flatten(1), floor, y.flatten(1), words)
        else:
            y, words = shift(x, floor), None
        ctx.save_for_backward(y, floor, words)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        y, floor, words = ctx.saved_tensors
        g = grads[0]
        if words is not None:
            g_x, g_steps = torch.empty_like(y), y.new_empty(y.shape[1:])
            operators.delay_backward(
                g.contiguous().flatten(1), y.flatten(1), words, floor, g_x.flatten(1), g_steps.view(-1)
            )
            return g_x, g_steps.flatten(0, -2).sum(0, dtype=torch.float64).to(floor.dtype)
        g_delay = None
        if ctx.needs_input_grad[1]:  # the difference of sums that nearly cancel
            others, wide = list(range(g.ndim - 1)), torch.promote_types(g.dtype, floor.dtype)
            g_delay = (g[1:] * y[:-1]).sum(others, dtype=wide) - (g * y).sum(others, dtype=wide)
        return shift(g, -floor) if ctx.needs_input_grad[0] else None, g_delay


def _has_loops(x: torch.Tensor, floor: torch.Tensor) -> bool:
    return x.device.type == floor.device.type == "cpu" and x.dtype == floor.dtype == torch.float32


def _words_for(x: torch.Tensor) -> torch.Tensor:
    """Memory for the spikes of time-major x, a bit for each step, behind a row for whether they are spikes."""
    words = -(-len(x) // torch.iinfo(torch.int32).bits)
    return x.new_empty(1 + words, math.prod(x.shape[1:]), dtype=torch.int32)


def shift(x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Move each channel of time-major x by so many steps, later if positive, with zeros where nothing comes from.

    Args:
        x: (time, ..., channel).
        steps: Per channel, whole numbers; where one is NaN, so is the channel.

    Example:
        >>> shift(torch.tensor([[1.0, 1.0], [2.0, 2.0]]), torch.tensor([1.0, 0.0])).tolist()
        [[0.0, 1.0], [1.0, 2.0]]
    """
    source = torch.arange(len(x), device=x.device)[:, None] - steps.nan_to_num(0).to(torch.int64)
    shape = (len(x), *[1] * (x.ndim - 2), x.shape[-1])
    inside = ((source >= 0) & (source < len(x))).view(shape)
    index = source.clamp(0, len(x) - 1).view(shape).expand(x.shape)
    return torch.where(inside, x.gather(0, index), 0) + (steps - steps).to(x.dtype)
