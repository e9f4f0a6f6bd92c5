"""Checks of a block's `neuron_params`: lava-dl takes some wrong ones, and trains with others than were meant."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch

from pumice.errors import InputError
from pumice.names import unknown
from pumice.nn.neurons.slayer_state import DECAYS

NEEDED = ("threshold", *DECAYS)


def check_neuron_params(where: str, neuron_params: Any, neuron: Callable[..., Any], *, ours: tuple[str, ...]) -> None:
    """Refuse a dictionary of which no neuron is made, or another than its numbers say.

    Args:
        where: The block.
        neuron_params: SLAYER's dictionary.
        neuron: What is made with it.
        ours: Keys that it may have beside the neuron's arguments.

    Raises:
        InputError: A number is missing or out of its range, a key is unknown, or a norm or a dropout is none.

    Example:
        >>> lif = {"threshold": 0, "current_decay": 1.0, "voltage_decay": 0.25}
        >>> check_neuron_params("Dense", lif, lambda threshold, current_decay, voltage_decay: None, ours=())
        Traceback (most recent call last):
        pumice.errors.InputError: Dense: threshold must be a number > 0, got 0
    """
    if not isinstance(neuron_params, Mapping):
        raise InputError(f"{where}: neuron_params must be a dictionary, got {type(neuron_params).__name__}")
    if any(name not in neuron_params for name in NEEDED):
        found = ", ".join(map(str, neuron_params)) or "nothing"
        raise InputError(f"{where}: neuron_params must have {', '.join(NEEDED)}, got {found}")
    known = dict.fromkeys((*inspect.signature(neuron).parameters, *ours))
    for name in neuron_params:
        if name not in known:
            raise InputError(f"{where}: {unknown(str(name), known, 'neuron parameter')}")
    threshold = neuron_params["threshold"]
    if not _is_number(threshold) or not 0 < threshold < math.inf:
        raise InputError(f"{where}: threshold must be a number > 0, got {threshold!r}")
    if "shared_param" in known:  # neurons in floating point look at their decays themselves
        for name in DECAYS:
            _check_decay(where, name, neuron_params[name], is_shared=bool(neuron_params.get("shared_param", True)))
    _check_norm(where, neuron_params.get("norm"))
    dropout = neuron_params.get("dropout")
    if dropout is not None and not callable(dropout):
        raise InputError(f"{where}: dropout must be a module, such as torch.nn.Dropout(0.1), got {dropout!r}")


def _check_decay(where: str, name: str, value: Any, *, is_shared: bool) -> None:
    is_range = isinstance(value, (tuple, list, np.ndarray))
    several = value if is_range else [value]
    if (is_range and (is_shared or len(value) != 2)) or not all(isinstance(decay, Real) for decay in several):
        raise InputError(
            f"{where}: {name} must be a number, or with shared_param=False (smallest, largest), got {value!r}"
        )
    if not all(0 <= decay <= 1 for decay in several):
        raise InputError(
            f"{where}: {name} must lie in 0..1, the share that is lost in a step, got {value!r} (of the chip's "
            "decays, give d / 4096)"
        )


def _check_norm(where: str, make: Any) -> None:
    got = repr(make)
    if make is None:
        return
    if callable(make) and not isinstance(make, torch.nn.Module):
        try:
            inspect.signature(make).bind()
        except TypeError as error:
            got = f"{getattr(make, '__name__', make)}, {error}"
        except ValueError:  # some built-in functions tell no arguments
            return
        else:
            return
    raise InputError(
        f"{where}: norm must be what makes a block's norm without arguments, nn.TDBN or a functools.partial of it, "
        f"got {got}"
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return math.prod(value.shape) == 1
    return isinstance(value, Real)
