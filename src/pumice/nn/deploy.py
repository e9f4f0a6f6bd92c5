"""Switch a trained network to the arithmetic of the chip, in place."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lava.lib.dl.slayer.block import cuba

from pumice.errors import LoweringError, PumiceWarning
from pumice.fixedpoint.bits import STATE_LIMIT
from pumice.nn.blocks import Recurrent, adopt_synapses, rest
from pumice.nn.compiled import original
from pumice.nn.cuba import CubaNeuron
from pumice.nn.current import MergedOffset
from pumice.nn.deployed_changes import warn_of_changes
from pumice.nn.exact import default_dtype, exact_arithmetic
from pumice.nn.known import check_finite, check_known, fires_at_threshold
from pumice.nn.linear_readout import LinearReadout
from pumice.nn.merge import Merge
from pumice.nn.readout import LinearArm
from pumice.nn.runtime_guard import RuntimeGuard
from pumice.nn.shared_scale import share_scales
from pumice.nn.slayer_state import decays_q12
from pumice.nn.tdbn import TDBN
from pumice.nn.trace import INPUT, SYNAPTIC, Call, trace
from pumice.nn.untouched import unchanged_on_error
from pumice.nn.views import ArmView, call_arms
from pumice.passes.rescale import choose_vth_mant

MAX_EXACT_FLOAT32 = 1 << 24
"""Below, whole numbers and their sums are float32s exactly."""
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
        The same model; of one that torch.compile has wrapped, the network inside is deployed.

    Raises:
        LoweringError: A block cannot be deployed exactly; the message names it. The input range is none, or the
            network is deployed already, for a narrower one.

    Example:
        >>> from pumice.nn import Dense
        >>> model = torch.nn.Sequential(Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2))
        >>> deploy(model, torch.ones(1, 3, 5))(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """
    network = original(model)
    low, high = value_range(example_input, input_range)
    guard = getattr(network, "runtime_guard", None)
    was = (low, high) if guard is None else guard.input_range
    if low < was[0] or high > was[1]:
        raise LoweringError(
            f"the network was deployed for input values {was[0]}..{was[1]}, got {low}..{high}; deploy a copy of "
            "the trained network with the wider input_range"
        )
    with undisturbed(network, example_input) as example:
        _deploy(network, example, low, high)
    return model


@contextmanager
def undisturbed(model: torch.nn.Module, example_input: torch.Tensor) -> Iterator[torch.Tensor]:
    """Work on a model as deploying and lowering must: whatever torch's modes are, and undone if it is refused.

    Args:
        model: It gets back what it was if an error leaves the context.
        example_input: Of any mode.

    Returns:
        The example, not of inference mode.

    Example:
        >>> with torch.inference_mode(), undisturbed(torch.nn.Identity(), torch.ones(1)) as example:
        ...     example.is_inference(), torch.is_inference_mode_enabled()
        (False, False)
    """
    with (
        torch.inference_mode(False),
        exact_arithmetic(),
        default_dtype(example_input.dtype),
        unchanged_on_error(model),
    ):
        for parameter in model.parameters():  # lava-dl draws delays in the mode of the first forward pass
            if parameter.is_inference():
                parameter.data = parameter.data.clone()
        yield example_input.clone() if example_input.is_inference() else example_input


def _deploy(model: torch.nn.Module, example_input: torch.Tensor, low: int, high: int) -> None:
    check_finite(model)
    guard = RuntimeGuard.of(model, (low, high))
    with guard.paused():
        calls = trace(model, example_input)
    layers = [call for call in calls if isinstance(call.block, SYNAPTIC)]
    old = [call for call in layers if _has_integers(call.block)]
    new = [call for call in layers if not _has_integers(call.block)]
    peaks = _peaks(calls, max(abs(low), abs(high)))
    for call in old:
        _check_peaks(call, peaks[call.name])
    if not new:
        guard.expect(model, calls)
        return
    for call in new:
        check_known(call)
        _check(call)
    shifted = {call.name for call in new if getattr(call.block, "delay_shift", False)}
    spiking = [call for call in new if not isinstance(call.block, LinearReadout)]
    with torch.no_grad():
        fixed = {call.name: call.block.neuron.vth_mant for call in old if not isinstance(call.block, LinearReadout)}
        vth_mants = {call.name: _vth_mant(call, peaks[call.name]) for call in spiking}
        with_neurons = [call for call in layers if not isinstance(call.block, LinearReadout)]
        vth_mants = share_scales(with_neurons, vth_mants, fixed)
        for call in new:
            if isinstance(call.block, LinearReadout):
                call.block.deploy_for(call.terms)
    for call in spiking:
        _deploy_block(call, vth_mants[call.name])
    _set_integers(spiking, peaks)
    warn_of_changes(model, spiking, {call.name for call in spiking if _is_rescaled(call)}, shifted)
    guard.expect(model, calls)


def _has_integers(block: Any) -> bool:
    return bool(getattr(block if isinstance(block, LinearReadout) else block.neuron, "is_deployed", False))


def _peaks(calls: Sequence[Call], largest_input: int) -> dict[str, list[int]]:
    """For each block the largest absolute value of each of its sources: spikes are 0 or 1."""
    largest = {INPUT: largest_input}
    for call in calls:
        largest[call.name] = 1 if isinstance(call.block, SYNAPTIC) else largest[call.sources[0]]
    return {call.name: [largest[source] for source in call.sources] for call in calls}


