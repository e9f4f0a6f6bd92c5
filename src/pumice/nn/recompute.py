"""Activations that are computed again in the backward pass instead of being kept: gradient checkpointing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from pumice.errors import InputError
from pumice.nn.blocks.current import Current
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.neurons.slayer_state import STATES

_CONTAINERS = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)
_AGAIN: ContextVar[bool] = ContextVar("again", default=False)


def is_recomputing() -> bool:
    """Whether what is computed now was computed in the forward pass already: nothing is to be counted twice.

    Example:
        >>> is_recomputing()
        False
    """
    return _AGAIN.get()


@contextmanager
def checkpointed_(model: torch.nn.Module) -> Iterator[None]:
    """Until the context ends, each part of the model keeps its input only, and is computed again for its gradient.

    The parts are the model's children that have parameters, read-outs left out, and those of `torch.nn.Sequential`,
    `ModuleList` and `ModuleDict` within it. Memory is that of all their inputs and of one part's activations; time is
    that of one more forward pass. Gradients are the same, bit for bit where a forward pass twice is: chance (dropout)
    is drawn alike; buffers (a norm's running statistics) and the states of persistent CUBA neurons are, in the second
    pass, what they were before the first, and after it what they are now. Hooks inside a part are called in both, and
    `is_recomputing` tells which it is.

    Chen, Xu, Zhang, Guestrin: Training Deep Nets with Sublinear Memory Cost, 2016; by `torch.utils.checkpoint`.

    Args:
        model: Its forward pass is changed, and put back. It must have been called once: sizes are known.

    Raises:
        InputError: The model has no parts, or neurons of another kind carry a state from batch to batch.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
        >>> with checkpointed_(model):
        ...     model(torch.ones(1, 3)).sum().backward()
        >>> model[0].weight.grad.shape
        torch.Size([4, 3])
    """
    parts = list(dict.fromkeys(_parts(model)))
    if not parts:
        raise InputError(
            f"compute.checkpointing: {type(model).__name__} has no parts with parameters, so that nothing could be "
            "computed again; leave it out, or make the network of several modules"
        )
    for name, module in model.named_modules():
        if getattr(module, "persistent_state", False) and not isinstance(module, tuple(STATES)):
            raise InputError(
                f"compute.checkpointing: {name!r} is a {type(module).__name__} with persistent_state, whose state "
                "cannot be put back to be computed again; leave out one of the two"
            )
    deployed = any(getattr(module, "is_deployed", False) for module in model.modules())
    own = [vars(part).get("forward") for part in parts]
    try:
        for part in parts:
            part.forward = _Checkpointed(part, part.forward, keeps_terms=deployed)
        yield
    finally:
        for part, forward in zip(parts, own, strict=True):
            if forward is None:
                del part.forward
            else:
                part.forward = forward


def _parts(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    for child in module.children():
        if type(child) in _CONTAINERS:
            yield from _parts(child)
        elif next(child.parameters(), None) is not None and not isinstance(child, LinearReadout):
            yield child  # a read-out keeps little, and, deployed, asks for a gradient in its own forward pass


class _Checkpointed:
    """A part's forward pass.

    Attributes:
        keeps_terms: Whether a `Current` that leaves must say what it is the sum of, and is summed up by whom it
            enters: a deployed read-out asks for its terms alone.
    """

    def __init__(self, part: torch.nn.Module, forward: Callable[..., Any], *, keeps_terms: bool) -> None:
        self._part, self._forward, self._keeps_terms = part, forward, keeps_terms

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled() or is_recomputing():
            return self._forward(*args, **kwargs)
        tensors = [arg.value if isinstance(arg, Current) else arg for arg in args]  # currents are summed up before
        states = _states(self._part)

        def computed(*_tensors: Any) -> Any:
            found = self._forward(*args, **kwargs)
            return Current.holding(found.value) if isinstance(found, Current) and not self._keeps_terms else found

        return checkpoint(computed, *tensors, use_reentrant=False, context_fn=lambda: (nullcontext(), _Again(states)))


class _State(NamedTuple):
    """Something that a forward pass may change: an entry of a module's buffers or attributes, and what it was."""

    entries: dict[str, Any]
    name: str
    value: torch.Tensor


def _states(part: torch.nn.Module) -> list[_State]:
    found = []
    for module in part.modules():
        buffers: dict[str, Any] = module._buffers
        found += [_State(buffers, name, value.clone()) for name, value in buffers.items() if value is not None]
        for kind, names in STATES.items():
            if isinstance(module, kind):  # replaced by each pass, not changed in place
                found += [_State(vars(module), name, vars(module)[name]) for name in names if name in vars(module)]
    return found


class _Again:
    """Everything is as it was before the first pass, which nobody sees afterwards; entered once for each pass."""

    def __init__(self, states: list[_State]) -> None:
        self._states = states
        self._left: list[tuple[Token[bool], list[Any]]] = []

    def __enter__(self) -> None:
        self._left.append((_AGAIN.set(True), [state.entries.get(state.name) for state in self._states]))
        for state in self._states:
            state.entries[state.name] = state.value.clone()

    def __exit__(self, *_: object) -> None:
        token, now = self._left.pop()
        _AGAIN.reset(token)
        for state, value in zip(self._states, now, strict=True):
            state.entries[state.name] = value
