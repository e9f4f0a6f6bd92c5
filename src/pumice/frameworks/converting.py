"""Read a framework's network: run it on an example, follow each tensor back, build, and compare."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from pumice.errors import InputError
from pumice.frameworks.agreement import Compared, compare
from pumice.frameworks.building import Builder
from pumice.frameworks.expressions import INPUT, Reader, Term
from pumice.frameworks.facts import Framework, NeuronFacts, Time, refusal
from pumice.frameworks.kinds import as_image, is_plain_layer
from pumice.frameworks.network import ConvertedNetwork
from pumice.frameworks.outputs import last_layers
from pumice.frameworks.recording import Made, Recording
from pumice.names import counted
from pumice.nn.altered import refuse_altering_hooks

STEPS = 8
"""Steps for which a network that computes one step a call is compared."""
_LEAD: dict[Time, int] = {"calls": 1, "time first": 2, "batch first": 2, "time in batch": 1}
_Calls = Sequence[tuple[Made, ...]]


def convert(module: Any, example: Any, framework: Framework, *, approximate: bool) -> ConvertedNetwork:
    """A framework's network as one of `pumice.nn` blocks, with the same spikes.

    Args:
        module: The network.
        example: What its forward takes: a tensor, or a tuple of arguments.
        framework: Which framework's.
        approximate: Whether what is only nearly the same is taken, and said in the report.

    Raises:
        InputError: Something has no equal on the chip; the message names the module, and the remedy.
    """
    args = _checked(module, example, framework)
    facts = _neurons(module, framework, approximate)
    with _at_rest(module, framework):
        recording, returned = _run(module, args, framework, facts)
    if idle := [name for name in facts if name not in recording.calls]:
        raise refusal(idle[0], "all neurons must be called, got no call", "remove it, or give another example")
    facts = {name: facts[name] for name in recording.calls if name in facts}
    calls = {name: _checked_calls(name, recording.calls[name], recording, facts) for name in facts}
    time = next(iter(facts.values())).time
    reader = Reader(framework, facts, _LEAD[time])
    builder, entered = Builder(), _Entered()
    for name, found in facts.items():
        terms = [reader.behind(reader.terms(call[0].inputs[0], name), name, found.entry) for call in calls[name]]
        _check_alike(name, terms)
        entered.add(name, terms)
        builder.enter(tuple(entered.steps[0].shape[_LEAD[time] :]) if entered.steps else ())
        builder.neurons(name, found, terms[0], _back(reader, name, found, calls[name]))
    outputs, readouts = last_layers(recording, framework.answer(returned), facts)
    for name in readouts:
        builder.readout(name, NeuronFacts(voltage_decay=1.0), reader.terms(recording.calls[name][0][0], name))
    network = ConvertedNetwork(builder.blocks, builder.steps, tuple(builder.names[n] for n in outputs), "")
    compared = _compared(network, facts, calls, {n: recording.calls[n] for n in readouts}, builder, entered)
    at_threshold = any(found.fires_at_threshold for found in facts.values())
    network.report = _report(framework, builder, compared, outputs, reader.outside, at_threshold=at_threshold)
    return network.train(module.training)


def _back(reader: Reader, name: str, found: NeuronFacts, calls: _Calls) -> Term | None:
    """What a layer's own spikes become one step later."""
    if found.feedback is None:
        return None
    (term,) = reader.behind([Term(name, calls[0][0].tensor)], name, found.feedback.modules)
    return term


def _checked(module: Any, example: Any, framework: Framework) -> tuple[Any, ...]:
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"from_{framework.package} takes a torch.nn.Module, got {type(module).__name__}")
    args = tuple(example) if isinstance(example, (tuple, list)) else (example,)
    if not args or not isinstance(args[0], torch.Tensor):
        raise InputError(
            f"example must be a tensor, or a tuple of what the forward takes, got {type(example).__name__}; give a "
            "batch as in training"
        )
    return args


