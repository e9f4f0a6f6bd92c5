"""The synapses into a block's neurons, from what torch calls them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lava.lib.dl.slayer import synapse as slayer_synapse
from lava.lib.dl.slayer.block import cuba as slayer
from lava.lib.dl.slayer.block.base import AbstractDense

from pumice.errors import InternalError, LoweringError
from pumice.ir import (
    Conv,
    ConvTranspose,
    Dense,
    Input,
    OneToOne,
    Population,
    Sparse,
    Synapse,
    TokenMixing,
    flatten_whc,
)
from pumice.names import counted
from pumice.nn.synapses.base import AbstractSynapse
from pumice.nn.synapses.conv import ConvSynapse
from pumice.nn.synapses.conv_transpose import ConvTransposeSynapse
from pumice.nn.synapses.dense import DenseSynapse
from pumice.nn.synapses.identity import IdentitySynapse
from pumice.nn.synapses.linear import LinearSynapse
from pumice.nn.synapses.one_to_one import OneToOneSynapse
from pumice.nn.synapses.slayer import targets_first
from pumice.nn.synapses.token_mixing import TokenMixingSynapse
from pumice.quantization.sigma_delta import sends_changes
from pumice.quantization.synapse_view import SynapseView, call_synapses
from pumice.quantization.trace import INPUT, Call

IntArray = npt.NDArray[np.integer[Any]]


def population_name(call: Call) -> str:
    """The block's name in the graph: its name in the model, with its kind where that is only a number.

    In a `torch.nn.Sequential` the first block, a Conv, is "conv0". Dots and slashes become underscores.
    """
    head, _, last = call.name.rpartition(".")
    last = f"{type(call.block).__name__.lower()}{last}" if last.isdigit() else last
    return re.sub(r"[./\\]", "_", f"{head}.{last}".lstrip("."))


def synapses_into(
    call: Call, sources: Sequence[Call | None], network_input: Input, population: Population
) -> list[Synapse]:
    """The synapses into a block's population, one for each of its inputs, and recurrent ones.

    Args:
        call: The block's call.
        sources: For each input, the call of the block whose spikes it is, or None for the network's input.
        network_input: The graph's input.
        population: The block's.
    """
    synapses: list[Synapse] = []
    for index, view in enumerate(call_synapses(call)):
        source, x = (call, call.y) if view.recurrent else (sources[index], call.xs[index])
        ends = ends_of(source, population.name, network_input)
        if call.terms and view.owner.out_channels < call.y.shape[1]:
            first = call.terms[index].first_channel
            ends["target_channels"] = (first, first + view.owner.out_channels)
        synapse = _SYNAPSES[_kind(call.name, view.owner)](view, x, ends)
        if not view.recurrent:
            source_shape = network_input.shape if source is None else shape_of(source)
            synapse = _joining(synapse, call.name, source_shape, population.shape)
        synapses.append(synapse if view.recurrent else with_delay(synapse, source))
    return synapses


def ends_of(source: Call | None, target: str, network_input: Input) -> dict[str, Any]:
    """The ends of a synapse, and whether it multiplies by what its source sends."""
    of_input = source is None and network_input.value_range != (0, 1)
    return {
        "source": INPUT if source is None else population_name(source),
        "target": target,
        "graded": of_input or (source is not None and sends_changes(source.block)),
    }


def shape_of(call: Call) -> tuple[int, ...]:
    """The population's shape; a SLAYER dense layer over an image gives (batch, out, 1, 1, time)."""
    shape = tuple(int(n) for n in call.y.shape[1:-1][::-1])
    return (int(np.prod(shape)),) if isinstance(call.block, (AbstractDense, slayer.Recurrent)) else shape


def _weight(view: SynapseView) -> IntArray:
    with torch.no_grad():
        found = view.integers().numpy(force=True)
    weight: IntArray = found.astype(np.int32)
    if not np.array_equal(weight, found):
        raise InternalError("the weight of a quantized synapse is not whole")
    return weight


def _dense(view: SynapseView, x: torch.Tensor, ends: dict[str, Any]) -> Dense:
    weight = _weight(view)
    # A SLAYER dense layer over an image holds one kernel as large as the image: (out, channel, y, x, 1).
    return Dense(**ends, weight=weight.reshape(len(weight), -1) >> view.weight_exp, weight_exp=view.weight_exp)


def _linear(view: SynapseView, x: torch.Tensor, ends: dict[str, Any]) -> Dense:
    # The mean over an image: one weight for all positions of a channel, the slowest axis of the flattened source.
    return Dense(**ends, weight=np.repeat(_weight(view), view.owner.positions, axis=1))


def _conv(view: SynapseView, x: torch.Tensor, ends: dict[str, Any]) -> Conv:
    weight = _weight(view)[..., 0].transpose(0, 3, 2, 1)  # (out, in, y, x) -> (out, x, y, in)
    return Conv(
        **ends,
        weight=np.ascontiguousarray(weight),
        stride=_pair(view.owner.stride),
        padding=_pair(view.owner.padding),
        dilation=_pair(view.owner.dilation),
        groups=int(view.owner.groups),
    )


