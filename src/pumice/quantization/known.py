"""What deploying knows how to replace; anything else is refused by name instead of computed otherwise."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from lava.lib.dl.slayer import synapse as slayer_synapse
from lava.lib.dl.slayer.block import sigma_delta as slayer_sd
from lava.lib.dl.slayer.neuron import base as slayer_base
from lava.lib.dl.slayer.neuron import cuba as slayer_cuba
from lava.lib.dl.slayer.neuron import sigma_delta as slayer_sd_neuron
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm

from pumice.errors import LoweringError, PumiceWarning
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.nn.blocks import sigma_delta as sd
from pumice.nn.blocks.lateral_inhibition import LateralInhibition
from pumice.nn.blocks.layers import OneSynapse, Recurrent
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.neurons.floating import FloatCubaNeuron
from pumice.nn.neurons.sigma_delta import SigmaDeltaNeuron
from pumice.nn.neurons.slayer_state import decays_q12
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.synapses import slayer as fast_synapse
from pumice.nn.synapses.base import AbstractSynapse
from pumice.quantization.slayer_changes import check_slayers, is_changes_neuron, is_slayers
from pumice.quantization.synapse_view import synapse_owners
from pumice.quantization.trace import OF_CUBA, Call, in_evaluation_mode

_BLOCKS = (*OF_CUBA, slayer_sd.Output, OneSynapse, Recurrent, LateralInhibition, sd.Input)
_NEURONS = (slayer_cuba.Neuron, CubaNeuron, FloatCubaNeuron, SigmaDeltaNeuron, slayer_sd_neuron.Neuron)
_SYNAPSES = tuple(
    getattr(module, kind)
    for module in (slayer_synapse, fast_synapse)
    for kind in ("Dense", "Conv", "Pool", "ConvTranspose", "Unpool")
)
_FIXED_NORMS = (MeanOnlyBatchNorm, WgtScaleBatchNorm)
_PACKAGES = ("pumice.", "lava.", "torch.")
_QUANTIZERS = (slayer_base.Neuron.quantize_8bit, CubaNeuron.quantize_8bit)


def check_finite(model: torch.nn.Module) -> None:
    """Refuse weights that are no numbers: an integer of NaN means nothing.

    Raises:
        LoweringError: A parameter, or a statistic of a block, holds NaN or infinity; the message names it.

    Example:
        >>> layer = torch.nn.Linear(1, 1)
        >>> _ = layer.weight.data.fill_(float("nan"))
        >>> check_finite(layer)
        Traceback (most recent call last):
        pumice.errors.LoweringError: 'weight' holds NaN or infinity; go back to a checkpoint from before it did
    """
    # Not a user's own buffers: one may hold the best loss so far, infinity at first.
    ours = {
        f"{place}.{name}".lstrip("."): buffer
        for place, module in model.named_modules()
        if type(module).__module__.startswith(_PACKAGES)
        for name, buffer in module.named_buffers(recurse=False)
    }
    for name, tensor in {**dict(model.named_parameters()), **ours}.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise LoweringError(f"{name!r} holds NaN or infinity; go back to a checkpoint from before it did")


def check_known(call: Call) -> None:
    """Refuse a block's call in which something computes in a way that deploying would replace by another one.

    Args:
        call: Of `pumice.quantization.trace`.

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
        _check_dropout(where, getattr(block.neuron, "drop", None), call.undelayed)
    for owner in synapse_owners(call):
        _check_synapse(where, owner)
        _check_quantizer(where, owner)
        if isinstance(owner, AbstractSynapse):
            _check_norm(where, owner.norm)


