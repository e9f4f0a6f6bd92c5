"""One block of a deployed network: its population and the synapses into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lava.lib.dl.slayer.block import cuba as slayer

from pumice.ir import Conv, Cuba, Dense, Synapse, torch_to_lava
from pumice.nn.deploy import synapses
from pumice.nn.trace import INPUT, Call

IntArray = npt.NDArray[np.integer[Any]]


def population_name(call: Call) -> str:
    """The block's name in the graph: its name in the model, with its kind where that is only a number.

    In a `torch.nn.Sequential` the first block, a Conv, is "conv0".
    """
    head, _, last = call.name.rpartition(".")
    last = f"{type(call.block).__name__.lower()}{last}" if last.isdigit() else last
    return f"{head}.{last}".lstrip(".").replace(".", "_")


def lower_block(call: Call, source: Call | None, value_range: tuple[int, int]) -> tuple[Cuba, list[Synapse]]:
    """Read the integers of a deployed block.

    Args:
        call: The block's call in the trace.
        source: The call of the block whose spikes it gets, or None for the network's input.
        value_range: Smallest and largest input value.

    Returns:
        The population, and its synapses.
    """
    block, neuron = call.block, call.block.neuron
    name = population_name(call)
    with torch.no_grad():
        bias = neuron.integer_bias().numpy(force=True).astype(np.int32)
    # A SLAYER dense layer over an image gives (batch, out, 1, 1, time).
    shape = tuple(int(n) for n in call.y.shape[1:-1][::-1])
    shape = shape if isinstance(block, (slayer.Conv, slayer.Pool)) else (int(np.prod(shape)),)
    population = Cuba(
        name,
        shape,
        vth_mant=neuron.vth_mant,
        i_decay_q12=_channel_last(neuron.cx_current_decay),
        v_decay_q12=_channel_last(neuron.cx_voltage_decay),
        bias_mant=bias if bias.any() else 0,
    )
    arm = _ARMS[next(kind for kind in _ARMS if isinstance(block, kind))]
    forward = arm(
        call,
        source=INPUT if source is None else population_name(source),
        target=name,
        graded=source is None and value_range != (0, 1),
    )
    arms: list[Dense | Conv] = [forward]
    if isinstance(block, slayer.Recurrent):
        arms.append(Dense(name, name, weight=_weight(synapses(block)["recurrent"]).reshape(shape[0], shape[0])))
    return population, [*_with_delay(arms, source)]


def undelayed(call: Call) -> IntArray:
    """The spikes that the block's neurons fired in the first sample, before the block delayed them."""
    spikes: IntArray = torch_to_lava(call.undelayed[:1].numpy(force=True))[0].astype(np.int32)
    return spikes if isinstance(call.block, (slayer.Conv, slayer.Pool)) else spikes.reshape(len(spikes), -1)


def _weight(synapse: Any) -> IntArray:
    with torch.no_grad():
        weight: IntArray = synapse.pre_hook_fx(synapse.weight).numpy(force=True).astype(np.int32)
    return weight


def _channel_last(decay_q12: Any) -> int | IntArray:
    values = np.atleast_1d(np.asarray(decay_q12)).astype(np.int32)
    return int(values[0]) if np.all(values == values[0]) else values


def _dense(call: Call, *, source: str, target: str, graded: bool) -> Dense:
    weight = _weight(synapses(call.block)["forward"])
    # A SLAYER dense layer over an image holds one kernel as large as the image: (out, channel, y, x, 1).
    return Dense(source, target, graded, weight=weight.reshape(len(weight), -1))


def _conv(call: Call, *, source: str, target: str, graded: bool) -> Conv:
    synapse = call.block.synapse
    weight = _weight(synapse)[..., 0].transpose(0, 3, 2, 1)  # (out, in, y, x) -> (out, x, y, in)
    return Conv(
        source,
        target,
        graded,
        weight=np.ascontiguousarray(weight),
        stride=_pair(synapse.stride),
        padding=_pair(synapse.padding),
        dilation=_pair(synapse.dilation),
        groups=int(synapse.groups),
    )


def _pool(call: Call, *, source: str, target: str, graded: bool) -> Conv:
    synapse = call.block.synapse
    channels = call.x.shape[1]
    kernel = _weight(synapse)[0, 0, :, :, 0].T  # (y, x) -> (x, y)
    weight = np.broadcast_to(kernel[None, :, :, None], (channels, *kernel.shape, 1)).copy()
    return Conv(source, target, graded, weight=weight, stride=_pair(synapse.stride), groups=channels)


_ARMS: dict[Any, Callable[..., Dense | Conv]] = {
    slayer.Dense: _dense,
    slayer.Recurrent: _dense,
    slayer.Conv: _conv,
    slayer.Pool: _pool,
}


def _pair(yx: Any) -> tuple[int, int]:
    return int(yx[1]), int(yx[0])


def _with_delay(arms: list[Dense | Conv], source: Call | None) -> list[Dense | Conv]:
    """Put the source's trained axonal delays on the columns of the first arm."""
    delay = None if source is None else source.block.delay
    if delay is None or source is None:
        return arms
    with torch.no_grad():
        per_channel = (
            torch.floor(delay.delay.clamp(0, delay.max_delay)).numpy(force=True).astype(np.int32).reshape(-1)
        )
    if isinstance(arms[0], Dense):
        # Channel is the slowest axis of the flattened source.
        per_channel = np.repeat(per_channel, int(np.prod(source.y.shape[2:-1])))
    arms[0] = replace(arms[0], delay_steps=per_channel)
    return arms
