"""Networks of SpikingJelly (Fang et al., Science Advances 2023)."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from pumice.frameworks.converting import convert
from pumice.frameworks.facts import (
    GAIN_STAYS,
    Feedback,
    Framework,
    NeuronFacts,
    fires_at_zero,
    is_one,
    kind_of,
    plain,
    refusal,
)
from pumice.frameworks.kinds import OneToOne, in_order, linear_of
from pumice.frameworks.network import ConvertedNetwork
from pumice.nn.surrogate import Arctan

_PACKAGE = "spikingjelly"
_NEURONS = ("IFNode", "LIFNode", "ParametricLIFNode", "CUBALIFNode")
_CONTAINERS = {"LinearRecurrentContainer", "ElementWiseRecurrentContainer"}
_BASE = f"{_PACKAGE}.activation_based"

_SOFT = "v_reset must be a number (the chip's neurons are set to 0 when they fire), got None; train with v_reset=0.0"


def from_spikingjelly(module: Any, example: Any, *, approximate: bool = False) -> ConvertedNetwork:
    r"""A network of SpikingJelly as one of `pumice.nn`, with the same spikes.

    .. math::
        v = v + \frac{1}{\tau} (x - (v - v_{reset})), \quad s = [v \ge \vartheta], \quad
        v = v_{reset} \text{ where } s

    `IFNode`, `LIFNode`, `ParametricLIFNode` (its decay goes on learning) and `CUBALIFNode` with a hard reset are the
    chip's neurons: voltages are counted from `v_reset`, and an input that is scaled by :math:`1 / \tau` scales the
    threshold instead. Batch norms, `ThresholdDependentBatchNorm` too, become `pumice.nn.TDBN` with their statistics;
    both step modes are read, and recurrent containers of such neurons. A neuron with `v_threshold=float("inf")` is a
    read-out of its voltage. The residuals of `sew_resnet` are sums of spikes (ADD: one synapse for each) or neurons
    of their own (AND, IAND).

    Args:
        module: A `torch.nn.Module` with SpikingJelly's neurons and layers, or torch's.
        example: What its forward takes, as in training: (batch, ...) for step mode "s", (time, batch, ...) for "m".
        approximate: Take soft resets (`v_reset=None`) as hard ones; the report counts the spikes that change.

    Returns:
        The network, as `ConvertedNetwork` says.

    Raises:
        InputError: As `ConvertedNetwork` says.

    Example:
        >>> from spikingjelly.activation_based import layer, neuron  # doctest: +SKIP
        >>> network = torch.nn.Sequential(layer.Linear(4, 2), neuron.LIFNode(tau=2.0))  # doctest: +SKIP
        >>> from_spikingjelly(network, torch.ones(1, 4))(torch.ones(1, 4, 10)).shape  # doctest: +SKIP
        torch.Size([1, 2, 10])
    """
    return convert(module, example, _SPIKINGJELLY, approximate=approximate)


def _neuron(path: str, module: torch.nn.Module) -> NeuronFacts | None:
    if kind_of(module, _PACKAGE) in _CONTAINERS:
        return _recurrent(path, module)
    if kind_of(module, _PACKAGE) is None or not type(module).__module__.startswith(f"{_BASE}.neuron"):
        return None
    kind = type(module).__name__
    if kind not in _NEURONS:
        raise refusal(path, f"neurons must be {', '.join(_NEURONS)}, got {kind}", "use one of these")
    node: Any = module
    soft = node.v_reset is None
    rest = 0.0 if soft else node.v_reset
    current_decay, voltage_decay, gain, drive = 1.0, 0.0, 1.0, 0.0
    if kind == "LIFNode":
        voltage_decay = 1 / node.tau
    elif kind == "ParametricLIFNode":
        voltage_decay = plain(node.w.sigmoid())
    elif kind == "CUBALIFNode":
        current_decay, voltage_decay = 1 - node.c_decay, 1 - node.v_decay
        drive = -voltage_decay * rest
    if kind in {"LIFNode", "ParametricLIFNode"} and node.decay_input:
        gain = voltage_decay
    surrogate = node.surrogate_function
    slope = plain(surrogate.alpha) if type(surrogate).__name__ == "ATan" else 2.0
    reads_out = math.isinf(node.v_threshold)
    learns_decay = kind == "ParametricLIFNode" and node.w.requires_grad
    return NeuronFacts(
        threshold=1.0 if reads_out else node.v_threshold - rest,
        current_decay=current_decay,
        voltage_decay=voltage_decay,
        gain=gain,
        drive=drive,
        fires_at_threshold=reads_out or fires_at_zero(path, "surrogate_function", surrogate),
        learns_decays=learns_decay,
        surrogate=Arctan(slope),
        time="time first" if node.step_mode == "m" else "calls",
        reads_out=reads_out,
        voltage_place=1,
        nearly=(_SOFT,) if soft and not reads_out else (),
        notes=(GAIN_STAYS,) if learns_decay and not is_one(gain) else (),
    )


def _recurrent(path: str, container: Any) -> NeuronFacts:
    """A container that gives layers, the last of them neurons, their own spikes of the step before."""
    *layers, node = in_order(container.sub_module)
    facts = _neuron(f"{path}.sub_module", node)
    if facts is None or any(not isinstance(layer, (nn.Linear, nn.Conv2d)) for layer in layers):
        kinds = ", ".join(type(layer).__name__ for layer in (*layers, node))
        raise refusal(
            path, f"it must hold neurons, behind Linear or Conv2d at most, got {kinds}", "put others before it"
        )
    if len(layers) > 1:
        raise refusal(path, "two layers must have neurons between them, got two in a row", "make them one layer")
    without_bias = [_without_bias(layer) for layer in layers]
    if kind_of(container, _PACKAGE) == "LinearRecurrentContainer":
        n_in = container.rc.out_features
        entry, back = container.rc.weight.split([n_in, container.rc.in_features - n_in], 1)
        parts = linear_of(entry, container.rc.bias), *layers
        feedback = linear_of(back), *without_bias
    else:
        own, other = _shares(path, container.element_wise_function)
        parts, feedback = (OneToOne(other), *layers), (OneToOne(own), *without_bias)
    return replace(
        facts,
        time="time first" if container.step_mode == "m" else "calls",
        entry=parts,
        feedback=Feedback(feedback),
    )


def _without_bias(layer: Any) -> Any:
    found = copy.deepcopy(layer)
    found.bias = None
    return found


def _shares(path: str, function: Any) -> tuple[float, float]:
    """What an element-wise function multiplies its two arguments by, if it is such a sum."""
    own, other = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    nothing, one = torch.zeros(1), torch.ones(1)
    factors = float(function(one, nothing)), float(function(nothing, one))
    if not torch.allclose(function(own, other), factors[0] * own + factors[1] * other, atol=1e-5):
        raise refusal(
            path,
            "element_wise_function must be a weighted sum (a chip's neurons add what they receive), got another",
            "use lambda y, x: y + x",
        )
    return factors


def _to_rest(module: torch.nn.Module) -> None:
    parts: list[Any] = list(module.modules())
    for part in parts:
        if hasattr(part, "_memories") and hasattr(part, "reset"):
            part.reset()


_SPIKINGJELLY = Framework(
    "SpikingJelly",
    _PACKAGE,
    _neuron,
    _to_rest,
    layers=(f"{_BASE}.layer", f"{_BASE}.neuron"),
    containers=frozenset({"SeqToANNContainer"}),
)
