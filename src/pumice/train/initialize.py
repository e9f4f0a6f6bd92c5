"""An initialisation by data: every layer is scaled until its neurons fire as often as wanted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils import parametrize

from pumice.errors import InputError, PumiceWarning
from pumice.fixedpoint.formats import MIXED_WEIGHT
from pumice.nn import TDBN
from pumice.nn.blocks.current import Current
from pumice.nn.padding import end_to_end, padded_

DOUBLINGS = 40
HALVINGS = 24
CLOSE = 0.01
"""A rate within this part of the wanted one ends the search; one further off than `FAR` is reported."""
FAR = 0.2


def initialize_by_data_(
    model: torch.nn.Module, batch: torch.Tensor, rate: float = 0.1, lengths: torch.Tensor | None = None
) -> dict[str, float]:
    r"""Scale a network's weights, layer after layer, until each layer fires at a chosen rate on one batch.

    A layer that never fires passes no gradient on, and one that always fires tells nothing. Here the currents of each
    layer are multiplied by one number, as if its threshold were divided by it: lambda and beta of its norms where it
    has any (`TDBN`), its weights otherwise. The number is found by bisection, from the first layer to the last.
    Nothing is drawn: the same model and batch give the same weights. What is frozen (`requires_grad` False) stays.

    The running estimates of the norms become those of the batch, so that the rates hold in evaluation, too. (In a
    `Recurrent` block, whose norm looks at one step at a time, they are means over the steps.)

    Mishkin, Matas: All you need is a good init, ICLR 2016, with rates in the place of variances.

    Args:
        model: Made of blocks with neurons, not deployed; changed in place.
        batch: Input, (batch, ..., time), such as a training batch.
        rate: Spikes per neuron and step, above 0 and below 1.
        lengths: Of samples of unequal length, the steps of each, shape (batch,): what is behind them does not count.

    Returns:
        Each layer's rate on the batch, in the order in which the layers run.

    Raises:
        InputError: The rate is out of range, the model is deployed or has no block with neurons, or a layer stays
            silent however it is scaled; the model is then as it was.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 10.0, "current_decay": 1.0, "voltage_decay": 0.25, "norm": nn.TDBN}
        >>> model = torch.nn.Sequential(nn.Dense(params, 20, 50), nn.Dense(params, 50, 10))
        >>> rates = initialize_by_data_(model, (torch.rand(16, 20, 8) < 0.2).float(), rate=0.1)
        >>> [round(rate, 1) for rate in rates.values()]
        [0.1, 0.1]
    """
    if not 0 < rate < 1:
        raise InputError(f"initialize_by_data_: rate must lie between 0 and 1, got {rate}")
    if any(getattr(module, "is_deployed", False) for module in model.modules()):
        raise InputError("initialize_by_data_: the model is deployed; initialise it before")
    buffers = [buffer for norm in _norms(model) for buffer in (norm.running_mean, norm.running_var)]
    before = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *buffers)]
    try:
        with torch.no_grad(), _statistics_of_the_batch(model), padded_(model, lengths, batch.shape[-1]):
            rates = _scaled_layer_by_layer(model, batch, rate, lengths)
            model(batch)
    except BaseException:
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
        raise
    far = {name: found for name, found in rates.items() if abs(found - rate) > FAR * rate}
    if far:
        found = ", ".join(f"{name!r} {value:.3f}" for name, value in far.items())
        warnings.warn(
            f"initialize_by_data_: not every layer comes near the rate {rate}: {found}; what is frozen or scaled for "
            "another layer already stays, and 8-bit weights have an end: change the threshold, or use a norm (TDBN)",
            PumiceWarning,
            stacklevel=2,
        )
    return rates


def _scaled_layer_by_layer(
    model: torch.nn.Module, batch: torch.Tensor, rate: float, lengths: torch.Tensor | None
) -> dict[str, float]:
    rates: dict[str, float] = {}
    done: set[int] = set()
    for name, block in _in_order(model, batch):
        layer = _Layer.of(block, _arguments(model, batch, block), done, lengths)
        rates[name] = layer.bring_to(rate)
        done |= {id(part.module) for part in layer.parts}
        if not rates[name]:
            raise InputError(
                f"initialize_by_data_: layer {name!r} stays silent, even with the largest weights that 8 bits hold; "
                f"lower its threshold ({float(block.neuron.threshold):g}), use a norm (nn.TDBN), or check its input"
            )
    if not rates:
        raise InputError("initialize_by_data_: the model has no block with neurons")
    return rates


@dataclass
class _Part:
    """A tensor that a layer's currents are proportional to.

    Attributes:
        module: Whose attribute it is.
        name: Of the attribute.
        start: Its value at factor 1.
    """

    module: torch.nn.Module
    name: str
    start: torch.Tensor

    def scale(self, factor: float) -> None:
        value = self.start * factor
        if parametrize.is_parametrized(self.module, self.name):
            setattr(self.module, self.name, value)
        else:
            getattr(self.module, self.name).copy_(value)


@dataclass
class _Layer:
    """One block's neurons, and what scales the currents that enter them.

    Attributes:
        parts: What is scaled.
        run: The block's spikes for the batch.
        largest: Factor at which a weight reaches the end of its 8 bits.
        lengths: Steps of each sample that count; None where all do.
    """

    parts: list[_Part]
    run: Callable[[], torch.Tensor]
    largest: float
    lengths: torch.Tensor | None

    @classmethod
    def of(cls, block: Any, arguments: tuple[Any, ...], done: set[int], lengths: torch.Tensor | None) -> _Layer:
        """The layer of a block that is called with these arguments, without the parts that are scaled already."""
        current = arguments[0] if arguments else None
        synapses = (
            [term.synapse for term in current.terms]
            if isinstance(current, Current)
            else list(getattr(block, "synapses", ()))
        )
        norm = getattr(block.neuron, "norm", None)
        of_slayer = [getattr(block, name, None) for name in ("synapse", "input_synapse", "recurrent_synapse")]
        parts, weights = [], []
        if isinstance(norm, TDBN):
            parts += _parts_of_norm(norm)
        elif not synapses:
            for one in of_slayer:
                parts += _parts_of_weight(one)
                weights += [one.weight] if one is not None and one.pre_hook_fx is not None else []
        for synapse in synapses:
            parts += _parts_of_weight(synapse) if synapse.norm is None else _parts_of_norm(synapse.norm)
            weights += [synapse.weight] if synapse.norm is None and synapse.weight_hook is not None else []
        largest = max((float(weight.abs().max()) for weight in weights if weight.requires_grad), default=0.0)
        limit = MIXED_WEIGHT.high / (float(block.neuron.w_scale) * largest) if largest else 2.0**DOUBLINGS
        free = [part for part in parts if id(part.module) not in done]
        if isinstance(current, Current) and current.terms:
            return cls(free, lambda: block.neuron(_sum_of_terms(current)), limit, lengths)
        return cls(free, lambda: _spikes(block(*arguments)), limit, lengths)

    def bring_to(self, rate: float) -> float:
        """Scale the parts; return the rate that is reached."""
        tried: dict[float, float] = {}

        def rate_at(factor: float) -> float:
            for part in self.parts:
                part.scale(factor)
            tried[factor] = float((end_to_end(self.run(), self.lengths) != 0).double().mean())
            return tried[factor]

        if self.parts and abs(rate_at(1.0) - rate) > CLOSE * rate:
            low, high = self._bracket(rate, rate_at)
            for _ in range(HALVINGS):
                if min(abs(found - rate) for found in tried.values()) <= CLOSE * rate or high <= low:
                    break
                middle = (low * high) ** 0.5
                low, high = (middle, high) if rate_at(middle) < rate else (low, middle)
        best = min(tried, key=lambda factor: abs(tried[factor] - rate), default=1.0)
        return rate_at(best)

    def _bracket(self, rate: float, rate_at: Callable[[float], float]) -> tuple[float, float]:
        """A factor below the wanted rate and one above; the same twice if there is no such pair."""
        low = high = 1.0
        grows = rate_at(1.0) < rate
        for _ in range(DOUBLINGS):
            if grows:
                low, high = high, min(2 * high, max(self.largest, 1.0))
                if rate_at(high) >= rate or low == high:
                    break
            else:
                low, high = low / 2, low
                if rate_at(low) < rate:
                    break
        return low, high


def _parts_of_norm(norm: TDBN) -> list[_Part]:
    tensors = {"scale": norm.scale, "shift": norm.shift}
    return [_Part(norm, name, t.detach().clone()) for name, t in tensors.items() if t.requires_grad]


def _parts_of_weight(module: Any) -> list[_Part]:
    """The tensor that a weight is proportional to: itself, or what weight norm or pruning compute it from."""
    if module is None:
        return []
    if parametrize.is_parametrized(module, "weight"):
        learns = any(p.requires_grad for p in module.parametrizations.weight.parameters())
        return [_Part(module, "weight", module.weight.detach().clone())] if learns else []
    name = next((name for name in ("weight_g", "weight_orig", "weight") if name in module._parameters), None)
    if name is None or not getattr(module, name).requires_grad:
        return []
    return [_Part(module, name, getattr(module, name).detach().clone())]


def _sum_of_terms(current: Current) -> torch.Tensor:
    """What `Current.value` is, computed anew: that remembers the synapses' former weights."""
    total: torch.Tensor | None = None
    for term in current.terms:
        y = term.synapse(term.spikes)
        if total is None:
            total = y.new_zeros(len(y), current.channels, *y.shape[2:])
        total[:, term.first_channel : term.first_channel + y.shape[1]] += y
    assert total is not None
    return total