def _neurons(module: torch.nn.Module, framework: Framework, approximate: bool) -> dict[str, NeuronFacts]:
    facts: dict[str, NeuronFacts] = {}
    for name, part in module.named_modules():
        inside = any(name.startswith(f"{other}.") for other in facts)  # a container that is read as a layer
        if not inside and (found := framework.neuron(name, part)) is not None:
            facts[name] = found
    if not facts:
        raise InputError(
            f"the module must hold neurons of {framework.name}, got none; give the network that has them, to the "
            "function of its framework"
        )
    for name, found in facts.items():
        if found.nearly and not approximate:
            raise refusal(
                name,
                "; ".join(found.nearly),
                "or take it as nearly the same, with approximate=True, and train on: the report counts the spikes "
                "that change",
            )
    if len({found.time for found in facts.values()}) > 1:
        kinds = ", ".join(f"{name}: {found.time}" for name, found in facts.items())
        raise InputError(f"all neurons must take time in the same way, got {kinds}; set one step mode for all")
    return facts


@contextmanager
def _at_rest(module: torch.nn.Module, framework: Framework) -> Iterator[None]:
    """Evaluation mode, no gradient, states at their start; afterwards at their start again."""
    was_training = {part: part.training for part in module.modules()}
    try:
        module.eval()
        framework.to_rest(module)
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        framework.to_rest(module)
        for part, training in was_training.items():
            part.training = training


def _run(
    module: torch.nn.Module, args: tuple[Any, ...], framework: Framework, facts: Mapping[str, NeuronFacts]
) -> tuple[Recording, Any]:
    def is_layer(name: str, part: torch.nn.Module) -> bool:
        if type(part).__name__ in framework.containers and any(other.startswith(f"{name}.") for other in facts):
            return False  # it hands its steps to neurons one by one
        return name in facts or is_plain_layer(part) or framework.is_layer(part)

    def fresh() -> tuple[Any, ...]:
        # The network may write into what it takes.
        return recording.enter(tuple(x.clone() if isinstance(x, torch.Tensor) else x for x in args))

    recording = Recording(module, is_layer)
    with _hooks_only_look(module), recording.watching():
        returned = last = module(*fresh())
        one_step = all(f.time == "calls" and len(recording.calls.get(name, ())) <= 1 for name, f in facts.items())
        for _ in range(STEPS - 1 if one_step else 0):
            last = framework.again(module, fresh(), last)
    return recording, returned


@contextmanager
def _hooks_only_look(module: torch.nn.Module) -> Iterator[None]:
    handles = refuse_altering_hooks(module, "the module", InputError)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _checked_calls(name: str, calls: _Calls, recording: Recording, facts: Mapping[str, NeuronFacts]) -> _Calls:
    number = {other: len(recording.calls[other]) for other in facts}
    if len(set(number.values())) > 1 or (facts[name].time != "calls" and len(calls) > 1):
        found = ", ".join(f"{other} {n}" for other, n in number.items())
        raise refusal(
            name,
            f"all neurons must be called equally often, once in each step, got {found}",
            "give each place neurons of its own",
        )
    if not facts[name].reads_out and not all(call[0].is_as_made for call in calls):
        raise refusal(
            name,
            "its spikes must stay as they are, got something that writes into them",
            "write y = y + x for y += x",
        )
    return calls


def _check_alike(name: str, steps: Sequence[Sequence[Term]]) -> None:
    """Every step must do the same, with the spikes of that step."""
    first = _signature(steps[0])
    for k, terms in enumerate(steps):
        late = [t.source for t in terms if t.source != INPUT and t.call != k]
        if late:
            raise refusal(
                name,
                f"what enters must be spikes of the same step, got those of {late[0]!r} of an earlier one",
                "feedback between layers needs one step more on the chip for each layer; remove it",
            )
        if _signature(terms) != first:
            raise refusal(name, f"every step must compute as the first, got another sum in step {k}", "make it so")


