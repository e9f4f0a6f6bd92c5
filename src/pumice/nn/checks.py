"""Checks of what a block is given: one clear error, at once, instead of torch's later one, or none.

Every `where` is the block's name as the user writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import gcd
from numbers import Integral
from typing import Any

import torch

from pumice.errors import InputError
from pumice.names import counted


def check_sizes(where: str, *, at_least: int = 1, **sizes: Any) -> None:
    """Refuse what is no whole number, or too small a one.

    Example:
        >>> check_sizes("Block", channels=4, stride=0)
        Traceback (most recent call last):
        pumice.errors.InputError: Block: stride must be a whole number >= 1, got 0
    """
    for name, size in sizes.items():
        if not _is_size(size, at_least):
            raise InputError(f"{where}: {name} must be a whole number >= {at_least}, got {size!r}")


def checked_pair(where: str, name: str, value: Any, at_least: int = 1) -> tuple[int, int]:
    """(height, width), of two numbers or of one for both.

    Example:
        >>> checked_pair("Conv", "stride", 2)
        (2, 2)
        >>> checked_pair("Conv", "stride", (2, 0))
        Traceback (most recent call last):
        pumice.errors.InputError: Conv: stride must be one or two whole numbers >= 1, got (2, 0)
    """
    pair = value if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or not all(_is_size(size, at_least) for size in pair):
        raise InputError(f"{where}: {name} must be one or two whole numbers >= {at_least}, got {value!r}")
    return int(pair[0]), int(pair[1])


def check_choice(where: str, name: str, value: Any, allowed: Collection[str]) -> None:
    """Refuse what is not in a list.

    Example:
        >>> check_choice("Block", "gradient", "bptt", ["stbp", "slayer"])
        Traceback (most recent call last):
        pumice.errors.InputError: Block: gradient must be one of stbp, slayer, got 'bptt'
    """
    if value not in allowed:
        raise InputError(f"{where}: {name} must be one of {', '.join(allowed)}, got {value!r}")


def check_divides(where: str, what: str, n: int, *channels: int) -> None:
    """Refuse n parts of channels that cannot be as large as each other.

    Example:
        >>> check_divides("Mixer", "heads", 3, 8)
        Traceback (most recent call last):
        pumice.errors.InputError: Mixer: 3 heads do not divide 8 channels; use 1, 2, 4 or 8
    """
    common = gcd(*channels)
    if common % n:
        *most, last = [str(k) for k in range(1, common + 1) if common % k == 0]
        use = f"{', '.join(most)} or {last}" if most else last
        total = " and ".join([*map(str, channels[:-1]), counted(channels[-1], "channel")])
        raise InputError(f"{where}: {n} {what} do not divide {total}; use {use}")


def check_input(where: str, x: torch.Tensor, channels: int, *, image: bool = False) -> None:
    """Refuse a tensor of other channels, which torch might broadcast, of other axes, of no steps, or of integers.

    Example:
        >>> check_input("Synapse", torch.ones(1, 4, 5), 3)
        Traceback (most recent call last):
        pumice.errors.InputError: Synapse takes (batch, 3, ..., time), got (1, 4, 5); make it for 4 channels
    """
    axes_agree = x.ndim == 5 if image else x.ndim > 2
    if not axes_agree or x.shape[1] != channels:
        fix = f"make it for {counted(x.shape[1], 'channel')}" if axes_agree else "add or flatten axes"
        axes = "height, width" if image else "..."
        raise InputError(f"{where} takes (batch, {channels}, {axes}, time), got {tuple(x.shape)}; {fix}")
    check_samples(x)
    if not x.is_floating_point():
        raise InputError(f"{where} takes floating-point numbers, got {x.dtype}; x.float() holds the same values")


def check_samples(x: torch.Tensor) -> None:
    """Refuse what is no tensor, vmap, which the compiled loops cannot be part of, and samples of no steps.

    Raises:
        InputError: In one line, with the remedy; also where `x` is no tensor.

    Example:
        >>> torch.vmap(check_samples)(torch.ones(2, 3))
        Traceback (most recent call last):
        pumice.errors.InputError: torch.vmap cannot map over compiled loops; put its samples into the batch instead
        >>> check_samples(torch.ones(2, 3, 0))
        Traceback (most recent call last):
        pumice.errors.InputError: samples have at least one step, along the last axis, got input of shape (2, 3, 0)
    """
    if not isinstance(x, torch.Tensor):
        raise InputError(f"a torch.Tensor is needed, got {type(x).__name__}; torch.as_tensor(x) makes one")
    if torch._C._functorch.is_batchedtensor(x):
        raise InputError("torch.vmap cannot map over compiled loops; put its samples into the batch instead")
    if x.ndim and x.shape[-1] == 0:
        raise InputError(f"samples have at least one step, along the last axis, got input of shape {tuple(x.shape)}")


def check_holds_integers(x: torch.Tensor) -> None:
    """Refuse what a deployed neuron cannot compute with.

    Example:
        >>> check_holds_integers(torch.ones(1, dtype=torch.bfloat16))
        Traceback (most recent call last):
        pumice.errors.InputError: a deployed CubaNeuron computes with float32 or float64, which hold its integers, \