def _spikes(output: Any) -> torch.Tensor:
    """Without the count of events that SLAYER's blocks give beside, if asked to."""
    spikes: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return spikes


def _norms(model: torch.nn.Module) -> list[TDBN]:
    return [module for module in model.modules() if isinstance(module, TDBN)]


@contextmanager
def _statistics_of_the_batch(model: torch.nn.Module) -> Iterator[None]:
    """Only norms train until the context ends, and what they estimate is the mean over the calls of one pass."""
    modes = [(module, module.training) for module in model.modules()]
    norms = _norms(model)
    momenta = [norm.momentum for norm in norms]
    calls = dict.fromkeys(norms, 0)

    def begin(*_: Any) -> None:
        calls.update(dict.fromkeys(norms, 0))

    def count(norm: Any, _args: Any) -> None:
        calls[norm] += 1
        norm.momentum = 1 / calls[norm]

    handles = [norm.register_forward_pre_hook(count) for norm in norms]
    handles.append(model.register_forward_pre_hook(begin))
    model.eval()
    for norm in norms:
        norm.training = True
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode


class _FoundError(Exception):
    """Ends a forward pass at the block that is looked for."""


def _in_order(model: torch.nn.Module, batch: torch.Tensor) -> list[tuple[str, Any]]:
    """Blocks with neurons, in the order of their first calls."""
    found: dict[str, Any] = {}

    def hook(name: str) -> Any:
        return lambda block, _args: found.setdefault(name, block) and None

    blocks = [(name, m) for name, m in model.named_modules() if getattr(m, "neuron", None) is not None]
    handles = [block.register_forward_pre_hook(hook(name)) for name, block in blocks]
    try:
        model(batch)
    finally:
        for handle in handles:
            handle.remove()
    return list(found.items())


def _arguments(model: torch.nn.Module, batch: torch.Tensor, block: Any) -> tuple[Any, ...]:
    """What a block's first call is given."""
    found: list[tuple[Any, ...]] = []

    def stop(_block: Any, args: tuple[Any, ...]) -> None:
        found.append(args)
        raise _FoundError

    handle = block.register_forward_pre_hook(stop)
    try:
        model(batch)
    except _FoundError:
        pass
    finally:
        handle.remove()
    return found[0]