def _conv_transpose(view: SynapseView, x: torch.Tensor, ends: dict[str, Any]) -> ConvTranspose:
    weight = _weight(view)[..., 0].transpose(0, 3, 2, 1)  # (out, in, y, x) -> (out, x, y, in)
    owner = view.owner
    return ConvTranspose(
        **ends,
        weight=np.ascontiguousarray(weight),
        stride=_pair(owner.stride),
        padding=_pair(owner.padding),
        output_padding=_pair(owner.output_padding),
        dilation=_pair(owner.dilation),
        groups=int(owner.groups),
    )


def _slayers_conv_transpose(view: SynapseView, x: torch.Tensor, ends: dict[str, Any]) -> ConvTranspose:
    owner, weight = view.owner, torch.from_numpy(_weight(view)[..., 0])
    groups = int(owner.groups)
    if isinstance(owner, slayer_synapse.Unpool):  # one kernel for each channel
        groups = x.shape[1]
        weight = weight.expand(groups, *weight.shape[1:])
    return ConvTranspose(
        **ends,
        weight=np.ascontiguousarray(targets_first(weight, groups).numpy().transpose(0, 3, 2, 1)),
        stride=_pair(owner.stride),
        padding=_pair(owner.padding),
        dilation=_pair(owner.dilation),
        groups=groups,
    )


def _pool(view: SynapseView, x: torch.Tensor, ends: dict[str, Any]) -> Conv:
    channels = x.shape[1]
    kernel = _weight(view)[0, 0, :, :, 0].T  # (y, x) -> (x, y)
    weight = np.broadcast_to(kernel[None, :, :, None], (channels, *kernel.shape, 1)).copy()
    return Conv(**ends, weight=weight, stride=_pair(view.owner.stride), groups=channels)


def _one_to_one(view: SynapseView, x: torch.Tensor, ends: dict[str, Any]) -> OneToOne:
    return OneToOne(**ends, weight=_weight(view))


def _joining(synapse: Any, block: str, source: tuple[int, ...], target: tuple[int, ...]) -> Any:
    """Fit a synapse to its populations' shapes: in the graph a dense layer has one axis, and nothing is flattened."""
    if isinstance(synapse, (Conv, ConvTranspose, TokenMixing)) and len(source) != 3:
        raise LoweringError(
            f"block {block!r} takes an image, and {synapse.source!r} is a row of {counted(source[0], 'neuron')} "
            "in the graph, as every dense layer; use a dense layer here, too"
        )
    if not isinstance(synapse, OneToOne) or source == target:
        return synapse
    first, stop = synapse.target_channels or (0, target[-1])
    targets = (*target[:-1], stop - first)
    if targets == source:
        return synapse
    places = np.arange(int(np.prod(source)))
    return Sparse(
        synapse.source,
        synapse.target,
        synapse.graded,
        target_channels=synapse.target_channels,
        rows=places,
        columns=places,
        values=flatten_whc(np.broadcast_to(synapse.weight, targets)),
    )


def _token_mixing(view: SynapseView, x: torch.Tensor, ends: dict[str, Any]) -> TokenMixing:
    return TokenMixing(**ends, weight=_weight(view))


_SYNAPSES: dict[Any, Callable[..., Any]] = {
    slayer_synapse.Dense: _dense,
    slayer_synapse.Pool: _pool,
    slayer_synapse.Conv: _conv,
    slayer_synapse.ConvTranspose: _slayers_conv_transpose,
    slayer_synapse.Unpool: _slayers_conv_transpose,
    DenseSynapse: _dense,
    LinearSynapse: _linear,
    ConvSynapse: _conv,
    ConvTransposeSynapse: _conv_transpose,
    IdentitySynapse: _one_to_one,
    OneToOneSynapse: _one_to_one,
    TokenMixingSynapse: _token_mixing,
}


def _kind(block: str, owner: Any) -> Any:
    """Which linear map a synapse, or one of SLAYER's, is; a subclass may compute it no other way."""
    kind = next((kind for kind in _SYNAPSES if isinstance(owner, kind)), None)
    own_way = isinstance(owner, AbstractSynapse) and any(
        getattr(type(owner), method) is not getattr(kind, method, None) for method in ("forward", "linear")
    )
    if kind is None or own_way:
        known = ", ".join(kind.__name__ for kind in _SYNAPSES if issubclass(kind, AbstractSynapse))
        raise LoweringError(
            f"block {block!r}: its synapse {type(owner).__name__} computes in a way of its own, which cannot be "
            f"lowered; use {known}, or a subclass that leaves forward and linear alone"
        )
    return kind


def _pair(yx: Any) -> tuple[int, int]:
    return int(yx[1]), int(yx[0])


def with_delay(synapse: Any, source: Call | None) -> Any:
    """Put the source's trained axonal delays on the synapse's columns."""
    delay = None if source is None else source.block.delay
    if delay is None or source is None:
        return synapse
    with torch.no_grad():
        per_channel = (
            torch.floor(delay.delay.clamp(0, delay.max_delay)).numpy(force=True).astype(np.int32).reshape(-1)
        )
    if isinstance(synapse, (Dense, Sparse)):
        # Channel is the slowest axis of the flattened source.
        per_channel = np.repeat(per_channel, int(np.prod(source.y.shape[2:-1])))
    return replace(synapse, delay_steps=per_channel)
