"""Which block feeds which: the network is run once and its blocks are watched."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lava.lib.dl.slayer.block import base, cuba
from lava.lib.dl.slayer.block import sigma_delta as slayer_sd
from torch.utils.hooks import RemovableHandle

from pumice.errors import InputError, LoweringError, PumiceError, PumiceWarning
from pumice.nn.altered import refuse_altering_hooks
from pumice.nn.blocks import sigma_delta as sd
from pumice.nn.blocks.activation import Neurons
from pumice.nn.blocks.current import Current, Term
from pumice.nn.blocks.linear_readout import LinearReadout
from pumice.nn.blocks.merge import Merge
from pumice.nn.neurons.carried_state import at_rest
from pumice.nn.neurons.srm import SRMNeuron
from pumice.quantization.compiled import eager, original, original_name
from pumice.quantization.slayer_changes import SLAYERS

INPUT = "input"
_BLOCKS = (
    base.AbstractInput,
    base.AbstractFlatten,
    base.AbstractAverage,
    base.AbstractAffine,
    base.AbstractTimeDecimation,
    base.AbstractDense,
    base.AbstractConv,
    base.AbstractPool,
    base.AbstractConvT,
    base.AbstractUnpool,
    base.AbstractKWTA,
    base.AbstractRecurrent,
    Merge,
    Neurons,
    LinearReadout,
    SRMNeuron,
    sd.Input,
    slayer_sd.Output,
)
OF_CUBA = (cuba.Dense, cuba.Conv, cuba.Pool, cuba.ConvT, cuba.Unpool, cuba.Recurrent, Merge, Neurons, LinearReadout)
SYNAPTIC = (*OF_CUBA, sd.Input, *SLAYERS)
SUPPORTED = (*SYNAPTIC, cuba.Flatten, slayer_sd.Flatten)


@dataclass(frozen=True, eq=False)
class Call:
    """One block's call.

    Attributes:
        name: The block's qualified name in the model.
        block: The block.
        sources: For each input, the name of the block whose output it is, or "input".
        xs: What entered.
        y: What left.
        undelayed: What left the neurons, before the block's own axonal delay.
        terms: Where the neurons' current is a sum of several synapses, its terms: `sources` and `xs` are theirs.
        reads_current: Whether that sum entered as a `Current`, so that the synapses belong to other blocks.
    """

    name: str
    block: Any
    sources: tuple[str, ...]
    xs: tuple[torch.Tensor, ...]
    y: torch.Tensor
    undelayed: torch.Tensor
    terms: tuple[Term, ...] = ()
    reads_current: bool = False


@dataclass(frozen=True, eq=False)
class Trace:
    """What a model computes.

    Attributes:
        calls: Its blocks' calls, in order.
        outputs: For each tensor that the model returns, the block with weights whose output it is, in order and once
            each; and the tensor's name: its place in a tuple, or its key in a dictionary.
    """

    calls: list[Call]
    outputs: dict[str, str]


def modules_by_name(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """All modules of a model; a model that is itself a block is called "model".

    Example:
        >>> list(modules_by_name(torch.nn.Sequential(torch.nn.Identity())))
        ['model', '0']
    """
    named = {original_name(name): module for name, module in model.named_modules()}
    return {"model": named.pop(""), **named}


@contextmanager
def in_evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Every module of the model is in evaluation mode, and starts from rest, until the context ends."""
    was_training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with at_rest(model):
            yield
    finally:
        for module, training in was_training.items():
            module.training = training


def trace(model: torch.nn.Module, example_input: torch.Tensor) -> list[Call]:
    """The calls of `trace_model`."""
    return trace_model(model, example_input).calls


def trace_model(model: torch.nn.Module, example_input: torch.Tensor) -> Trace:
    """Run `model` once in evaluation mode, without gradient; list its blocks' calls, and which of them it returns.

    Raises:
        LoweringError: A block is of a kind that cannot be lowered, is called twice, gets something that is neither
            the input nor, unchanged, another block's output, or fails by itself; or what the model returns first is
            not, unchanged, the output of a block.
        InputError: A block refuses what it gets.
    """
    # Inference mode does not count what is written into a tensor.
    with torch.inference_mode(False), torch.no_grad(), eager():
        return _trace(original(model), example_input.clone() if example_input.is_inference() else example_input)