got torch.bfloat16
    """
    if x.dtype not in {torch.float32, torch.float64}:
        raise InputError(
            f"a deployed CubaNeuron computes with float32 or float64, which hold its integers, got {x.dtype}"
        )


def check_same_shape(where: str, currents: Sequence[torch.Tensor], *, concat: bool = False) -> None:
    """Refuse currents that torch could only add by broadcasting; a chip cannot. With `concat`, channels are free.

    Example:
        >>> check_same_shape("Sum", [torch.ones(1, 4, 6, 6, 5), torch.ones(1, 4, 1, 1, 5)])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        pumice.errors.InputError: Sum: currents must have the same shape, got (1, 4, 6, 6, 5) and (1, 4, 1, 1, 5); ...
    """
    shapes = [x.shape for x in currents]
    compared = [shape[:1] + shape[2:] for shape in shapes] if concat else shapes
    if any(shape != compared[0] for shape in compared[1:]):
        found = " and ".join(str(tuple(shape)) for shape in shapes)
        but = " but for their channels" if concat else ""
        raise InputError(
            f"{where}: currents must have the same shape{but}, got {found}; "
            "give the synapses strides and padding that agree, and inputs of the same batch and steps"
        )


def check_image(where: str, image_shape: Any) -> None:
    """Refuse what is not (channel, height, width).

    Example:
        >>> check_image("net", (8, 8))
        Traceback (most recent call last):
        pumice.errors.InputError: net: image_shape must be (channel, height, width), each >= 1, got (8, 8)
    """
    is_shape = isinstance(image_shape, Sequence) and len(image_shape) == 3
    if not is_shape or not all(_is_size(size, 1) for size in image_shape):
        raise InputError(f"{where}: image_shape must be (channel, height, width), each >= 1, got {image_shape!r}")


def _is_size(size: Any, at_least: int) -> bool:
    return isinstance(size, Integral) and int(size) >= at_least


def check_deployed_alike(saved: bool, own: bool) -> None:
    """Refuse parameters of a deployed network for one that is not, and the other way round.

    Args:
        saved: Whether the parameters are a deployed network's.
        own: Whether the network that is to hold them is deployed.

    Raises:
        InputError: They are not alike.

    Example:
        >>> check_deployed_alike(saved=True, own=True)
    """
    if saved and not own:
        raise InputError(
            "this state_dict is a deployed network's, and the model is not deployed; call "
            "pumice.quantize_(model, example_input) before loading it"
        )
    if own and not saved:
        raise InputError(
            "the model is deployed, and this state_dict is not a deployed network's; load it before pumice.quantize_"
        )
