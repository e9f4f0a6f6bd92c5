"""Switch a trained network to the arithmetic of the chip, in place."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import torch
from lava.lib.dl.slayer.block import cuba

from pumice.errors import LoweringError, PumiceWarning
from pumice.nn.blocks import Recurrent, rest
from pumice.nn.cuba import CubaNeuron
from pumice.nn.current import sum_of_offsets
from pumice.nn.linear_readout import LinearReadout
from pumice.nn.merge import Merge
from pumice.nn.readout import LinearArm
from pumice.nn.shared_scale import share_scales
from pumice.nn.tdbn import TDBN
from pumice.nn.trace import INPUT, SYNAPTIC, Call, trace
from pumice.nn.views import ArmView, call_arms
from pumice.passes.rescale import choose_vth_mant

MAX_EXACT_FLOAT32 = 1 << 24
FORGETS = 4096


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
        LoweringError: A block cannot be deployed exactly; the message names it. The input range is none, or the
            network is deployed already, for a narrower one.

    Example:
        >>> from pumice.nn import Dense
        >>> model = torch.nn.Sequential(Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2))
        >>> deploy(model, torch.ones(1, 3, 5))(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """
    low, high = value_range(example_input, input_range)
    if is_deployed(model):
        was = getattr(model, "deployed_range", (low, high))
        if low < was[0] or high > was[1]:
            raise LoweringError(
                f"the network was deployed for input values {was[0]}..{was[1]}, got {low}..{high}; deploy a copy of "
                "the trained network with the wider input_range"
            )
        return model
    calls = trace(model, example_input)
    largest = {INPUT: max(abs(low), abs(high))}
    for call in calls:
        largest[call.name] = 1 if isinstance(call.block, SYNAPTIC) else largest[call.sources[0]]
    layers = [call for call in calls if isinstance(call.block, SYNAPTIC)]
    for call in layers:
        _check(call)
    peaks = {call.name: [largest[source] for source in call.sources] for call in layers}
    spiking = [call for call in layers if not isinstance(call.block, LinearReadout)]
    with torch.no_grad():
        vth_mants = share_scales(spiking, {call.name: _vth_mant(call, peaks[call.name]) for call in spiking})
        for call in layers:
            if isinstance(call.block, LinearReadout):
                call.block.deploy_for(call.terms)
    for call in spiking:
        _deploy_block(call, peaks[call.name], vth_mants[call.name])
    model.deployed_range = (low, high)  # type: ignore[assignment]
    return model


def is_deployed(model: torch.nn.Module) -> bool:
    """Whether `deploy` was called on this model."""
    return any(isinstance(module, CubaNeuron) and module.is_deployed for module in model.modules())


def value_range(example_input: torch.Tensor, input_range: tuple[int, int] | None = None) -> tuple[int, int]:
    """Smallest and largest input value: those given, or those of an example.

    Raises:
        LoweringError: The example is no tensor or has values that are not whole numbers; or the range is none, or
            narrower than the example.
    """
    if not isinstance(example_input, torch.Tensor):
        raise LoweringError(f"the example input must be a torch.Tensor, got {type(example_input).__name__}")
    values = example_input.detach()
    if not torch.isfinite(values).all() or not torch.equal(values, values.round()):
        raise LoweringError(
            "the network's input must be whole numbers (spikes, counts or grey levels): the chip's input are "
            "integers; scale and round it before training"
        )
    found = int(values.min()), int(values.max())
    if input_range is None:
        return min(0, found[0]), max(1, found[1])
    low, high = input_range
    if not low <= found[0] <= found[1] <= high:
        raise LoweringError(
            f"input_range must be (smallest, largest) and hold the example's values, {found[0]}..{found[1]}; "
            f"got {input_range}"
        )
    return low, high


class _IntegerWeight:
    """The weight hook of a deployed synapse: its weight as the chip holds it."""

    def __init__(self, arm: ArmView, neuron: CubaNeuron, max_input: int, where: str) -> None:
        self._arm, self._neuron, self._max_input, self._where = arm, neuron, max_input, where

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        integers = self._neuron.integer_weight(weight, self._arm.gain())
        largest = 0 if torch.compiler.is_compiling() else float(self._arm.rows(integers.detach().abs()).sum(1).max()) * self._max_input
        if not torch.compiler.is_compiling() and largest >= MAX_EXACT_FLOAT32:
            raise LoweringError(
                f"block {self._where!r}: its inputs times its weights can add up to {largest:.0f}; float32 is exact "
                f"below {MAX_EXACT_FLOAT32}; use fewer input bits or smaller weights"
            )
        return integers


