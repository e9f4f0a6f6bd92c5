"""lava-dl's modules, taught what torch expects of every module: no batch in checkpoints, copies and broadcasts.

lava-dl keeps its neurons' states as buffers of a batch's shape, and takes sizes from the first batch. So its modules
do not load into a fresh network; `AveragedModel`, DistributedDataParallel and `.to(memory_format=...)` fail. Here
states become plain attributes, sizes come from a checkpoint too, and a weight that torch computes from others can be
copied. Only torch's own hooks are added to lava-dl's classes (an archived package, whose one version pumice pins);
what they compute stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lava.lib.dl.slayer import axon
from lava.lib.dl.slayer.block import base
from lava.lib.dl.slayer.neuron import cuba
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm, WgtScaleBatchNorm
from lava.lib.dl.slayer.synapse.layer import GenericLayer

from pumice.errors import InputError
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.names import counted
from pumice.nn.computed_weight import detached_state

STATES: dict[type, tuple[str, ...]] = {
    cuba.Neuron: ("current_state", "voltage_state"),
    base.AbstractRecurrent: ("spike_state",),
}
"""What belongs to a batch."""
DECAYS = ("current_decay", "voltage_decay")
Sizing = Callable[[Any, dict[str, Any], str], None]


def install() -> None:
    """Add the hooks to lava-dl's classes; calling it twice changes nothing.

    Example:
        >>> install()
        >>> neuron = cuba.Neuron(threshold=1.0, current_decay=1.0, voltage_decay=0.5)
        >>> list(neuron.state_dict()), list(neuron.buffers())
        (['current_decay', 'voltage_decay'], [])
    """
    if "__getstate__" in vars(GenericLayer):
        return
    GenericLayer.__getstate__ = detached_state
    for kind, names in STATES.items():
        _keep_out_of_buffers(kind, names)
    _load_sizes(cuba.Neuron, _size_decays)
    _load_sizes(base.AbstractRecurrent, lambda *_: None)
    _load_sizes(axon.Delay, _size_delay)
    for norm in (MeanOnlyBatchNorm, WgtScaleBatchNorm):
        _load_sizes(norm, _size_mean)


def resize_(tensor: torch.Tensor, shape: torch.Size) -> None:
    """Give a parameter or buffer another shape, in place; its values are to come.

    Example:
        >>> parameter = torch.nn.Parameter(torch.ones(1))
        >>> resize_(parameter, torch.Size([3]))
        >>> parameter.shape
        torch.Size([3])
    """
    with torch.inference_mode(False):  # a parameter made of inference mode's tensors could not be trained
        tensor.data = tensor.data.new_zeros(shape)


def draw_decays(neuron: Any, channels: int) -> None:
    """Draw a neuron's individual decays (`shared_param=False`), unless they are there already; SLAYER's formula.

    Raises:
        InputError: They are those of another number of channels.

    Example:
        >>> decays = {"current_decay": (0.25, 0.5), "voltage_decay": (0.0, 0.25)}
        >>> neuron = cuba.Neuron(threshold=1.0, shared_param=False, **decays)
        >>> draw_decays(neuron, 3)
        >>> neuron.current_decay.shape
        torch.Size([3])
    """
    if hasattr(neuron, "current_decay_min"):
        for name in DECAYS if not isinstance(neuron.current_decay_min, torch.Tensor) else ():  # else they were loaded
            low, high = getattr(neuron, f"{name}_min"), getattr(neuron, f"{name}_max")
            with torch.inference_mode(False), torch.no_grad():
                decay = getattr(neuron, name)
                drawn = low + (high - low) * torch.rand(channels, dtype=torch.float32).to(decay)
                decay.data = neuron.p_scale * drawn
        _forget_bounds(neuron)
    if len(neuron.current_decay) not in {1, channels}:
        raise InputError(
            f"CubaNeuron has decays of {counted(len(neuron.current_decay), 'channel')}, its input has {channels}"
        )


def decays_q12(neuron: Any) -> list[torch.Tensor]:
    """The decays of current and voltage that the chip gets: whole numbers of 1/4096, in float64, one or per channel.

    lava-dl's own properties (`cx_current_decay`) write what they clamp back into the parameters; this reads only.

    Example:
        >>> neuron = cuba.Neuron(threshold=1.0, current_decay=1.0, voltage_decay=0.5)
        >>> [decay.tolist() for decay in decays_q12(neuron)]
        [[4096.0], [2048.0]]
    """
    decays = (getattr(neuron, name).detach() for name in DECAYS)
    scale = DECAY_ONE / neuron.p_scale
    return [(scale * decay.clamp(0, neuron.p_scale)).round().to(torch.float64).view(-1) for decay in decays]


def _forget_bounds(neuron: Any) -> None:
    for name in DECAYS:
        delattr(neuron, f"{name}_min")
        delattr(neuron, f"{name}_max")


def _keep_out_of_buffers(kind: Any, names: tuple[str, ...]) -> None:
    def register_buffer(self: Any, name: str, tensor: Any, persistent: bool = True) -> None:
        if name in names:
            object.__setattr__(self, name, tensor)
        else:
            super(kind, self).register_buffer(name, tensor, persistent)

    def apply(self: Any, function: Callable[[torch.Tensor], torch.Tensor], *args: Any, **options: Any) -> Any:
        super(kind, self)._apply(function, *args, **options)
        for name in names:
            state = getattr(self, name)
            like = function(state.new_zeros(1))  # not of the state: it need not fit a memory format
            object.__setattr__(self, name, torch.zeros_like(like) if state.is_meta else state.to(like))
        return self

    kind.register_buffer, kind._apply = register_buffer, apply


def _load_sizes(kind: Any, sizing: Sizing) -> None:
    def load(self: Any, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in STATES.get(kind, ()):
            state_dict.pop(prefix + name, None)  # of an old checkpoint
        sizing(self, state_dict, prefix)
        super(kind, self)._load_from_state_dict(state_dict, prefix, *args)

    kind._load_from_state_dict = load


def _size_decays(neuron: Any, state_dict: dict[str, Any], prefix: str) -> None:
    saved: list[Any] = [state_dict.get(prefix + name) for name in DECAYS]
    if not hasattr(neuron, "current_decay_min") or any(decay is None for decay in saved):
        return
    if all(len(d) == 1 and bool(d == getattr(neuron, name)) for name, d in zip(DECAYS, saved, strict=True)):
        return  # not drawn either
    for name, decay in zip(DECAYS, saved, strict=True):
        resize_(getattr(neuron, name), decay.shape)
        for end in ("min", "max"):  # between which lava-dl's neuron will draw them
            setattr(neuron, f"{name}_{end}", decay.to(neuron.device) / neuron.p_scale)


def _size_delay(delay: Any, state_dict: dict[str, Any], prefix: str) -> None:
    saved = state_dict.get(prefix + "delay")
    if saved is not None and not delay.init and (len(saved) > 1 or bool(saved != 0)):  # 0: not drawn either
        resize_(delay.delay, saved.shape)
        delay.init = True


def _size_mean(norm: Any, state_dict: dict[str, Any], prefix: str) -> None:
    """One value may stand for all channels until the first training step."""
    saved, own = state_dict.get(prefix + "running_mean"), norm.running_mean
    if saved is None or saved.shape == own.shape:
        return
    if len(own) == 1:
        resize_(own, saved.shape)
    elif len(saved) == 1:
        state_dict[prefix + "running_mean"] = saved.expand(own.shape)
