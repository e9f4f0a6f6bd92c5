"""Switch a trained network to the arithmetic of the chip, in place."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from lava.lib.dl.slayer.block import cuba

from pumice.errors import LoweringError, PumiceWarning
from pumice.nn.blocks import Recurrent, rest
from pumice.nn.cuba import CubaNeuron
from pumice.nn.tdbn import TDBN
from pumice.nn.trace import INPUT, SYNAPTIC, Call, trace
from pumice.passes.rescale import choose_vth_mant

MAX_EXACT_FLOAT32 = 1 << 24


def deploy(
    model: torch.nn.Module, example_input: torch.Tensor, *, input_range: tuple[int, int] | None = None
) -> torch.nn.Module:
    """Make the network's forward pass the chip's: folded, quantised, exact.

    Afterwards its spikes equal the reference backend's on the lowered graph at every step (apart from the
    graph's constant latency), and it can still be trained: gradients pass straight through the rounding
    (quantisation-aware fine-tuning). Batch-norm statistics, decays and each layer's scale stay as they are
    from here on. Layers with a `TDBN` are rescaled to use the range of 8-bit weights; layers without one keep
    the integers that SLAYER trained them with.

    lava-dl's own blocks are deployed too. Their `delay_shift` is switched off: a hop's latency is not computed
    in the network any more, the lowered graph states it.

    Args:
        model: A module that calls `pumice.nn` or lava-dl CUBA blocks one after the other.
        example_input: A batch as in training, (batch, channel, height, width, time) or (batch, n, time); whole
            numbers, because the chip's input are integers.
        input_range: Smallest and largest input value; those of the example if not given.

    Returns:
        The same model.

    Raises:
        LoweringError: A block cannot be deployed exactly; the message names it.

    Example:
        >>> from pumice.nn import Dense
        >>> model = torch.nn.Sequential(Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2))
        >>> deploy(model, torch.ones(1, 3, 5))(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """
    if is_deployed(model):
        return model
    low, high = input_range or example_range(example_input)
    calls = trace(model, example_input)
    origins = {INPUT: INPUT}
    for call in calls:
        origins[call.name] = call.name if isinstance(call.block, SYNAPTIC) else origins[call.source]
    layers = [call for call in calls if isinstance(call.block, SYNAPTIC)]
    for call in layers:
        _check(call)
    for call in layers:
        _deploy_block(call, max_input=max(abs(low), abs(high)) if origins[call.source] == INPUT else 1)
    return model


def is_deployed(model: torch.nn.Module) -> bool:
    """Whether `deploy` was called on this model."""
    return any(isinstance(module, CubaNeuron) and module.is_deployed for module in model.modules())


def example_range(example_input: torch.Tensor) -> tuple[int, int]:
    """Smallest and largest value of an input; all must be whole numbers.

    Raises:
        LoweringError: There are fractions, or values that are not finite.
    """
    values = example_input.detach()
    if not torch.isfinite(values).all() or not torch.equal(values, values.round()):
        raise LoweringError(
            "the network's input must be whole numbers (spikes, counts or grey levels): the chip's input are "
            "integers; scale and round it before training"
        )
    return min(0, int(values.min())), max(1, int(values.max()))


class _IntegerWeight:
    """SLAYER's weight hook of a deployed synapse: its weight as the chip holds it."""

    def __init__(self, neuron: CubaNeuron, max_input: int, where: str) -> None:
        self._neuron = neuron
        self._max_input = max_input
        self._where = where

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        integers = self._neuron.integer_weight(weight)
        largest = float(integers.detach().abs().flatten(1).sum(1).max()) * self._max_input
        if largest >= MAX_EXACT_FLOAT32:
            raise LoweringError(
                f"block {self._where!r}: its inputs times its weights can add up to {largest:.0f}; float32 is exact "
                f"below {MAX_EXACT_FLOAT32}; use fewer input bits or smaller weights"
            )
        return integers


def synapses(block: Any) -> dict[str, Any]:
    """A block's synapses by role: "forward", and "recurrent" where there is one."""
    if isinstance(block, cuba.Recurrent):
        return {"forward": block.input_synapse, "recurrent": block.recurrent_synapse}
    return {"forward": block.synapse}


def _check(call: Call) -> None:
    block, where = call.block, f"block {call.name!r}: "
    neuron = block.neuron
    if getattr(neuron, "graded_spike", False):
        raise LoweringError(where + "graded_spike=True sends the voltage, which Lava's LIF cannot; use spikes")
    if neuron.persistent_state and not isinstance(block, cuba.Recurrent):
        raise LoweringError(where + "persistent_state=True: a deployed network starts every sample from rest")
    if getattr(block, "bias", None) is not None:
        raise LoweringError(where + "a block's own bias has no place in NetX; use a norm, which folds into one")
    if isinstance(block, cuba.Pool):
        kernel, stride = tuple(block.synapse.kernel_size[:2]), tuple(block.synapse.stride[:2])
        plain = stride == kernel and not any(block.synapse.padding) and all(d == 1 for d in block.synapse.dilation)
        size = tuple(call.x.shape[2:4])
        if not plain or any(n % k for n, k in zip(size, kernel, strict=True)):
            raise LoweringError(
                where + f"pooling {kernel} with stride {stride} of an image {size}: only a kernel that divides the "
                "image's size, with the same stride, no padding and no dilation stays within its channel in SLAYER"
            )
    if block.delay_shift and _has_bias(neuron):
        warnings.warn(
            where + "was trained with delay_shift=True and a bias; deployed, its bias starts with its first input",
            PumiceWarning,
            stacklevel=4,
        )


def _has_bias(neuron: Any) -> bool:
    return neuron.norm is not None


def _deploy_block(call: Call, max_input: int) -> None:
    block = call.block
    neuron = block.neuron = CubaNeuron.adopt(block.neuron)
    with torch.no_grad():
        if isinstance(neuron.norm, TDBN):
            weight = torch.cat([s.weight.flatten(1) for s in synapses(block).values()], dim=1)
            folded = weight * neuron.gain().reshape(-1, 1)
            bounds = [max_input] * synapses(block)["forward"].weight[0].numel()
            bounds += [1] * (folded.shape[1] - len(bounds))
            vth_mant = choose_vth_mant(
                folded.double().numpy(force=True),
                neuron.offset().double().numpy(force=True),
                threshold=float(neuron.threshold),
                max_input=bounds,
                i_decay_q12=neuron.cx_current_decay,
            )
            if vth_mant < 1:
                raise LoweringError(
                    f"block {call.name!r}: after folding, its weights or bias are so large against its threshold "
                    "that no integer threshold fits; train with a smaller learning rate or weight decay"
                )
        else:
            vth_mant = neuron.v_th_mant
            if vth_mant < 1:
                raise LoweringError(
                    f"block {call.name!r}: its threshold {neuron.threshold} is below 1/64, the smallest on "
                    "SLAYER's weight grid; scale weights and threshold up"
                )
    neuron.deploy(vth_mant)
    for role, synapse in synapses(block).items():
        synapse.pre_hook_fx = _IntegerWeight(neuron, max_input if role == "forward" else 1, call.name)
    block.delay_shift = False
    if isinstance(block, cuba.Recurrent) and not isinstance(block, Recurrent):
        block.register_forward_pre_hook(rest)
