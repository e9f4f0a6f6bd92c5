"""Switch a trained network to the arithmetic of the chip, in place."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from numbers import Integral

import torch

from pumice.backends.torch.exact import exact_arithmetic
from pumice.errors import LoweringError
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.exact import default_dtype
from pumice.nn.neurons.cuba import CubaNeuron
from pumice.nn.neurons.sigma_delta import SigmaDeltaNeuron
from pumice.quantization.changes import warn_of_changes
from pumice.quantization.compiled import original
from pumice.quantization.known import check_finite
from pumice.quantization.planner import check_layers, plan_calls
from pumice.quantization.plans import Plan
from pumice.quantization.switch import apply
from pumice.quantization.trace import SYNAPTIC, Call, trace
from pumice.quantization.untouched import unchanged_on_error


def quantize_(
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
        model: A module that calls `pumice.nn` blocks, or lava-dl's CUBA or sigma-delta blocks, one after the other.
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
        >>> quantize_(model, torch.ones(1, 3, 5))(torch.ones(1, 3, 5)).shape
        torch.Size([1, 2, 5])
    """
    network = original(model)
    found = value_range(example_input, input_range)
    with undisturbed(network, example_input) as example:
        calls, decided = _decide(network, example, found)
        shifted = {call.name for call in calls if getattr(call.block, "delay_shift", False)}
        apply(network, decided)
        warn_of_changes(network, calls, decided, shifted)
    return model


def plan(model: torch.nn.Module, example_input: torch.Tensor, *, input_range: tuple[int, int] | None = None) -> Plan:
    """How `quantize_` would make the network's integers; print it.

    The network stays as it is; lava-dl's blocks draw their delays and decays in the first forward pass, also here.

    Args:
        model: As for `quantize_`.
        example_input: The same.
        input_range: The same.

    Returns:
        For each layer its scale, threshold, weights, bias and largest states, and what to do about them.

    Raises:
        LoweringError: A block cannot be quantized exactly; the message names it.

    Example:
        >>> from pumice.nn import Dense
        >>> model = torch.nn.Sequential(Dense({"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}, 3, 2))
        >>> with torch.no_grad():
        ...     _ = model[0].synapse.weight.fill_(0.5)
        >>> print(plan(model, torch.ones(1, 3, 5)))
        input 0..1
        layer  scale  vth  weights  bits  clipped  bias  worst u  worst v
        0         64   64    0..32     6      0/6  0..0     0.1%     0.3%
    """
    network = original(model)
    found = value_range(example_input, input_range)
    with undisturbed(network, example_input) as example:
        return _decide(network, example, found)[1]


def check_can_be_quantized(model: torch.nn.Module, example_input: torch.Tensor) -> None:
    """Refuse, before it is trained, a network that `quantize_` would refuse whatever its weights become.

    Args:
        model: As for `quantize_`; it stays as it is.
        example_input: The same.

    Raises:
        LoweringError: A block cannot be quantized exactly; the message names it.
    """
    network = original(model)
    with undisturbed(network, example_input) as example, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come when it is quantized
        check_layers([call for call in trace(network, example) if isinstance(call.block, SYNAPTIC)])


def _decide(
    network: torch.nn.Module, example_input: torch.Tensor, input_range: tuple[int, int]
) -> tuple[list[Call], Plan]:
    guard = getattr(network, "runtime_guard", None)
    if guard is not None:
        guard.check_range(input_range)
    check_finite(network)
    with nullcontext() if guard is None else guard.paused():
        calls = trace(network, example_input)
    return calls, plan_calls(network, calls, input_range)


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


def is_quantized(model: torch.nn.Module) -> bool:
    """Whether `quantize_` was called on this model."""
    kinds = CubaNeuron, LinearReadout, SigmaDeltaNeuron
    return any(isinstance(module, kinds) and module.is_deployed for module in model.modules())


def check_example(example_input: object) -> None:
    """Refuse what is no batch of samples.

    Raises:
        LoweringError: It is no tensor, holds nothing, or lacks axes.

    Example:
        >>> check_example(torch.ones(3, 5))
        Traceback (most recent call last):
        pumice.errors.LoweringError: the example input must be a batch, (batch, channel, height, width, time) or \
(batch, n, time), got shape (3, 5); of one sample: x.unsqueeze(0)
    """
    if not isinstance(example_input, torch.Tensor):
        raise LoweringError(f"the example input must be a torch.Tensor, got {type(example_input).__name__}")
    shape = tuple(example_input.shape)
    if len(shape) < 3:
        raise LoweringError(
            "the example input must be a batch, (batch, channel, height, width, time) or (batch, n, time), got shape "
            f"{shape}; of one sample: x.unsqueeze(0)"
        )
    if not example_input.numel():
        raise LoweringError(f"the example input holds nothing, its shape is {shape}")


def _is_whole(n: object) -> bool:
    return isinstance(n, Integral) and not isinstance(n, bool)


def value_range(example_input: torch.Tensor, input_range: tuple[int, int] | None = None) -> tuple[int, int]:
    """Smallest and largest input value, given or of an example; 0 is one: between samples nothing comes.

    Raises:
        LoweringError: See `check_example`; or the example has values that are not whole numbers; or the range is
            none, or narrower than the example.
    """
    check_example(example_input)
    values = example_input.detach()
    values = values.to(torch.uint8) if values.dtype == torch.bool else values
    if values.is_complex() or not torch.isfinite(values).all() or not torch.equal(values, values.round()):
        raise LoweringError(
            "the network's input must be whole numbers (spikes, counts or grey levels): the chip's input are "
            "integers; scale and round it before training"
        )
    found = int(values.min()), int(values.max())
    if input_range is None:
        return min(0, found[0]), max(1, found[1])
    if not isinstance(input_range, (tuple, list)) or len(input_range) != 2 or not all(map(_is_whole, input_range)):
        raise LoweringError(f"input_range must be two whole numbers, (smallest, largest), got {input_range!r}")
    low, high = map(int, input_range)
    if not low <= found[0] <= found[1] <= high:
        raise LoweringError(
            f"input_range must be (smallest, largest) and hold the example's values, {found[0]}..{found[1]}; "
            f"got {input_range}"
        )
    return min(0, low), max(0, high)