def _trace(model: torch.nn.Module, example_input: torch.Tensor) -> Trace:
    watcher = _Watcher(model, example_input)
    handles = watcher.hooks()
    try:
        with in_evaluation_mode(model):
            returned = model(example_input)
    except InputError as error:
        if not watcher.running:
            raise
        raise InputError(f"block {watcher.names[watcher.running[-1]]!r}: {error}") from error
    except PumiceError:
        raise
    except Exception as error:
        if not watcher.running:
            raise
        block = watcher.running[-1]
        raise LoweringError(f"block {watcher.names[block]!r}: {_failure(block, error)}") from error
    finally:
        for handle in handles:
            handle.remove()
    return Trace(watcher.calls, watcher.outputs(returned_tensors(returned)))


class _Watcher:
    """What is known about each tensor while the model runs."""

    def __init__(self, model: torch.nn.Module, example_input: torch.Tensor) -> None:
        self.calls: list[Call] = []
        self.running: list[Any] = []
        self.names: dict[Any, str] = {
            block: name for name, block in modules_by_name(model).items() if isinstance(block, _BLOCKS)
        }
        parts = {part for block in self.names for part in block.modules()}
        self._others = {
            module: f"{type(module).__name__} {original_name(name)!r}"
            for name, module in model.named_modules()
            if module not in parts and not list(module.children())
        }
        if INPUT in self.names.values():
            raise LoweringError(f"a block is called {INPUT!r}, as the network's input is; give it another name")
        self._fired: dict[Any, torch.Tensor] = {}
        # By identity; the tensors are kept, so that their identities stay their own.
        self._origins: dict[int, tuple[str, torch.Tensor, tuple[int, str]]] = {}
        self._made_by_others: dict[int, tuple[str, Any]] = {}
        self._remember(INPUT, example_input)

    def hooks(self) -> list[RemovableHandle]:
        """Begin to watch."""
        handles = [other.register_forward_hook(self._leave_other) for other in self._others]
        for block, name in self.names.items():
            handles += refuse_altering_hooks(block, f"block {name!r}")  # before ours
        for block in self.names:
            handles += [block.register_forward_pre_hook(self._enter), block.register_forward_hook(self._leave)]
            delay: Any = getattr(block, "delay", None)
            if delay is not None:
                hook = delay.register_forward_pre_hook(lambda _, args, b=block: self._fired.update({b: args[0]}))
                handles.append(hook)
        return handles

    def outputs(self, returned: dict[str, torch.Tensor]) -> dict[str, str]:
        """The blocks whose outputs are returned; what a model computes behind them would be missing in the graph."""
        if not any(isinstance(call.block, SYNAPTIC) for call in self.calls):
            raise LoweringError(
                f"the model is no spiking network{self._made_of()}: it calls no block that can be lowered; use "
                f"{_supported()}"
            )
        origins = [(name, self._maker(x)) for name, x in returned.items()]
        if not origins or origins[0][1] in {None, INPUT}:
            if not origins:
                got = "no tensor"
            elif origins[0][1] is None:
                got = f"a tensor of shape {tuple(returned[origins[0][0]].shape)} that no block made"
            else:
                got = "its input"
            raise LoweringError(
                f"the model returns {got}; return first, unchanged, the output of a last block, as "
                f"{self.calls[-1].name!r}, and do what comes after it outside the model"
            )
        found: dict[str, str] = {}
        for name, origin in origins:
            if origin is not None and origin != INPUT:
                found.setdefault(origin, name)
        if any(origin in {None, INPUT} for _, origin in origins):
            message = "what the model returns beside its blocks' outputs is not lowered"
            warnings.warn(message, PumiceWarning, stacklevel=3)
        return found

    def _made_of(self) -> str:
        """Kinds of the modules that are no blocks."""
        kinds = dict.fromkeys(name.split()[0] for name in self._others.values())
        return f" ({', '.join(kinds)})" if kinds else ""

    def _remember(self, name: str, tensor: torch.Tensor) -> None:
        self._origins[id(tensor)] = name, tensor, _state(tensor)

    def _origin(self, x: torch.Tensor) -> str | None:
        """The block whose output, unchanged, this is; "input" for the network's input."""
        name, tensor, state = self._origins.get(id(x), ("", None, None))
        return name if tensor is x and state == _state(x) else None

    def _maker(self, x: torch.Tensor) -> str | None:
        """As `_origin`, but behind what only gives another shape."""
        maker, calls = self._origin(x), {call.name: call for call in self.calls}
        while maker in calls and not isinstance(calls[maker].block, SYNAPTIC):
            maker = calls[maker].sources[0]
        return maker

    def _source(self, name: str, x: torch.Tensor) -> str:
        source = self._origin(x)
        if source is None:
            maker, _ = self._made_by_others.get(id(x), ("", None))
            raise LoweringError(
                f"block {name!r}: its input is neither the network's input nor, unchanged, another block's output"
                + (f", but what {maker} made" if maker else "")
                + "; what happens between two blocks cannot be lowered: pooling is nn.Pool, flattening nn.Flatten, a "
                "sum or concatenation nn.Merge, a norm part of a block (neuron_params['norm'], or a synapse's norm)"
            )
        return source

    def _enter(self, block: Any, args: tuple[Any, ...]) -> None:
        if isinstance(block, slayer_sd.Input):
            raise LoweringError(
                f"block {self.names[block]!r}: lava-dl's sigma_delta.Input rounds real numbers to 1/32, and a graph "
                "takes whole ones; use nn.sigma_delta.Input.of(block) in its place, and give it round(32 * x)"
            )
        if not isinstance(block, SUPPORTED):
            raise LoweringError(f"block {self.names[block]!r}: {_kind(block)} cannot be lowered; use {_supported()}")
        if not args:
            raise LoweringError(f"block {self.names[block]!r} is called by keyword; give its input by position")
        self.running.append(block)

    def _leave(self, block: Any, args: tuple[Any, ...], output: Any) -> None:
        self.running.remove(block)
        name = self.names[block]
        if any(call.block is block for call in self.calls):
            raise LoweringError(f"block {name!r} is called twice; give each call a block of its own")
        args, terms, reads_current = _expanded(name, block, args)
        sources = tuple(self._source(name, x) for x in args)
        y = answer_of(output)
        self._remember(name, y)
        self.calls.append(Call(name, block, sources, args, y, self._fired.pop(block, y), terms, reads_current))

    def _leave_other(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        self._made_by_others[id(output)] = self._others[module], output


def _state(x: torch.Tensor) -> tuple[int, str]:
    """What changes when something is written into a tensor; torch does not count writes into `x.data`."""
    return x._version, str(x.sum(dtype=torch.float64).item())


def answer_of(output: Any) -> Any:
    """A block's spikes in what it returns: with count_log=True, lava-dl's blocks return their rate, too."""
    return output[0] if isinstance(output, tuple) else output


def returned_tensors(returned: Any, name: str = "") -> dict[str, torch.Tensor]:
    """The tensors in what a model returns, in order, by their places in it ("0", "aux", "layers.1")."""
    if isinstance(returned, torch.Tensor):
        return {name or "0": returned}
    if isinstance(returned, (tuple, list)):
        returned = {str(index): part for index, part in enumerate(returned)}
    if not isinstance(returned, Mapping):
        return {}
    parts = [returned_tensors(part, f"{name}.{key}".lstrip(".")) for key, part in returned.items()]
    return {place: tensor for part in parts for place, tensor in part.items()}


def _expanded(name: str, block: Any, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Term, ...], bool]:
    """The spikes behind a block's inputs, the terms of what is summed, and whether the sum enters as a current."""
    if isinstance(block, Merge):
        return args, block.terms(args), False
    if not isinstance(args[0], Current):
        return args, (), False
    if not args[0].terms:
        raise LoweringError(f"block {name!r}: the current that enters was not made by synapses from spikes")
    return tuple(term.spikes for term in args[0].terms), args[0].terms, True


def _failure(block: Any, error: Exception) -> str:
    if getattr(block, "count_log", False):
        return "count_log=True, with which lava-dl's blocks fail; leave it out, and count what the block returns"
    reason = str(error).split("\n")[0]
    return f"its own forward pass fails, {type(error).__name__}: {reason}; it must run before it can be lowered"


def _kind(block: Any) -> str:
    return f"{type(block).__module__}.{type(block).__name__}"


def _supported() -> str:
    known = ", ".join(kind.__name__ for kind in (*OF_CUBA, cuba.Flatten))
    return f"{known} of pumice.nn or of lava-dl's slayer.block.cuba, or sigma-delta blocks (nn.sigma_delta)"
