"""Batch norms on CPU tensors, by themselves and between the integrators of a neuron: numba, as in `cpu`."""

# ruff: noqa: PLR0917 -- compiled loops take their arrays by position

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from pumice.nn.kernels import cuba, narrow, norm, normed, stbp
from pumice.nn.kernels import surrogate as surrogates
from pumice.nn.kernels.spread import Array
from pumice.nn.kernels.threads import parallel_for
from pumice.nn.kernels.widths import GRAIN, in_narrowest

WIDEST = 256  # numbers in a row of the loops, where channels are few


class Groups(NamedTuple):
    """How (time, neuron) is divided into sums.

    Attributes:
        tile: How often a row holds all channels.
        width: Numbers in a row.
        span: Neurons of a group.
        shape: Of the sums: groups, pieces of the time, row.
    """

    tile: int
    width: int
    span: int
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, steps: int, neurons: int, channels: int) -> Groups:
        """Those of an array: about `norm.ROWS` rows for each sum."""
        tile = max(1, min(WIDEST, neurons) // channels)
        width, pieces = tile * channels, -(-steps // norm.ROWS)
        span = width * max(1, norm.ROWS // max(steps, 1))
        return cls(tile, width, span, (-(-neurons // span), pieces, width))

    def row(self, per_channel: Array) -> Array:
        """A number for each of a row."""
        return np.tile(per_channel.astype(np.float32), self.tile)

    def sums(self, loop: Any, *args: Any) -> Array:
        """The two sums that a loop gives for every number of a row."""
        found: Array = np.empty((2, *self.shape), np.float32)
        parallel_for(loop, self.shape[0], self.span, *args, *found)
        return found


def normalize_forward(
    x: torch.Tensor,
    gain: torch.Tensor,
    shift: torch.Tensor,
    eps: float,
    unbiased: bool,
    y: torch.Tensor,
    stats: torch.Tensor,
) -> None:
    """Write y = gain (x - mean) / sqrt(var + eps) + shift, per channel, with statistics of the batch.

    Args:
        x: Shape (..., channel), contiguous.
        gain: Per channel.
        shift: Per channel.
        eps: Added to the variance.
        unbiased: Whether the variance is that with n - 1.
        y: Receives the result, float32.
        stats: Receives, as float64 of shape (5, channel), mean, 1 / sqrt(var + eps), gain / sqrt(var + eps), shift
            less that times the mean, and the variance with n - 1.
    """
    steps, channels = x.shape[0], x.shape[-1]
    groups, flat = Groups.of(steps, x[0].numel(), channels), x.view(-1).numpy()
    near, found = (flat[:channels], None), stats.numpy()
    powers, n = groups.sums(norm.sum_powers, x.view(steps, -1).numpy(), *near), x.numel() // channels
    norm.write_statistics(powers, *near, n, gain.numpy(), shift.numpy(), eps, unbiased, found)
    rows = groups.row(found[2]), groups.row(found[3])
    parallel_for(norm.scale, -(-x.numel() // groups.width), flat, *rows, y.view(-1).numpy(), grain=norm.ROWS)


def normalize_backward(
    x: torch.Tensor, g: torch.Tensor, stats: torch.Tensor, unbiased: bool, out: torch.Tensor, grads: torch.Tensor
) -> None:
    """The adjoint of `normalize_forward`.

    Args:
        x: As there.
        g: Gradient of y, contiguous.
        stats: As written there.
        unbiased: As there.
        out: Receives the gradient of x.
        grads: Receives those of gain and shift, (2, channel).
    """
    steps, channels = x.shape[0], x.shape[-1]
    groups, found = Groups.of(steps, x[0].numel(), channels), stats.numpy()
    arrays, of_x = (x.view(steps, -1).numpy(), g.view(steps, -1).numpy()), np.empty((2, channels), np.float32)
    sums = groups.sums(norm.sum_products, *arrays, found[0], None)
    norm.write_gradients(sums, x.numel() // channels, found, unbiased, grads.numpy(), of_x)
    flat = x.view(-1).numpy(), g.view(-1).numpy()
    rows = map(groups.row, (found[0], found[2], *of_x))
    parallel_for(norm.adjoint, -(-x.numel() // groups.width), *flat, *rows, out.view(-1).numpy(), grain=norm.ROWS)


def normed_forward(
    x: torch.Tensor,
    keep_u: torch.Tensor,
    keep_v: torch.Tensor,
    gain: torch.Tensor,
    shift: torch.Tensor,
    eps: float,
    unbiased: bool,
    scale: float,
    threshold: float,
    resets_at: float,
    graded: bool,
    y: torch.Tensor,
    stats: torch.Tensor,
    v: torch.Tensor,
    s: torch.Tensor,
) -> None:
    """A leaky integrator, `normalize_forward`, and the neuron behind, all at rest at first: see `cuba`.

    Args:
        x: (time, neuron), like y, v and s.
        keep_u: As in `cuba.integrate_forward`.
        keep_v: As in `cuba.cuba_forward`.
        gain: As in `normalize_forward`, like the next three.
        shift: See there.
        eps: See there.
        unbiased: See there.
        scale: As in `cuba.cuba_forward`, like the next three; a power of two.
        threshold: See there.
        resets_at: See there.
        graded: See there.
        y: Receives the current in front of the norm; empty where nothing is kept of it, and it is `cuba.rounded` x.
        stats: As in `normalize_forward`.
        v: Receives the voltages.
        s: Receives the spikes.
    """
    channels, factor, found = len(gain), np.float32(scale), stats.numpy()
    groups = Groups.of(len(x), x.shape[1], channels)
    current, left = y.numpy() if y.numel() else None, np.zeros(x.shape[1], bool)
    arrays, near = (x.numpy(), keep_u.numpy()), (x.numpy()[0, :channels], factor)
    powers = groups.sums(normed.current_forward, *arrays, current, left, *near)
    if left.any():
        parallel_for(cuba.integrate_forward, x.shape[1], *arrays, None, factor, current, left, grain=GRAIN)
        powers = groups.sums(norm.sum_powers, current, *near)
    n = x.numel() // channels
    norm.write_statistics(powers, *near, n, gain.numpy(), shift.numpy(), eps, unbiased, found)
    affine = found[2].astype(np.float32), found[3].astype(np.float32)
    numbers = factor, np.float32(threshold), np.float32(resets_at), graded
    inputs = x.numpy() if current is None else current, None, keep_v.numpy(), None, None, *affine
    outs = None, v.numpy(), s.numpy()
    in_narrowest(narrow.cuba_forward, cuba.cuba_forward, x.shape[1], scale, *inputs, *numbers, *outs)


def normed_backward(
    g_s: torch.Tensor,
    v: torch.Tensor,
    y: torch.Tensor,
    stats: torch.Tensor,
    unbiased: bool,
    keep_u: torch.Tensor,
    keep_v: torch.Tensor,
    scale: float,
    threshold: float,
    kind: str,
    a: float,
    b: float,
    reset: str,
    out: torch.Tensor,
    grads: torch.Tensor,
) -> None:
    """The adjoint of `normed_forward`.

    Args:
        g_s: Gradient of the spikes, (time, neuron), like v, y and out.
        v: As written there.
        y: As written there, or x.
        stats: As written there.
        unbiased: As there.
        keep_u: 1 - decay / 4096 of the current per channel, float32.
        keep_v: The same of the voltage.
        scale: As there, like the next.
        threshold: See there.
        kind: The surrogate's kernel; if it is "given", it is in `out`.
        a: Its first number.
        b: Its second number.
        reset: One of `stbp.RESETS`.
        out: Receives the gradient of x.
        grads: Receives those of gain and shift, (2, channel).
    """
    channels, found, factor = stats.shape[1], stats.numpy(), np.float32(scale)
    groups = Groups.of(len(y), y.shape[1], channels)
    numbers = np.float32(threshold), surrogates.of_kernel(kind, a, b), stbp.RESETS.index(reset)
    arrays, of_x = (g_s.numpy(), v.numpy(), y.numpy(), keep_v.numpy()), np.empty((2, channels), np.float32)
    sums = groups.sums(normed.voltage_backward, *arrays, *numbers, out.numpy(), found[0], factor)
    norm.write_gradients(sums, y.numel() // channels, found, unbiased, grads.numpy(), of_x)
    of_loop = y.numpy(), factor, keep_u.numpy(), found[0], found[2], *of_x, out.numpy()
    parallel_for(normed.current_backward, y.shape[1], *of_loop, grain=GRAIN)
