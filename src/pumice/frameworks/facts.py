"""What a framework's module is, in pumice's terms: the same words for snnTorch, SpikingJelly, Norse and sinabs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch

from pumice.errors import InputError
from pumice.nn.surrogate import Arctan, Surrogate

Time: TypeAlias = Literal["calls", "time first", "batch first", "time in batch"]
"""Where a tensor has its steps: a call for each, (time, batch, ...), (batch, time, ...), (batch * time, ...)."""

GAIN_STAYS = "its decay goes on learning; the scale of its input does not follow it"


@dataclass(frozen=True, eq=False)
class Feedback:
    """Layers from a layer's own spikes to what enters its neurons one step later.

    Attributes:
        modules: In order.
        starts_late: Whether their bias is there only from the second step on: nothing is computed before the first.
    """

    modules: tuple[torch.nn.Module, ...]
    starts_late: bool = False


@dataclass(frozen=True, eq=False)
class NeuronFacts:
    r"""One step of a framework's neurons.

    .. math::
        u &\leftarrow (1 - \alpha_u) u + x \\
        v &\leftarrow (1 - \alpha_v) v + g u + b \\
        s &= H(v - \vartheta), \qquad v \leftarrow 0 \text{ where } s

    with voltages counted from where the reset puts them.

    Attributes:
        threshold: :math:`\vartheta`, one or one per channel.
        current_decay: :math:`\alpha_u`; 1 where the current has no memory.
        voltage_decay: :math:`\alpha_v`.
        gain: g.
        drive: b, a constant in each step, of a leak that is not to the reset voltage.
        fires_at_threshold: Whether H(0) is 1.
        learns_decays: Whether the framework trains a decay.
        surrogate: For the gradient.
        time: Where the neurons expect the steps.
        batch_size: Samples, where time is in the batch; None if `n_steps` tells it.
        n_steps: Steps, likewise.
        reads_out: Whether they never fire, so that their voltage is an output.
        voltage_place: Which of the tensors that the module returns is the voltage, of neurons that never fire.
        nearly: What is only nearly the same, a line each.
        notes: What else the user should know, a line each.
        entry: Layers of the module's own in front of its neurons, in order.
        feedback: From its spikes to its neurons, or None.
    """

    threshold: Any = 1.0
    current_decay: Any = 1.0
    voltage_decay: Any = 0.0
    gain: Any = 1.0
    drive: float = 0.0
    fires_at_threshold: bool = False
    learns_decays: bool = False
    surrogate: Surrogate = Arctan()  # noqa: RUF009 -- frozen
    time: Time = "calls"
    batch_size: int | None = None
    n_steps: int | None = None
    reads_out: bool = False
    voltage_place: int = 0
    nearly: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    entry: tuple[torch.nn.Module, ...] = ()
    feedback: Feedback | None = None


@dataclass(frozen=True, eq=False)
class Framework:
    """How one framework's modules are read.

    Attributes:
        name: As its users write it.
        package: Its top module.
        neuron: Facts of a module of the framework's, or None if it is no neuron; refuses what cannot be represented.
        to_rest: Puts the states of all modules to their start.
        again: Calls a network for its next step: the network, its arguments, what the step before gave.
        answer: What a network answers, without the states that it returns beside it.
        layers: Where the package defines layers, which are taken as a whole; what others compute is looked into.
        transparent: Names of layers that are looked into all the same, as they only call what they contain.
        containers: Names of layers that hand every step to what they contain, as if it had no steps.
    """

    name: str
    package: str
    neuron: Callable[[str, torch.nn.Module], NeuronFacts | None]
    to_rest: Callable[[torch.nn.Module], None]
    again: Callable[[torch.nn.Module, tuple[Any, ...], Any], Any] = lambda module, args, before: module(*args)
    answer: Callable[[Any], Any] = lambda returned: returned
    layers: tuple[str, ...] = ()
    transparent: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()

    def is_layer(self, module: torch.nn.Module) -> bool:
        """Whether a module is a layer of the framework's own."""
        name = type(module).__name__
        return type(module).__module__.startswith(self.layers) and name not in self.transparent


def kind_of(module: torch.nn.Module, package: str) -> str | None:
    """The name of a module's class, if it is one of a package's own, else None.

    Example:
        >>> kind_of(torch.nn.Linear(1, 1), "torch")
        'Linear'
    """
    kind = type(module)
    return kind.__name__ if kind.__module__.partition(".")[0] == package else None


def refusal(path: str, found: str, remedy: str) -> InputError:
    """The error of what cannot be represented.

    Args:
        path: The module's name in its network.
        found: What is allowed against what was found.
        remedy: What to do.

    Example:
        >>> refusal("net.lif1", "reset must be to zero, got 'subtract'", "train with 'zero'")
        InputError("module 'net.lif1': reset must be to zero, got 'subtract'; train with 'zero'")
    """
    return InputError(f"module {path!r}: {found}; {remedy}")


def plain(value: Any) -> Any:
    """A parameter's value: a number, or a tensor of one per channel, detached.

    Example:
        >>> plain(torch.tensor(0.5)), plain(torch.tensor([0.5, 0.25])).tolist()
        (0.5, [0.5, 0.25])
    """
    if not isinstance(value, torch.Tensor):
        return float(value)
    value = value.detach()
    return value.item() if value.numel() == 1 else value.clone()


def learns(*values: Any) -> bool:
    """Whether one of these is trained."""
    return any(isinstance(value, torch.Tensor) and value.requires_grad for value in values)


def is_one(value: Any) -> bool:
    """Whether a parameter is 1 for all neurons.

    Example:
        >>> is_one(1.0), is_one(torch.tensor([1.0, 0.5]))
        (True, False)
    """
    return bool((torch.as_tensor(value) == 1).all())


def fires_at_zero(path: str, name: str, function: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    """Whether a neuron's step function is 1 at 0; refuses a function that is no step from 0 to 1.

    Args:
        path: The module's name in its network.
        name: What the framework calls the function.
        function: Of the distance to the threshold.

    Example:
        >>> fires_at_zero("lif", "spike_grad", lambda x: (x > 0).float())
        False
    """
    x = torch.cat([torch.linspace(-20, 20, 41), torch.tensor([-1e-3, 1e-3])])
    with torch.no_grad():
        sent = function(x).to(x.dtype)
    at_zero = float(sent[20])
    if not torch.equal(sent, torch.where(x == 0, at_zero, (x > 0).to(x.dtype))) or at_zero not in {0.0, 1.0}:
        raise refusal(
            path,
            f"{name} must give 0 below the threshold and 1 above it (a chip's spikes are all alike), got "
            f"{float(sent[18]):.3g} at -2, {float(sent[22]):.3g} at 2",
            "give it a surrogate whose forward is a step",
        )
    return at_zero == 1
