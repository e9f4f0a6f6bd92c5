"""A dense layer fed by few spikes: products over its non-zero inputs only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from pumice.nn import kernels
from pumice.nn.kernels.threads import parallel_for
from pumice.nn.layout import time_major

MOST = 1 / 5
"""Share of inputs that spike above which a dense product may be as fast, however many outputs there are."""

FEWEST_OUTPUTS = 32
"""Outputs below which there is nothing to gain."""


def most_spikes(outputs: int) -> float:
    """The share of inputs that spike from which on a dense product is as fast (measured on two cores of a Zen 4).

    What is read for a spike takes as long as 128 outputs of it.

    Example:
        >>> most_spikes(32), most_spikes(128), most_spikes(512)
        (0.06, 0.15, 0.2)
    """
    return min(MOST, 0.3 * outputs / (outputs + 128))


def has_loops(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether the loops may stand in for torch's product: float32 on the CPU, without autocast, not in a graph.

    Example:
        >>> has_loops(torch.ones(2), torch.ones(2)), has_loops(torch.ones(2), torch.ones(2).double())
        (True, False)
    """
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    return x.device.type == weight.device.type == "cpu" and x.dtype == weight.dtype == torch.float32


@dataclass(frozen=True, eq=False)
class Compressed:
    """A matrix of spikes per sample in compressed rows; see `pumice.nn.kernels.events`."""

    pointers: Any
    columns: Any
    values: Any

    @classmethod
    def empty(cls, batch: int, rows: int, most: int) -> Compressed:
        """Room for `most` spikes in each sample."""
        columns, values = np.empty((batch, most), np.int32), np.empty((batch, most), np.float32)
        return cls(np.zeros((batch, rows + 1), np.int32), columns, values)

    @classmethod
    def find(
        cls, flat: torch.Tensor, shape: tuple[int, int, int], strides: tuple[int, int], most: int
    ) -> Compressed | None:
        """What `kernels.events.compress` finds in samples (batch, rows, width), or None where one has too many."""
        batch, rows, width = shape
        found = cls.empty(batch, rows, most + width)
        bits = flat.view(torch.int32).numpy()
        parallel_for(kernels.events.compress, batch, flat.numpy(), bits, strides, width, *found.arrays())
        return None if np.any(found.pointers[:, -1] == kernels.events.TOO_MANY) else found

    def transposed(self, columns: int) -> Compressed:
        """Columns as rows."""
        batch, most = self.columns.shape
        other = Compressed.empty(batch, columns, most)
        parallel_for(kernels.events.transpose, batch, *self.arrays(), *other.arrays())
        return other

    def arrays(self) -> tuple[Any, Any, Any]:
        """What the loops take."""
        return self.pointers, self.columns, self.values

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """The same memory, for a backward pass."""
        return tuple(map(torch.from_numpy, self.arrays()))


@dataclass(frozen=True, eq=False)
class Events:
    """The non-zero inputs of a batch.

    Attributes:
        by_step: Rows are steps, columns neurons.
        by_neuron: The other way round.
    """

    by_step: Compressed
    by_neuron: Compressed

    @classmethod
    def find(cls, x: torch.Tensor, most: float = MOST) -> Events | None:
        """The events in spikes (batch, neuron, time), or None where a sample has more than that share.

        Example:
            >>> x = torch.zeros(1, 2, 20)
            >>> x[0, 1, 3] = 2
            >>> found = Events.find(x)
            >>> [a[0, 0].item() for a in (found.by_step.columns, found.by_neuron.columns, found.by_step.values)]
            [1, 3, 2.0]
        """
        batch, neurons, steps = x.shape
        in_steps = not x.is_contiguous()
        x = time_major(x.detach()) if in_steps else x.detach()
        rows, width = (steps, neurons) if in_steps else (neurons, steps)
        strides = (neurons, batch * neurons) if in_steps else (neurons * steps, steps)
        found = Compressed.find(x.view(-1), (batch, rows, width), strides, int(neurons * steps * most))
        if found is None:
            return None
        other = found.transposed(width)
        return cls(found, other) if in_steps else cls(other, found)