def is_deployed(model: torch.nn.Module) -> bool:
    """Whether `deploy` was called on this model."""
    return any(isinstance(module, CubaNeuron) and module.is_deployed for module in model.modules())


def value_range(example_input: torch.Tensor, input_range: tuple[int, int] | None = None) -> tuple[int, int]:
    """Smallest and largest input value, given or of an example; 0 is one: between samples nothing comes.

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
    return min(0, low), max(0, high)


class _IntegerWeight:
    """The weight hook of a deployed synapse: its weight as the chip holds it."""

    gives_integers = True
    _may_wrap = False

    def __init__(self, arm: ArmView, neuron: CubaNeuron, max_input: int, max_sum: int, where: str) -> None:
        self._arm, self._neuron, self._where = arm, neuron, where
        self.max_input, self._max_sum = max_input, max_sum

    @property
    def may_wrap(self) -> bool:
        """Whether the sum of a convolution can reach 2^23, where Lava's wraps; always in a compiled graph."""
        return self._may_wrap or torch.compiler.is_compiling()

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        integers = self._neuron.integer_weight(weight, self._arm.gain())
        largest = self._arm.rows(integers.detach().abs()).sum(1).max() * self.max_input
        if torch.compiler.is_compiling():  # a graph cannot choose by a number
            torch._assert_async(largest < self._max_sum, self._bound())
        else:
            self._check(float(largest))
        return integers

    def _check(self, largest: float) -> None:
        if not largest < self._max_sum:
            raise LoweringError(
                f"{self._bound()}, where float32 is exact, got {largest:.0f}; "
                "use fewer input bits (input_range), smaller weights or fewer synapses"
            )
        self._may_wrap = largest >= STATE_LIMIT

    def _bound(self) -> str:
        return (
            f"block {self._where!r}: its inputs, up to {self.max_input}, times its weights must add up to less than "
            f"{self._max_sum}"
        )


def _check(call: Call) -> None:
    block, where = call.block, f"block {call.name!r}: "
    if isinstance(block, LinearReadout):
        return
    neuron = block.neuron
    if not _is_rescaled(call) and fires_at_threshold(neuron):
        warnings.warn(
            where + f"SLAYER fires at its threshold {neuron.threshold} already, because float32 does not hold the "
            "hundredth of an integer that it adds, the chip above it: voltages that reach it exactly fire no more; "
            "train on, deployed, or scale weights and threshold below 64",
            PumiceWarning,
            stacklevel=5,
        )
    if any(map(_adds_bias, _arms(call))) and bool((decays_q12(neuron)[0] != FORGETS).any()):
        raise LoweringError(
            where + "arms with a norm or bias need current_decay=1: the bias acts on the voltage on the chip, here "
            "it would pass through the current's memory first"
        )
    if getattr(neuron, "graded_spike", False):
        raise LoweringError(where + "graded_spike=True sends the voltage, which Lava's LIF cannot; use spikes")
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
        neuron.merged_offset = MergedOffset.of(call.terms, call.y.shape[1])
    return _rescaled_vth_mant(call, max_inputs) if _is_rescaled(call) else int(neuron.v_th_mant)


def _set_integers(calls: Sequence[Call], peaks: Mapping[str, list[int]]) -> None:
    """Replace every weight by its integers: one that several blocks use, for the largest of their inputs."""
    views: dict[int, tuple[ArmView, Call]] = {}
    max_inputs: dict[int, int] = {}
    max_sums: dict[int, int] = {}
    for call in calls:
        arms = _with_peaks(call, peaks[call.name])
        together = 1 if getattr(call.block, "concat", False) else len(arms)
        for arm, peak in arms:
            key = id(arm.owner)
            views.setdefault(key, (arm, call))
            max_inputs[key] = max(peak, max_inputs.get(key, 0))
            max_sums[key] = min(MAX_EXACT_FLOAT32 // together, max_sums.get(key, MAX_EXACT_FLOAT32))
    for key, (arm, call) in views.items():
        arm.set_hook(_IntegerWeight(arm, call.block.neuron, max_inputs[key], max_sums[key], call.name))


def _check_peaks(call: Call, max_inputs: list[int]) -> None:
    """A block that was deployed before, in another network perhaps, must have been for as large an input."""
    for arm, peak in _with_peaks(call, max_inputs) if not isinstance(call.block, LinearReadout) else ():
        hook: Any = arm.hook()
        if peak > hook.max_input:
            raise LoweringError(
                f"block {call.name!r} was deployed for inputs up to {hook.max_input}, and gets up to {peak}; "
                "deploy a copy of the trained network for this input"
            )


def _deploy_block(call: Call, vth_mant: int) -> None:
    block = call.block
    neuron = block.neuron
    if vth_mant < 1:
        raise LoweringError(
            f"block {call.name!r}: its threshold {neuron.threshold} is too small against its weights and bias for "
            "any integer threshold (or below 1/64, the smallest on SLAYER's grid); scale the weights down or it up"
        )
    neuron.deploy(vth_mant)
    adopt_synapses(block)
    block.delay_shift = False
    if type(block) is cuba.Recurrent:
        Recurrent.adopt(block)
    elif isinstance(block, cuba.Recurrent) and not isinstance(block, Recurrent):
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
