"""The output neurons' membrane potential as it would be without spikes, with gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pumice.errors import InputError
from pumice.nn.recompute import is_recomputing


class FreeMembrane:
    r"""Integrates what the last block's neurons receive, without threshold and reset.

    .. math:: v[t] = (1 - \alpha_v) \, v[t - 1] + c[t]

    where c is the neurons' current (decayed with :math:`\alpha_u`, normalised). In a deployed network c is the chip's
    integer current with its bias, divided by the integers per unit.
    """

    def __init__(self, block: Any) -> None:
        self._block, self._neuron = block, block.neuron
        self._called = False
        self._received: list[torch.Tensor] = []  # synaptic sums; recurrent neurons are called for each step
        self._normalized: list[torch.Tensor] = []  # what left the norm, where it is called

    def begin(self, *, called: bool = True) -> None:
        """A pass begins, as the block is called, or, where it is not, its neurons by themselves."""
        self._called, self._received, self._normalized = called, [], []

    def potential(self) -> torch.Tensor:
        """The potential in thresholds, v / V_th, of the last forward pass: shape (batch, class, time)."""
        neuron = self._neuron
        if not self._received and not self._called:
            raise InputError("the network's last block was not called: there is no membrane to read")
        if not self._received:
            raise InputError(
                f"what the neurons of the network's last block, a {type(self._block).__name__}, receive is not seen: "
                'with the gradient "hm2bp", or a recurrent synapse in floating point or quantized, there is no '
                "membrane to read; use a loss of spikes, or another gradient"
            )
        received = torch.cat(self._received, -1)
        decay_u, decay_v = (d.detach() / neuron.p_scale for d in (neuron.current_decay, neuron.voltage_decay))
        if getattr(neuron, "is_deployed", False):
            shape = (1, -1, *[1] * (received.ndim - 2))
            current = _leak(received / neuron.integer_scale, decay_u)
            current = current + neuron.offset().reshape(shape)
        elif self._normalized:
            current = torch.cat(self._normalized, -1)
        else:
            current = _leak(received, decay_u)
        return _leak(current, decay_v).flatten(1, -2) / float(neuron.threshold)


@contextmanager
def watch_membrane(model: torch.nn.Module) -> Iterator[FreeMembrane]:
    """Read the membrane of the model's last block with neurons until the context ends.

    Raises:
        InputError: The model has no block with neurons.

    Example:
        >>> from pumice import nn
        >>> block = nn.Dense({"threshold": 2.0, "current_decay": 1.0, "voltage_decay": 0.0}, 1, 1)
        >>> _ = block.synapse.weight.data.fill_(0.5)
        >>> with watch_membrane(torch.nn.Sequential(block)) as membrane:
        ...     _ = block(torch.ones(1, 1, 3))
        ...     membrane.potential().tolist()
        [[[0.25, 0.5, 0.75]]]
    """
    blocks: list[Any] = [m for m in model.modules() if getattr(m, "neuron", None) is not None]
    if not blocks:
        raise InputError("the model has no block with neurons: there is no membrane to read")
    block, neuron = blocks[-1], blocks[-1].neuron
    membrane = FreeMembrane(block)

    def begin(_module: Any, _args: Any) -> None:
        if not is_recomputing():
            membrane.begin()

    def received(_module: Any, args: tuple[torch.Tensor, ...]) -> None:
        if is_recomputing():
            return
        if not membrane._called:
            membrane.begin(called=False)
        membrane._received.append(args[0])

    def normalized(_module: Any, _args: Any, output: torch.Tensor) -> None:
        if not is_recomputing():
            membrane._normalized.append(output)

    handles = [block.register_forward_pre_hook(begin), neuron.register_forward_pre_hook(received)]
    if neuron.norm is not None:
        handles.append(neuron.norm.register_forward_hook(normalized))
    try:
        yield membrane
    finally:
        for handle in handles:
            handle.remove()


def _leak(x: torch.Tensor, decay: torch.Tensor) -> torch.Tensor:
    keep = (1 - decay).reshape(-1, *[1] * (x.ndim - 3))
    state, states = torch.zeros_like(x[..., 0]), []
    for t in range(x.shape[-1]):
        state = keep * state + x[..., t]
        states.append(state)
    return torch.stack(states, -1)
