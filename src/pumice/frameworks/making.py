"""Make a layer's neurons and synapses of what was read."""

from __future__ import annotations

from typing import Any

import torch

from pumice.frameworks.channels import per_channel
from pumice.frameworks.facts import NeuronFacts, plain, refusal
from pumice.frameworks.linear import Linear
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.surrogate import Arctan, Surrogate
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.dense import DenseSynapse
from pumice.nn.synapses.identity import IdentitySynapse
from pumice.nn.synapses.one_to_one import OneToOneSynapse


def neuron_params(
    path: str, facts: NeuronFacts, features: tuple[int, ...]
) -> tuple[dict[str, Any], torch.Tensor | None]:
    """Arguments of the neurons, and what the rows of the weights are multiplied by."""
    threshold, gain = plain(facts.threshold), plain(facts.gain)
    rows = None
    if isinstance(relative := per_channel(path, "threshold", threshold / gain, features), torch.Tensor):
        rows, relative = 1 / relative, 1.0
    if not relative > 0:
        raise refusal(path, f"the threshold must lie above the reset voltage, got {relative:g}", "raise it")
    decays = {
        name: per_channel(path, name, plain(getattr(facts, name)), features)
        for name in ("current_decay", "voltage_decay")
    }
    alike = not any(isinstance(decay, torch.Tensor) for decay in decays.values())
    by_stbp = alike and decays["current_decay"] == 1 and not facts.learns_decays
    return {
        "dynamics": "float",
        "threshold": relative,
        **decays,
        "fires_at_threshold": facts.fires_at_threshold,
        "learns_decays": facts.learns_decays,
        "surrogate": _rescaled(facts.surrogate, gain),
        "gradient": "stbp" if by_stbp else None,
    }, rows


def synapse_of(linear: Linear, rows: torch.Tensor | None, threshold: float, *, keeps_weight: bool) -> AbstractSynapse:
    """A linear map as a synapse.

    Args:
        linear: The map.
        rows: What the rows of its weight are multiplied by, or None.
        threshold: Of the neurons.
        keeps_weight: Whether it must have a weight, even where that is 1 for all.
    """
    norm = None if linear.norm is None else _norm(linear, rows, threshold)
    out = linear.features_out[0]
    factors = torch.ones(out) if rows is None or norm is not None else rows
    options: dict[str, Any] = {"norm": norm, "bias": linear.bias is not None and norm is None}
    synapse: AbstractSynapse
    if linear.weight is None:
        is_plain = linear.scale is None and linear.bias is None and bool((factors == 1).all())
        if is_plain and not keeps_weight:
            return IdentitySynapse(out, norm)
        synapse, found = OneToOneSynapse(out), torch.ones(out) if linear.scale is None else _every(linear.scale, out)
        if options["bias"]:
            synapse.add_bias_()
    elif linear.is_conv:
        _, per_group, height, width = linear.weight.shape
        options |= {"stride": linear.stride, "padding": linear.padding, "dilation": linear.dilation}
        synapse = ConvSynapse(per_group * linear.groups, out, (height, width), groups=linear.groups, **options)
        found = linear.weight
    else:
        synapse, found = DenseSynapse(linear.weight.shape[1], out, **options), linear.weight
    with torch.no_grad():
        synapse.weight.data = (found * _along(factors, found)).reshape(synapse.weight.shape)
        synapse.weight.requires_grad_(linear.learns)
        if linear.bias is not None and synapse.bias is not None:
            synapse.bias.data = _every(linear.bias, out) * factors.to(linear.bias)
    return synapse


def _norm(linear: Linear, rows: torch.Tensor | None, threshold: float) -> TDBN:
    """A batch norm, and the bias of the layer in front of it, as a `TDBN`."""
    found = linear.norm
    momentum = 0.1 if found.momentum is None else found.momentum
    norm = TDBN(found.num_features, alpha=1.0, threshold=threshold, eps=found.eps, momentum=momentum)
    scale = 1.0 if rows is None else rows
    mean = found.running_mean.detach().clone()
    with torch.no_grad():
        weight = torch.ones_like(mean) if found.weight is None else found.weight
        shift = torch.zeros_like(mean) if found.bias is None else found.bias
        norm.scale.data = (weight * scale / threshold).detach().clone()
        norm.shift.data = (shift * scale).detach().clone()
        norm.running_mean = mean if linear.bias is None else mean - linear.bias
        norm.running_var = found.running_var.detach().clone()
    norm.scale.requires_grad_(found.weight is not None)
    norm.shift.requires_grad_(found.bias is not None)
    return norm


def add_offset_(synapse: AbstractSynapse, added: Any) -> None:
    """Let a synapse add a number in every step, or one per channel, beside what it adds already."""
    if synapse.norm is None and synapse.bias is None:
        synapse.add_bias_()
    with torch.no_grad():
        adds = synapse.bias if synapse.norm is None else synapse.norm.shift
        assert adds is not None
        adds.add_(added)


def drive_of(path: str, facts: NeuronFacts, current_decay: Any, rows: torch.Tensor | None) -> Any:
    """What a leak that is not to the reset voltage adds to the current in each step, or None.

    Raises:
        InputError: The current has a memory, or the gain differs: it is no constant of the current.
    """
    if not facts.drive:
        return None
    gain = plain(facts.gain)
    if remembers(current_decay) or isinstance(gain, torch.Tensor):
        raise refusal(path, "a leak that is not to the reset voltage needs a current without memory", "equate them")
    return facts.drive / gain * (1.0 if rows is None else rows)


def remembers(current_decay: Any) -> bool:
    """Whether the current keeps something from step to step."""
    return isinstance(current_decay, torch.Tensor) or current_decay != 1


def _rescaled(surrogate: Surrogate, gain: Any) -> Surrogate:
    """The surrogate of a voltage that is counted in units of a gain."""
    is_scaled = isinstance(surrogate, Arctan) and not isinstance(gain, torch.Tensor)
    return Arctan(surrogate.slope * gain) if is_scaled and isinstance(surrogate, Arctan) else surrogate


def _along(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return rows.to(weight).reshape(-1, *[1] * (weight.ndim - 1))


def _every(values: torch.Tensor, n: int) -> torch.Tensor:
    """One value for each of n neurons, of one for each channel of an image that was flattened."""
    return values.repeat_interleave(n // len(values))