class EventLinear(torch.autograd.Function):
    """`weight` (output, input) times spikes x (batch, input, time) with few events, as (time, batch, output).

    With quantised weights, multiples of 2/64, and whole numbers as spikes every partial sum below 2^24 * 2/64 is a
    float32 exactly, so that the order of the summands does not matter and the result is SLAYER's.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        given: tuple[Events, torch.Tensor, torch.Tensor],
        known: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As the class says; `given` is the events, then x and weight with their graphs, `known` the result."""
        found, *attached = given
        # A gradient that is differentiated depends on x and weight.
        ctx.save_for_backward(*attached, *(found.by_neuron.tensors() if ctx.needs_input_grad[1] else ()))
        if known is not None:
            return known.view_as(known)
        batch, _, steps = x.shape
        out = weight.new_empty(steps, batch, len(weight))
        table = weight.detach().t().contiguous()
        strides = (0, 1), (1, batch)
        _multiply(found.by_step, table, strides[0], out, strides[1])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the arguments; of what is to be differentiated again, as torch's."""
        x, weight, *spikes = ctx.saved_tensors
        g = grads[0].contiguous()
        g_x = (g @ weight).movedim(0, -1) if ctx.needs_input_grad[0] else None
        g_weight = None
        if ctx.needs_input_grad[1] and torch.is_grad_enabled():
            g_weight = g.flatten(0, 1).t() @ time_major(x).flatten(0, 1)
        elif ctx.needs_input_grad[1]:
            by_input, g_weight = weight.new_empty(weight.shape[::-1]), weight.new_empty(weight.shape)
            by_neuron = Compressed(*(tensor.numpy() for tensor in spikes))
            _multiply(by_neuron, g, (1, g.shape[1]), by_input, (0, 1))
            parallel_for(kernels.events.exchange_axes, len(weight), by_input.numpy(), g_weight.numpy())
        return g_x, g_weight, None, None


class _Either(torch.autograd.Function):
    """One tensor that two nodes give, of which a backward pass that wants one node's inputs leaves out the other."""

    @staticmethod
    def forward(ctx: Any, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """As the class says."""
        ctx.mark_dirty(first)  # so that it is no view, which nobody could change in place
        return first

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradient of both."""
        return grads[0], grads[0]


def event_linear(x: torch.Tensor, weight: torch.Tensor, found: Events) -> torch.Tensor:
    """`EventLinear`, with a node for each gradient.

    Example:
        >>> x, weight = torch.zeros(1, 2, 20), torch.ones(3, 2)
        >>> x[0, 1, 3] = 2
        >>> event_linear(x, weight, Events.find(x))[3].tolist()
        [[2.0, 2.0, 2.0]]
    """
    return node_for_each_gradient(EventLinear, x, weight, (found, x, weight))


def node_for_each_gradient(function: Any, x: torch.Tensor, weight: torch.Tensor, found: Any) -> torch.Tensor:
    """A product's result: torch asks a function of ours for both gradients where it wants one.

    Args:
        function: `EventLinear`, or one with the same arguments.
        x: Spikes.
        weight: What they are multiplied by.
        found: The spikes that are not zero, and both of these, as the function takes them.
    """
    if not (torch.is_grad_enabled() and x.requires_grad and weight.requires_grad):
        return cast(torch.Tensor, function.apply(x, weight, found))
    of_x = function.apply(x, weight.detach(), found)
    return cast(torch.Tensor, _Either.apply(of_x, function.apply(x.detach(), weight, found, of_x.detach())))


def _multiply(
    spikes: Compressed, table: torch.Tensor, table_strides: Any, out: torch.Tensor, out_strides: Any
) -> None:
    n = out.shape[-1]
    arrays = table.view(-1, n).numpy(), table_strides, out.view(-1, n).numpy(), out_strides
    parallel_for(kernels.events.multiply, spikes.pointers.shape[1] - 1, *spikes.arrays(), *arrays)