def check_can_quantize(call: Call, *, is_rescaled: bool) -> None:
    """Refuse what has no exact form on the chip, and announce what changes.

    Args:
        call: Of a block that is not quantized yet, and of which all is known.
        is_rescaled: Whether its scale is free.

    Raises:
        LoweringError: The message names the block, and the remedy.
    """
    block, where = call.block, f"block {call.name!r}: "
    _check_windows(where, call)
    if is_slayers(block):
        check_slayers(f"block {call.name!r}", block)
    if isinstance(block, LinearReadout) or is_changes_neuron(block.neuron):
        return
    neuron = block.neuron
    if not is_rescaled and fires_at_threshold(neuron):
        warnings.warn(
            where + f"SLAYER fires at its threshold {neuron.threshold} already, because float32 does not hold the "
            "hundredth of an integer that it adds, the chip above it: voltages that reach it exactly fire no more; "
            "train on, deployed, or scale weights and threshold below 64",
            PumiceWarning,
            stacklevel=5,
        )
    if any(map(adds_bias, own_synapses(call))) and bool((decays_q12(neuron)[0] != DECAY_ONE).any()):
        raise LoweringError(
            where
            + "synapses with a norm or bias need current_decay=1: the bias acts on the voltage on the chip, here "
            "it would pass through the current's memory first"
        )
    if getattr(neuron, "graded_spike", False):
        raise LoweringError(where + "graded_spike=True sends the voltage, which Lava's LIF cannot; use spikes")
    if getattr(block, "bias", None) is not None:
        raise LoweringError(where + "a block's own bias has no place in NetX; use a norm, which folds into one")
    if getattr(block, "delay_shift", False) and neuron.norm is not None:
        warnings.warn(
            where + "was trained with delay_shift=True and a bias; deployed, its bias starts with its first input",
            PumiceWarning,
            stacklevel=4,
        )


def _check_windows(where: str, call: Call) -> None:
    """SLAYER pools and unpools all channels laid end to end; only some windows stay within theirs."""
    synapse = getattr(call.block, "synapse", None)
    if not isinstance(synapse, (slayer_synapse.Pool, slayer_synapse.Unpool)):
        return
    kernel, stride = tuple(synapse.kernel_size[:2]), tuple(synapse.stride[:2])
    plain = stride == kernel and not any(synapse.padding) and all(d == 1 for d in synapse.dilation)
    size = tuple(call.xs[0].shape[2:4])
    pools = isinstance(synapse, slayer_synapse.Pool)
    if not plain or (pools and any(n % k for n, k in zip(size, kernel, strict=True))):
        what, fits = ("pooling", " that divides the image's size,") if pools else ("unpooling", "")
        raise LoweringError(
            where + f"{what} {kernel} with stride {stride} of an image {size}: only a kernel{fits} with the same "
            "stride, no padding and no dilation stays within its channel in SLAYER"
        )


def own_synapses(call: Call) -> list[Any]:
    """The synapses of a call that have norms of their own."""
    return [term.synapse for term in call.terms]


def adds_bias(synapse: Any) -> bool:
    """Whether a synapse adds something to the current in every step."""
    return synapse.norm is not None or synapse.bias is not None


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
            + "; only SLAYER's CUBA and sigma-delta neurons, nn.CubaNeuron and nn.SigmaDeltaNeuron can be lowered"
        )
    if not is_changes_neuron(neuron) and not neuron.threshold > 0:
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
            "nn.BiasFreeNorm or MeanOnlyBatchNorm, or set folds = True in the class, of nn.TDBN's kind, that defines "
            "forward if it is gain() * x + offset() in evaluation mode"
        )
    if not isinstance(norm, (TDBN, *_FIXED_NORMS)):
        raise LoweringError(where + f"cannot fold a norm of type {_name(norm)}, which is no subclass of nn.TDBN")


def _check_dropout(where: str, drop: Any, spikes: torch.Tensor) -> None:
    """Dropout is not lowered: it must do nothing in evaluation mode."""
    if drop is None:
        return
    probe = torch.linspace(1, 2, spikes.numel(), device=spikes.device).reshape(spikes.shape)
    with torch.no_grad(), in_evaluation_mode(drop) if isinstance(drop, torch.nn.Module) else nullcontext():
        found = drop(probe.clone())
    if not torch.equal(found, probe):
        raise LoweringError(
            where + f"its dropout {_name(drop)} changes spikes in evaluation mode, too, and the chip has none; use "
            "torch.nn.Dropout(p), or a module that does nothing unless self.training"
        )


def _check_synapse(where: str, owner: Any) -> None:
    """What a subclass of ours computes, lowering looks at."""
    patched = any(method in vars(owner) for method in ("forward", "linear"))
    if patched or not (isinstance(owner, AbstractSynapse) or _forward_is_of(owner, _SYNAPSES)):
        raise LoweringError(
            where + f"its synapse {_name(owner)} computes in a way of its own, which cannot be lowered; make the "
            "change to the weight (torch.nn.utils.parametrize)"
        )


def _check_quantizer(where: str, owner: Any) -> None:
    hook: Any = owner.weight_hook if isinstance(owner, AbstractSynapse) else owner.pre_hook_fx
    if hook is None or getattr(hook, "gives_integers", False) or getattr(hook, "__func__", None) in _QUANTIZERS:
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
