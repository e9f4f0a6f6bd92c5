"""What deploying knows how to replace; anything else is refused by name instead of computed otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lava.lib.dl.slayer.block import cuba
from lava.lib.dl.slayer.neuron import base as slayer_base
from lava.lib.dl.slayer.neuron import cuba as slayer_cuba
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

from pumice.errors import LoweringError
from pumice.nn.arms import AbstractArm
from pumice.nn.blocks import Recurrent
from pumice.nn.cuba import CubaNeuron
from pumice.nn.linear_readout import LinearReadout
from pumice.nn.merge import Merge
from pumice.nn.neurons import Neurons
from pumice.nn.stbp import STBPNeuron
from pumice.nn.tdbn import TDBN
from pumice.nn.trace import Call
from pumice.nn.views import synapse_owners

_BLOCKS = (cuba.Dense, cuba.Conv, cuba.Pool, cuba.Recurrent, Recurrent, Merge, Neurons, LinearReadout)
_NEURONS = (slayer_cuba.Neuron, CubaNeuron, STBPNeuron)
_FIXED_NORMS = (MeanOnlyBatchNorm, WgtScaleBatchNorm)
_QUANTISERS = (slayer_base.Neuron.quantize_8bit, CubaNeuron.quantize_8bit)


def check_finite(model: torch.nn.Module) -> None:
    """Refuse weights that are no numbers: an integer of NaN means nothing.

    Raises:
        LoweringError: A parameter or buffer holds NaN or infinity; the message names it.

    Example:
        >>> layer = torch.nn.Linear(1, 1)
        >>> _ = layer.weight.data.fill_(float("nan"))
        >>> check_finite(layer)
        Traceback (most recent call last):
        pumice.errors.LoweringError: 'weight' holds NaN or infinity; go back to a checkpoint from before it did
    """
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise LoweringError(f"{name!r} holds NaN or infinity; go back to a checkpoint from before it did")


def check_known(call: Call) -> None:
    """Refuse a block's call in which something computes in a way that deploying would replace by another one.

    Args:
        call: Of `pumice.nn.trace`.

    Raises:
        LoweringError: The block, its neuron, a norm or a quantiser is of an unknown kind; or SLAYER would fire at the
            block's threshold.
    """
    block, where = call.block, f"block {call.name!r}: "
    if not _forward_is_of(block, _BLOCKS):
        raise LoweringError(
            where
            + f"{_name(block)} has a forward pass of its own, which cannot be lowered; compute before or behind "
            "the block's call in the model's forward"
        )
    if not isinstance(block, LinearReadout):
        _check_neuron(where, block.neuron)
        _check_norm(where, block.neuron.norm)
    for owner in synapse_owners(call):
        _check_quantiser(where, owner)
        if isinstance(owner, AbstractArm):
            _check_norm(where, owner.norm)


def fires_at_threshold(neuron: Any) -> bool:
    """Whether SLAYER's neuron fires at its threshold: it adds a hundredth of an integer, which float32 may lose."""
    return bool(np.float32(neuron.threshold + neuron.threshold_eps) <= np.float32(neuron.threshold))


def _check_neuron(where: str, neuron: Any) -> None:
    kind = next((known for known in type(neuron).__mro__ if known in _NEURONS), None)
    own = None if kind is None else _overridden(type(neuron), kind)
    if kind is None or own or "forward" in vars(neuron):
        raise LoweringError(
            where
            + f"its neuron {_name(neuron)} computes in a way of its own"
            + (f" ({', '.join(own)})" if own else "")
            + "; only SLAYER's CUBA neuron, nn.CubaNeuron and nn.STBPNeuron can be lowered"
        )
    if not neuron.threshold > 0:
        raise LoweringError(
            where + f"its threshold {neuron.threshold} is too small: SLAYER's grid begins at 1/64; scale weights and "
            "threshold up"
        )


def _check_norm(where: str, norm: Any) -> None:
    if norm is None:
        return
    defines = next(kind for kind in type(norm).__mro__ if "forward" in vars(kind))
    folds = vars(defines).get("folds", False) or defines in _FIXED_NORMS
    if not folds or "forward" in vars(norm):
        raise LoweringError(
            where + f"cannot fold a norm of type {_name(norm)}, whose forward pass is its own; use nn.TDBN, "
            "nn.BiasFreeNorm or MeanOnlyBatchNorm, or set folds = True in the class that defines forward if it is "
            "gain() * x + offset() in evaluation mode"
        )
    assert isinstance(norm, (TDBN, *_FIXED_NORMS))


def _check_quantiser(where: str, owner: Any) -> None:
    hook: Any = owner.weight_hook if isinstance(owner, AbstractArm) else owner.pre_hook_fx
    if hook is None or getattr(hook, "gives_integers", False) or getattr(hook, "__func__", None) in _QUANTISERS:
        return
    raise LoweringError(
        where + f"its weights pass through a quantiser of its own ({_name(hook)}), which the chip's 8-bit grid would "
        "replace; make it part of the weight (torch.nn.utils.parametrize), in multiples of 2/64"
    )


def _forward_is_of(module: Any, kinds: tuple[type, ...]) -> bool:
    known = {getattr(kind, "forward") for kind in kinds}  # noqa: B009 -- mypy knows no forward of a type
    return getattr(type(module), "forward", None) in known and "forward" not in vars(module)


def _overridden(kind: type, known: type) -> list[str]:
    """Methods of `known` that a class between it and `kind` defines anew."""
    between = kind.__mro__[: kind.__mro__.index(known)]
    names = {
        name for part in between for name, value in vars(part).items() if callable(value) and hasattr(known, name)
    }
    return sorted(name for name in names if not name.startswith("__") and name != "extra_repr")


def _name(x: Any) -> str:
    return getattr(x, "__name__", type(x).__name__)