def _signature(terms: Sequence[Term]) -> list[Any]:
    return [(term.source, [(op.kind, op.path, op.features) for op in term.ops]) for term in terms]


class _Entered:
    """What entered the network in each of its calls, read off where a layer takes it."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def add(self, name: str, steps: Sequence[Sequence[Term]]) -> None:
        for k, terms in enumerate(steps):
            for term in terms:
                if term.source != INPUT:
                    continue
                if k == len(self.steps):
                    self.steps.append(term.tensor)
                if term.tensor.shape != self.steps[k].shape or not torch.equal(term.tensor, self.steps[k]):
                    raise refusal(
                        name,
                        "a network must have one input, got another function of it here than in the first layer",
                        "give both layers the same, and compute it before",
                    )


def _compared(  # noqa: PLR0917 -- all that is known
    network: ConvertedNetwork,
    facts: Mapping[str, NeuronFacts],
    calls: Mapping[str, _Calls],
    readouts: Mapping[str, _Calls],
    builder: Builder,
    entered: _Entered,
) -> list[Compared]:
    some = next(iter(facts.values()))

    def ours(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        found = _time_last(tensors, some.time, some.batch_size, some.n_steps)
        return found.reshape(len(found), *as_image(found.shape[1:-1]), found.shape[-1])

    x = ours(entered.steps)
    spikes = {
        builder.names[name]: ours([call[0].tensor for call in calls[name]])
        for name, found in facts.items()
        if not found.reads_out
    }
    values = {builder.names[name]: ours([call[0].tensor for call in made]) for name, made in readouts.items()}
    for name, found in facts.items():
        if found.reads_out and len(calls[name][0]) > found.voltage_place:
            voltages = [call[found.voltage_place].tensor for call in calls[name]]
            values[builder.names[name]] = ours(voltages)
    network.eval().to(x.device, x.dtype if x.is_floating_point() else torch.float32)
    x = x if x.is_floating_point() else x.to(torch.float32)
    nearly = {builder.names[name] for name, found in facts.items() if found.nearly}
    return compare(network, x, spikes, values, nearly=nearly)


def _time_last(
    tensors: Sequence[torch.Tensor], time: Time, batch_size: int | None, n_steps: int | None
) -> torch.Tensor:
    """Tensors of the framework, one for each call, as pumice has them: (batch, ..., time)."""
    if time == "calls":
        return torch.stack(list(tensors), -1)
    x = tensors[0]
    if time == "time in batch":
        batch = batch_size if batch_size is not None else len(x) // (n_steps or len(x))
        return x.unflatten(0, (batch, -1)).movedim(1, -1)
    return x.movedim(0 if time == "time first" else 1, -1)


def _report(
    framework: Framework,
    builder: Builder,
    compared: Sequence[Compared],
    outputs: Sequence[str],
    outside: Collection[str],
    *,
    at_threshold: bool,
) -> str:
    lines = [f"Read from {framework.name}; outputs: {', '.join(outputs)}."]
    if outside:
        lines.append(
            "Not in this network: what the module computes of its input before its first layer "
            f"({', '.join(outside)}); give this network what enters that layer."
        )
    if builder.nearly:
        lines += ["Only nearly the same:", *(f"  {line}" for line in builder.nearly)]
    if builder.notes:
        lines += ["Note:", *(f"  {line}" for line in dict.fromkeys(builder.notes))]
    if at_threshold:
        lines.append(f"{framework.name}'s neurons fire at their threshold; quantized, only above it, as the chip's.")
    lines.append(f"On the example, each layer driven by {framework.name}'s own spikes:")
    lines += [
        f"  {c.name}: {c.differ} of {c.entries} differ; {counted(c.spikes, 'spike')}"
        + (", at the threshold but for rounding" if c.differ and c.explained else "")
        for c in compared
    ]
    return "\n".join(lines)