def _check(call: Call) -> None:
    block, where = call.block, f"block {call.name!r}: "
    if isinstance(block, LinearReadout):
        return
    neuron = block.neuron
    if any(map(_adds_bias, _arms(call))) and neuron.cx_current_decay != FORGETS:
        raise LoweringError(
            where + "arms with a norm or bias need current_decay=1: the bias acts on the voltage on the chip, here "
            "it would pass through the current's memory first"
        )
    if getattr(neuron, "graded_spike", False):
        raise LoweringError(where + "graded_spike=True sends the voltage, which Lava's LIF cannot; use spikes")
    if neuron.persistent_state and not isinstance(block, cuba.Recurrent):
        raise LoweringError(where + "persistent_state=True: a deployed network starts every sample from rest")
    if getattr(block, "bias", None) is not None:
        raise LoweringError(where + "a block's own bias has no place in NetX; use a norm, which folds into one")
    if isinstance(block, cuba.Pool):
        kernel, stride = tuple(block.synapse.kernel_size[:2]), tuple(block.synapse.stride[:2])
        plain = stride == kernel and not any(block.synapse.padding) and all(d == 1 for d in block.synapse.dilation)
        size = tuple(call.xs[0].shape[2:4])
        if not plain or any(n % k for n, k in zip(size, kernel, strict=True)):
            raise LoweringError(
                where + f"pooling {kernel} with stride {stride} of an image {size}: only a kernel that divides the "
                "image's size, with the same stride, no padding and no dilation stays within its channel in SLAYER"
            )
    if getattr(block, "delay_shift", False) and neuron.norm is not None:
        warnings.warn(
            where + "was trained with delay_shift=True and a bias; deployed, its bias starts with its first input",
            PumiceWarning,
            stacklevel=4,
        )


def _vth_mant(call: Call, max_inputs: list[int]) -> int:
    """The block's integer threshold, which sets its scale."""
    block = call.block
    neuron = block.neuron = CubaNeuron.adopt(block.neuron)
    if isinstance(block, Merge):
        neuron.merged_offset = block.offset
    elif call.terms:
        neuron.merged_offset = partial(sum_of_offsets, call.terms, call.y.shape[1])
    return _rescaled_vth_mant(call, max_inputs) if _is_rescaled(call) else int(neuron.v_th_mant)


def _deploy_block(call: Call, max_inputs: list[int], vth_mant: int) -> None:
    block = call.block
    neuron = block.neuron
    if vth_mant < 1:
        raise LoweringError(
            f"block {call.name!r}: its threshold {neuron.threshold} is too small against its weights and bias for "
            "any integer threshold (or below 1/64, the smallest on SLAYER's grid); scale the weights down or it up"
        )
    neuron.deploy(vth_mant)
    for arm, peak in _with_peaks(call, max_inputs):
        arm.set_hook(_IntegerWeight(arm, neuron, peak, call.name))
    block.delay_shift = False
    if isinstance(block, cuba.Recurrent) and not isinstance(block, Recurrent):
        block.register_forward_pre_hook(rest)


def _is_rescaled(call: Call) -> bool:
    """Whether the layer's scale is free: nothing in it was trained on SLAYER's own grid alone."""
    return bool(call.terms) or any(map(_adds_bias, _arms(call))) or isinstance(call.block.neuron.norm, TDBN)


def _arms(call: Call) -> list[Any]:
    """The arms that have norms of their own."""
    return [term.arm for term in call.terms] or list(getattr(call.block, "arms", ()))


def _adds_bias(arm: Any) -> bool:
    return arm.norm is not None or isinstance(arm, LinearArm)


def _with_peaks(call: Call, max_inputs: list[int]) -> list[tuple[ArmView, int]]:
    arms = call_arms(call)
    peaks = max_inputs + [1] * (len(arms) - len(max_inputs))  # a recurrent arm sees the block's own spikes
    return list(zip(arms, peaks, strict=True))


def _rescaled_vth_mant(call: Call, max_inputs: list[int]) -> int:
    neuron, arms = call.block.neuron, _with_peaks(call, max_inputs)
    return choose_vth_mant(
        [arm.folded_rows().double().numpy(force=True) for arm, _ in arms],
        neuron.offset().double().numpy(force=True),
        threshold=float(neuron.threshold),
        max_inputs=[peak for _, peak in arms],
        i_decay_q12=neuron.cx_current_decay,
        concat=getattr(call.block, "concat", False),
    )
