"""Make pumice's blocks of what was read: one `Merge` for each layer of neurons, with one synapse for each source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from pumice.fixedpoint.formats import DECAY_ONE
from pumice.frameworks.clocks import clock_of, without_bias_
from pumice.frameworks.expressions import INPUT, Op, Term
from pumice.frameworks.facts import NeuronFacts, plain, refusal
from pumice.frameworks.linear import Linear, combined
from pumice.frameworks.network import Step
from pumice.nn.blocks.layers import Flatten
from pumice.nn.blocks.leaky_readout import LeakyReadout
from pumice.nn.blocks.merge import Merge
from pumice.nn.norms.tdbn import TDBN
from pumice.nn.surrogate import Arctan, Surrogate
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.dense import DenseSynapse
from pumice.nn.synapses.identity import IdentitySynapse

_RESERVED = set(dir(torch.nn.Module)) | {"steps", "outputs", "report", INPUT}


class Builder:
    """Blocks and their order, as they come.

    Attributes:
        blocks: By name.
        steps: Calls.
        notes: What the user should know, a line each.
        nearly: What is only nearly the same.
        names: For each neuron and the input, the block whose output it is.
    """

    def __init__(self) -> None:
        self.blocks: dict[str, torch.nn.Module] = {}
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.nearly: list[str] = []
        self.names: dict[str, str] = {INPUT: INPUT}
        self._features: dict[str, tuple[int, ...]] = {}

    def enter(self, features: tuple[int, ...]) -> None:
        """Remember the shape of what enters the network."""
        self._features[INPUT] = features

    def neurons(self, path: str, facts: NeuronFacts, terms: Sequence[Term]) -> None:
        """Add a layer of neurons, or a read-out if they never fire.

        Raises:
            InputError: It cannot be represented; the module is named.
        """
        self.nearly += [f"{path}: {line}" for line in facts.nearly]
        self.notes += [f"{path}: {line}" for line in facts.notes]
        if facts.reads_out:
            self.readout(path, facts, terms)
            return
        parts = [self._source_and_map(term) for term in terms]
        out = {_features_out(linear) for _, linear in parts}
        if len(out) > 1:
            raise refusal(path, f"what is added must have one shape, got {sorted(out)}", "add tensors of one shape")
        features = out.pop()
        params, rows = self._params(path, facts, features)
        synapses = [self._synapse(path, linear, rows, params["threshold"], len(parts)) for _, linear in parts]
        _add_drive(path, facts, synapses, params["current_decay"], rows)
        sources = [source for source, _ in parts]
        if _remembers(params["current_decay"]) and (added := without_bias_(synapses)) is not None:
            clock, from_clock = clock_of(synapses[0], added, image=len(features) > 1)
            sources.append(self._add(f"{path}_clock", clock, sources[:1]))
            synapses.append(from_clock)
            self.notes.append(f"{path}: a bias in front of a current with memory comes from neurons that always fire")
        name = self._add(path, Merge(params, *synapses), sources)
        self.names[path], self._features[name] = name, features

    def readout(self, path: str, facts: NeuronFacts, terms: Sequence[Term]) -> None:
        """Add neurons that never fire, or a last layer without neurons.

        Raises:
            InputError: It cannot be represented; the module is named.
        """
        if len(terms) > 1:
            raise refusal(path, "a read-out must have one source, got a sum", "read out one layer, or each by itself")
        source, linear = self._source_and_map(terms[0])
        if linear.weight is None or linear.is_conv or linear.norm is not None:
            raise refusal(path, "a read-out must read a Linear without a norm", "put a Linear in front of it")
        decay, current = plain(facts.voltage_decay), plain(facts.current_decay)
        for name, share in (("voltage", decay), ("current", current)):
            if isinstance(share, torch.Tensor) or share * DECAY_ONE < 0.5:
                raise refusal(
                    path,
                    f"a read-out's {name} must lose one share of at least 1/{DECAY_ONE} a step, got {share}",
                    "give all its neurons one decay above 0",
                )
            if abs(share * DECAY_ONE - round(share * DECAY_ONE)) > 1e-3:
                rounded = round(share * DECAY_ONE)
                self.notes.append(f"{path}: its {name}'s decay {share:.6g} is rounded to {rounded}/{DECAY_ONE}")
        if current != 1 and linear.bias is not None:
            raise refusal(path, "a read-out whose current has a memory must have no bias", "use Linear(bias=False)")
        outputs, inputs = linear.weight.shape
        block = LeakyReadout(
            inputs, outputs, bias=linear.bias is not None, voltage_decay=decay, current_decay=current
        )
        with torch.no_grad():
            block.readout.linear.weight.copy_(linear.weight * facts.gain)
            if linear.bias is not None:
                block.readout.linear.bias.copy_(linear.bias * facts.gain + facts.drive)
        if linear.bias is None and facts.drive:
            raise refusal(path, f"a leak to {facts.drive:.4g} needs a bias in front of it", "use Linear(bias=True)")
        self.names[path] = self._add(path, block, [source])

    def _source_and_map(self, term: Term) -> tuple[str, Linear]:
        """The block whose spikes a term maps, and how."""
        source, ops = self.names[term.source], list(term.ops)
        if source not in self._features:
            raise refusal(
                term.source,
                f"what other layers take must be spikes, got a voltage that never fires (by {term.ops[0].path!r})"
                if term.ops
                else "what other layers take must be spikes, got a voltage that never fires",
                "give these neurons a threshold and a reset to zero, or take their voltage out of the network",
            )
        features = self._features[source]
        while ops and ops[0].kind == "max_pool":
            source = self._any_of_window(source, features, ops.pop(0))
            features = self._features[source]
        if late := next((op for op in ops if op.kind == "max_pool"), None):
            raise refusal(
                late.path,
                "a max pool must be of spikes, got one of currents",
                "pool behind the neurons, where it is exact, or use an average pool",
            )
        linear = combined(replace(term, ops=tuple(ops)), features)
        self.notes += linear.notes
        return (self._flat(source) if linear.flattens else source), linear

    def _any_of_window(self, source: str, features: tuple[int, ...], op: Op) -> str:
        """Max pooling of spikes: neurons that fire where any of their window did."""
        name = _name(f"{source}_{op.path.rpartition(': ')[2]}")
        if name not in self.blocks:
            kernel, stride, padding, _ = op.values
            channels = features[0]
            synapse = ConvSynapse(channels, channels, kernel, stride=stride, padding=padding, groups=channels)
            synapse.weight.requires_grad_(False).fill_(1)
            params = {"dynamics": "float", "threshold": 0.5, "current_decay": 1.0, "voltage_decay": 1.0}
            self._add(name, Merge(params, synapse), [source])
            self._features[name] = op.features
            size = "x".join(map(str, op.features))
            self.notes.append(f"{op.path}: max pooling takes {size} neurons of its own, which fire where any did")
        return name

    def _flat(self, source: str) -> str:
        name = _name(f"{source}_flat")
        return name if name in self.blocks else self._add(name, Flatten(), [source])

    def _add(self, path: str, block: torch.nn.Module, sources: list[str]) -> str:
        name = _name(path)
        while name in self.blocks or name in _RESERVED:
            name += "_"
        self.blocks[name] = block
        self.steps.append(Step(name, tuple(sources)))
        return name

    def _params(
        self, path: str, facts: NeuronFacts, features: tuple[int, ...]
    ) -> tuple[dict[str, Any], torch.Tensor | None]:
        """Arguments of the neurons, and what the rows of the weights are multiplied by."""
        threshold, gain = plain(facts.threshold), plain(facts.gain)
        rows = None
        relative = threshold / gain
        if isinstance(relative, torch.Tensor):
            rows, relative = 1 / _channels(path, "threshold", relative, features), 1.0
        if not relative > 0:
            raise refusal(path, f"the threshold must lie above the reset voltage, got {relative:g}", "raise it")
        decays = {
            name: _channels(path, name, plain(getattr(facts, name)), features)
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

    def _synapse(
        self, path: str, linear: Linear, rows: torch.Tensor | None, threshold: float, summed: int
    ) -> AbstractSynapse:
        norm = None if linear.norm is None else _norm(linear, rows, threshold)
        has_bias = linear.bias is not None and norm is None
        if linear.weight is None:
            if rows is not None and norm is None:
                raise refusal(path, "thresholds that differ need a layer in front", "give all neurons one threshold")
            return IdentitySynapse(linear.features[0], norm)
        options: dict[str, Any] = {"norm": norm, "bias": has_bias}
        synapse: AbstractSynapse
        if linear.is_conv:
            out, per_group, height, width = linear.weight.shape
            options |= {"stride": linear.stride, "padding": linear.padding, "dilation": linear.dilation}
            n_in = per_group * linear.groups
            synapse = ConvSynapse(n_in, out, (height, width), groups=linear.groups, **options)
        else:
            out, n_in = linear.weight.shape
            synapse = DenseSynapse(n_in, out, **options)
        scale = torch.ones(out) if rows is None or norm is not None else rows
        with torch.no_grad():
            weight = linear.weight * _along(scale, linear.weight)
            synapse.weight.data = weight.reshape(synapse.weight.shape)
            synapse.weight.requires_grad_(linear.learns)
            if linear.bias is not None and synapse.bias is not None:
                synapse.bias.data = linear.bias * scale.to(linear.bias)
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


def _add_drive(
    path: str, facts: NeuronFacts, synapses: Sequence[Any], current_decay: Any, rows: torch.Tensor | None
) -> None:
    """A constant in each step is a bias of one of the synapses."""
    if not facts.drive:
        return
    gain = plain(facts.gain)
    if isinstance(current_decay, torch.Tensor) or current_decay != 1 or isinstance(gain, torch.Tensor):
        raise refusal(path, "a leak that is not to the reset voltage needs a current without memory", "equate them")
    first = synapses[0]
    added = facts.drive / gain * (1.0 if rows is None else rows)
    with torch.no_grad():
        if first.norm is not None:
            first.norm.shift += added
            return
        if first.bias is None:
            first.add_bias_()
        first.bias += added


def _rescaled(surrogate: Surrogate, gain: Any) -> Surrogate:
    """The surrogate of a voltage that is counted in units of a gain."""
    is_scaled = isinstance(surrogate, Arctan) and not isinstance(gain, torch.Tensor)
    return Arctan(surrogate.slope * gain) if is_scaled and isinstance(surrogate, Arctan) else surrogate


def _channels(path: str, name: str, value: Any, features: tuple[int, ...]) -> Any:
    """A parameter as one number, or one per channel."""
    if not isinstance(value, torch.Tensor):
        return value
    shape = tuple(value.shape)
    # As torch aligns shapes: a shape (n,) on an image is one value for each column.
    axis = -len(features)
    by_channel = value.ndim >= len(features) and shape[axis] == features[0] == value.numel()
    per_channel = value.reshape(-1) if by_channel else None
    if shape == features and len(features) > 1:
        first = value.reshape(features[0], -1)
        per_channel = first[:, 0] if bool((first == first[:, :1]).all()) else None
    if per_channel is None:
        raise refusal(
            path,
            f"{name} must be one number or one per channel ({features[0]}), got shape {shape} at neurons {features}",
            f"give each channel one value, in shape {(features[0], *[1] * (len(features) - 1))}",
        )
    return float(per_channel[0]) if bool((per_channel == per_channel[0]).all()) else per_channel.clone()


def _features_out(linear: Linear) -> tuple[int, ...]:
    if linear.weight is None:
        sizes = linear.features
        return (int(torch.Size(sizes).numel()),) if linear.flattens else sizes
    if not linear.is_conv:
        return (len(linear.weight),)
    numbers = zip(
        *(linear.features[1:], linear.weight.shape[2:], linear.stride, linear.padding, linear.dilation), strict=True
    )
    return (len(linear.weight), *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in numbers))


def _remembers(current_decay: Any) -> bool:
    return isinstance(current_decay, torch.Tensor) or current_decay != 1


def _along(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return rows.to(weight).reshape(-1, *[1] * (weight.ndim - 1))


def _name(path: str) -> str:
    return path.replace(".", "_").replace(" ", "_") or "neurons"
