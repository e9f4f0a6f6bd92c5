"""What convolutions and transposed convolutions have in common: a kernel that moves over an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pumice.ir.limits import MAX_GEOMETRY
from pumice.ir.synapses.base import Entries, IntArray, Shape, channel_delay_problems, non_zero
from pumice.names import counted


def geometry_problems(what: str, s: Any, source: Shape, target: Shape, pairs: dict[str, int]) -> Iterator[str]:
    """What does not fit, before the size of the result is looked at; the last line, if any, ends the check.

    Args:
        what: How the kind is called.
        s: The synapse, with a weight (out, kernel_x, kernel_y, in / groups).
        source: Shape.
        target: Shape.
        pairs: Fields that are (x, y) -> the smallest number that they may hold.
    """
    if len(source) != 3 or len(target) != 3:
        yield f"a {what} joins shapes (x, y, channel), got {source} and {target}"
        return
    if s.weight.ndim != 4 or not s.weight.size:
        yield f"weight must have 4 dimensions (out, kernel_x, kernel_y, in / groups), got shape {s.weight.shape}"
        return
    for label, low in pairs.items():
        pair = getattr(s, label)
        if any(not low <= n <= MAX_GEOMETRY for n in pair):
            yield f"{label} must be two integers (x, y) in {low}..{MAX_GEOMETRY}, got {pair}"
            return
    if not isinstance(s.groups, int) or s.groups < 1 or source[2] % s.groups or s.weight.shape[0] % s.groups:
        yield f"groups = {s.groups} must divide the channels in ({source[2]}) and out ({s.weight.shape[0]})"
    elif s.weight.shape[3] * s.groups != source[2]:
        yield (
            f"weight has {counted(s.weight.shape[3], 'channel')} in each of {counted(s.groups, 'group')}, the "
            f"source has {source[2]}"
        )


def size_problems(what: str, found: Shape, s: Any, source: Shape, target: Shape) -> Iterator[str]:
    """Whether the result has the target's shape, and each channel its delay."""
    if found != target:
        yield f"the {what} gives shape {found}, its target has {target}"
    yield from channel_delay_problems(source, s.delay_steps)


def tap_entries(s: Any, ends: tuple[Shape, Shape], source: tuple[Any, Any], target: tuple[Any, Any]) -> Entries:
    """The taps of a kernel that lie within both images.

    Args:
        s: The synapse.
        ends: Shapes of source and target.
        source: Column x and row y of each tap in the source, over (out, x, y, kernel x, kernel y, in / groups).
        target: The same in the target.
    """
    n_out, per_group = s.weight.shape[0], s.weight.shape[3]
    out, *_, c = np.ogrid[:n_out, :1, :1, :1, :1, :per_group]
    channel: IntArray = out // (n_out // s.groups) * per_group + c
    inside = np.ones((), bool)
    for (x, y), shape in zip((source, target), ends, strict=True):
        inside = inside & (x >= 0) & (x < shape[0]) & (y >= 0) & (y < shape[1])
    delays = np.broadcast_to(np.asarray(s.delay_steps), ends[0][-1:])
    (x, y), (to_x, to_y) = source, target
    return non_zero(
        (to_x * ends[1][1] + to_y) * ends[1][2] + out,
        (x * ends[0][1] + y) * ends[0][2] + channel,
        np.where(inside, s.weight[:, None, None], 0),
        delays[channel],
    )
