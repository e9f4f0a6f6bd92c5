"""Make pumice's blocks of what was read: one `Merge` for each layer of neurons, with one synapse for each source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch

from pumice.fixedpoint.formats import DECAY_ONE
from pumice.frameworks.clocks import clock_of, without_bias_
from pumice.frameworks.expressions import INPUT, Op, Term
from pumice.frameworks.facts import NeuronFacts, plain, refusal
from pumice.frameworks.kinds import as_image
from pumice.frameworks.linear import Linear, combined
from pumice.frameworks.making import add_offset_, drive_of, neuron_params, remembers, synapse_of
from pumice.frameworks.network import Step
from pumice.nn.blocks.layers import Flatten
from pumice.nn.blocks.leaky_readout import LeakyReadout
from pumice.nn.blocks.merge import Merge
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.identity import IdentitySynapse
from pumice.nn.synapses.one_to_one import OneToOneSynapse

_FIRES = {"dynamics": "float", "current_decay": 1.0, "voltage_decay": 1.0}
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
        self._windows: dict[tuple[str, ...], str] = {}

    def enter(self, features: tuple[int, ...]) -> None:
        """Remember the shape of what enters the network."""
        self._features[INPUT] = as_image(features)

    def neurons(self, path: str, facts: NeuronFacts, terms: Sequence[Term], back: Term | None = None) -> None:
        """Add a layer of neurons, or a read-out if they never fire.

        Args:
            path: The module's name.
            facts: What it is.
            terms: What enters its neurons, but for their own spikes.
            back: What these become one step later, or None.

        Raises:
            InputError: It cannot be represented; the module is named.
        """
        self.nearly += [f"{path}: {line}" for line in facts.nearly]
        self.notes += [f"{path}: {line}" for line in facts.notes]
        if facts.reads_out:
            self.readout(path, facts, terms)
            return
        parts = [self._source_and_map(term) for term in terms]
        features, concat = _joined(path, [linear for _, linear in parts])
        params, rows = neuron_params(path, facts, features)
        synapses: list[AbstractSynapse] = []
        for _, linear in parts:
            first, n = (linear.place or 0) if concat else 0, linear.features_out[0]
            own = None if rows is None else rows[first:][:n]
            synapses.append(synapse_of(linear, own, params["threshold"], keeps_weight=False))
        sources = [source for source, _ in parts]
        recurrent: Any = None
        if back is not None:
            linear = self._of_own_spikes(path, back, features)
            recurrent = synapse_of(linear, rows, params["threshold"], keeps_weight=True)
            self.notes += linear.notes
            params["gradient"] = None
        late = _bias_of(recurrent) if facts.feedback is not None and facts.feedback.starts_late else None
        at_once = None if late is not None else _bias_of(recurrent)
        for number in (drive_of(path, facts, params["current_decay"], rows), at_once):
            if number is not None:
                self._add_offset(synapses, number, concat=concat)
        if remembers(params["current_decay"]) and concat and any(s.norm or s.bias is not None for s in synapses):
            raise refusal(
                path, "a concatenation in front of a current with memory must add no bias", "use bias=False"
            )
        image = len(features) > 1
        clocks = [(late, True)] if late is not None else []
        if remembers(params["current_decay"]) and (always := without_bias_(synapses)) is not None:
            clocks.append((always, False))
        for number, is_late in clocks:
            clock, from_clock = clock_of(synapses[0], number, image=image, late=is_late)
            sources.append(self._add(f"{path}_{'late_' * is_late}clock", clock, sources[:1]))
            synapses.append(from_clock)
            why = (
                "of its own spikes' layer, from the second step on,"
                if is_late
                else "in front of a current with memory"
            )
            self.notes.append(f"{path}: a bias {why} comes from neurons that fire in every step")
        name = self._add(path, Merge(params, *synapses, concat=concat, recurrent=recurrent), sources)
        self.names[path], self._features[name] = name, features

    def _of_own_spikes(self, path: str, back: Term, features: tuple[int, ...]) -> Linear:
        linear = combined(back, features)
        if linear.norm is not None or linear.features_out != features or (linear.flattens and len(features) > 1):
            raise refusal(
                path,
                f"what its own spikes become must have their shape {features}, without a norm, got "
                f"{linear.features_out}" + " behind a norm" * (linear.norm is not None),
                "use a Linear for neurons in a row, a Conv2d that keeps the size for an image",
            )
        return linear

    @staticmethod
    def _add_offset(synapses: Sequence[AbstractSynapse], added: Any, *, concat: bool) -> None:
        first = 0
        for synapse in synapses if concat else synapses[:1]:
            n = int(synapse.out_channels)
            add_offset_(synapse, added[first:][:n] if concat and isinstance(added, torch.Tensor) else added)
            first += n

    def readout(self, path: str, facts: NeuronFacts, terms: Sequence[Term]) -> None:
        """Add neurons that never fire, or a last layer without neurons.

        Raises:
            InputError: It cannot be represented; the module is named.
        """
        parts = [self._source_and_map(term) for term in terms]
        maps = [linear for _, linear in parts]
        if any(m.weight is None or m.is_conv or m.norm is not None for m in maps):
            raise refusal(path, "a read-out must read a Linear without a norm", "put a Linear in front of it")
        if any(m.place is not None for m in maps):
            raise refusal(
                path, "a read-out must read a sum of Linears, got a concatenation", "read each out by itself"
            )
        biases = [m.bias for m in maps if m.bias is not None]
        bias = torch.stack(biases).sum(0) if biases else None
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
        if current != 1 and bias is not None:
            raise refusal(path, "a read-out whose current has a memory must have no bias", "use Linear(bias=False)")
        weight = torch.cat([m.weight for m in maps if m.weight is not None], 1)
        block = LeakyReadout(
            [m.weight.shape[1] for m in maps if m.weight is not None],
            len(weight),
            bias=bias is not None,
            voltage_decay=decay,
            current_decay=current,
        )
        with torch.no_grad():
            block.readout.linear.weight.copy_(weight * facts.gain)
            if bias is not None:
                block.readout.linear.bias.copy_(bias * facts.gain + facts.drive)
        if bias is None and facts.drive:
            raise refusal(path, f"a leak to {facts.drive:.4g} needs a bias in front of it", "use Linear(bias=True)")
        self.names[path] = self._add(path, block, [source for source, _ in parts])

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
        while (k := next((k for k, op in enumerate(ops) if op.kind != "place"), None)) is not None:
            if ops[k].kind == "max_pool":
                source = self._any_of_window(source, features, ops.pop(k))
            elif ops[k].kind == "and":
                source = self._both(source, features, ops.pop(k))
            else:
                break
            features = self._features[source]
        if late := next((op for op in ops if op.kind in {"max_pool", "and"}), None):
            raise refusal(
                late.path,
                f"a {'max pool' if late.kind == 'max_pool' else 'product'} must be of spikes, got one of currents",
                "pool behind the neurons, where it is exact, or use an average pool",
            )
        linear = combined(replace(term, ops=tuple(ops)), features)
        self.notes += linear.notes
        return (self._flat(source) if linear.flattens else source), linear

    def _both(self, source: str, features: tuple[int, ...], op: Op) -> str:
        """Products of spikes: neurons that fire where both did, or where one did and the other did not."""
        other, negated = op.values
        beside, linear = self._source_and_map(other)
        changed = (linear.weight, linear.scale, linear.norm, linear.bias, linear.place)
        if any(x is not None for x in changed) or linear.features_out != features:
            raise refusal(op.path, "a product must be of spikes of one shape, got other maps of them", "add neurons")
        name = _name(f"{source}_and_{'not_' * negated}{beside}")
        if name not in self.blocks:
            second = OneToOneSynapse(features[0]).requires_grad_(False)
            with torch.no_grad():
                second.weight.fill_(-1.0 if negated else 1.0)
            params = {**_FIRES, "threshold": 0.5 if negated else 1.5}
            self._add(name, Merge(params, IdentitySynapse(features[0]), second), [source, beside])
            self._features[name] = features
            size = "x".join(map(str, features))
            rule = "the first does and the second does not" if negated else "both do"
            self.notes.append(
                f"{op.path}: a product of spikes takes {size} neurons of its own, which fire where {rule}"
            )
        return name

    def _any_of_window(self, source: str, features: tuple[int, ...], op: Op) -> str:
        """Max pooling of spikes: neurons that fire where any of their window did."""
        kernel, stride, padding, _ = op.values
        window = source, *map(str, (kernel, stride, padding))
        if window not in self._windows:
            channels = features[0]
            synapse = ConvSynapse(channels, channels, kernel, stride=stride, padding=padding, groups=channels)
            synapse.weight.requires_grad_(False).fill_(1)
            name = self._add(
                f"{source}_{op.path.rpartition(': ')[2]}", Merge({**_FIRES, "threshold": 0.5}, synapse), [source]
            )
            self._windows[window] = name
            self._features[name] = pooled = (channels, *op.features[1:])
            size = "x".join(map(str, pooled))
            self.notes.append(f"{op.path}: max pooling takes {size} neurons of its own, which fire where any did")
        return self._windows[window]

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


def _joined(path: str, parts: Sequence[Linear]) -> tuple[tuple[int, ...], bool]:
    """The shape of the neurons that terms enter, and whether they lie side by side instead of being added."""
    shapes = [part.features_out for part in parts]
    if all(part.place is None for part in parts):
        if len(set(shapes)) > 1:
            raise refusal(
                path, f"what is added must have one shape, got {sorted(set(shapes))}", "add tensors of one shape"
            )
        return shapes[0], False
    alike = len({shape[1:] for shape in shapes}) == 1
    firsts = [sum(shape[0] for shape in shapes[:k]) for k in range(len(parts))]
    positions = prod(shapes[0][1:])
    # Images that were flattened before they were put side by side have their places in the flat order.
    in_order = [part.place for part in parts] in ([*firsts], [first * positions for first in firsts])
    if not alike or not in_order:
        raise refusal(
            path,
            "what is put side by side in front of neurons must be single layers of images of one size, got parts "
            f"{shapes} from channels {[part.place for part in parts]}",
            "put a layer behind the concatenation, or add before it",
        )
    return (sum(shape[0] for shape in shapes), *shapes[0][1:]), True


def _bias_of(recurrent: AbstractSynapse | None) -> torch.Tensor | None:
    """Take the bias out of a recurrent synapse."""
    if recurrent is None or recurrent.bias is None:
        return None
    bias, recurrent.bias = recurrent.bias.detach(), None
    return bias


def _name(path: str) -> str:
    return path.replace(".", "_").replace(" ", "_") or "neurons"
