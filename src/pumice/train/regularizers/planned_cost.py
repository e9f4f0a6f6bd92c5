"""Keep small what the chip is planned to spend: the time of its busiest core, or energy."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from pumice.errors import InputError, PumiceWarning
from pumice.hardware import load_constants
from pumice.ir import Graph, Synapse
from pumice.ir.blocks import Blocks
from pumice.lowering import lower
from pumice.lowering.synapses import population_name
from pumice.planner.energy import PJ_PER_UJ
from pumice.planner.placement import Placement, place
from pumice.planner.split import Rules
from pumice.planner.timing import NS_PER_US, neuron_updates
from pumice.quantization.trace import SYNAPTIC, trace

Cost = Literal["time", "energy"]
BOARD = "hala-point"
"""Large enough for whatever is trained here; which board it is does not change what a core holds."""
_CONSTANTS = ("t_sync", "t_synapse", "e_synapse", "p_static_chip", "p_floor")
ROWS = 10_000_000
"""Entries of the table of one synapse that are made at a time."""


@dataclass(frozen=True, eq=False)
class CoreOperations:
    """Synaptic operations that spikes of a network cost on each core, and what else is on them.

    Attributes:
        per_spike: Block -> operations that a spike of each of its neurons costs on each core, (cores, neurons).
        neurons: Neurons on each core.
        t_neuron: Time of one, in us.
    """

    per_spike: dict[str, torch.Tensor]
    neurons: torch.Tensor
    t_neuron: torch.Tensor


def core_operations(model: torch.nn.Module, example_input: torch.Tensor) -> CoreOperations:
    """Lower a copy of a network, place it, and ask each of its synapses what a spike costs.

    Args:
        model: Of blocks that can be lowered.
        example_input: A batch as in training.

    Raises:
        LoweringError: The network cannot be lowered, or some population fits no core, with relays either.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PumiceWarning)  # of a network that is not trained yet
        graph = lower(copy.deepcopy(model).eval(), example_input, residual="synapses")
    constants = load_constants()
    placement = place(graph, Rules(constants), constants.board(BOARD))
    neurons, cost = neuron_updates(placement, constants)
    calls = [call for call in trace(model, example_input) if isinstance(call.block, SYNAPTIC)]
    blocks = {population_name(call): call.name for call in calls}
    return CoreOperations(
        {blocks[name]: table for name, table in _tables(graph, placement) if name in blocks},
        torch.from_numpy(neurons).float(),
        torch.from_numpy(cost[1] / NS_PER_US).float(),
    )


def _tables(graph: Graph, placement: Placement) -> Iterator[tuple[str, torch.Tensor]]:
    repeats = {placed.name: placed.repeats for placed in placement.layers if placed.repeats is not None}
    found: dict[str, torch.Tensor] = {}
    for placed in placement.layers:
        for incoming in placed.layer.incoming:
            s = incoming.synapse
            source = repeats.get(s.source, s.source)
            shape = graph.shape_of(source)
            cores = slice(placed.first_core, placed.first_core + placed.cores)
            if source not in found:
                found[source] = torch.zeros(placement.cores, int(np.prod(shape)))
            found[source][cores] += _table(s, shape, placed.split.blocks.channels(s.target_channels))
    return iter(found.items())


def _table(s: Synapse, source: tuple[int, ...], blocks: Blocks) -> torch.Tensor:
    """Operations that a spike of each source neuron costs beside each block, (blocks, neurons in Lava's order)."""
    n = int(np.prod(source))
    at_once = max(ROWS // n, 1)
    parts = []
    for first in range(0, n, at_once):
        alone = np.eye(min(at_once, n - first), n, first, dtype=bool)
        parts.append(s.traffic(alone.reshape(-1, *source), blocks).operations)
    return torch.from_numpy(np.concatenate(parts).T).float()


class PlannedCost:
    r"""Penalises what `pumice.plan` expects a step to cost on the chip.

    With the mean operations :math:`o_c` of core c in a step, its neurons :math:`n_c` and the planner's constants,

    .. math:: t = t_{sync} + \Bigl\| \bigl( o_c \, t_{synapse},\; n_c \, t_{neuron} \bigr)_c \Bigr\|_p, \qquad
              E = t \, (P_{static} + P_{floor}) + e_{synapse} \sum_c o_c, \qquad R = w \, \frac{C}{C_{all}}

    where the cost C is t or E, and :math:`C_{all}` is that of a step in which every neuron fires. The p-norm is a
    maximum over cores (all wait for the slowest one) whose gradient also sees the cores that are nearly as busy.
    Which core holds a neuron, and what its spike costs there, is what `pumice.plan` says of the network that the
    model would be lowered to when training begins. Spikes that enter the network are not counted, they are not its
    choice; nor are messages and what relays send. Constants are the nominal ones; that the slowest core sets the time
    is the model of arXiv 2601.10035 (see docs/plan.md).

    Args:
        model: The network.
        example_input: A batch as in training.
        weight: w, >= 0.
        of: "time" or "energy".
        sharpness: p, >= 1.

    Raises:
        InputError: A value does not fit.
        LoweringError: The network cannot be lowered, or some population fits no core, with relays either.

    Example:
        >>> from pumice import nn
        >>> params = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.25}
        >>> net = torch.nn.Sequential(nn.Dense(params, 3, 5), nn.Dense(params, 5, 2))
        >>> cost = PlannedCost(net, torch.ones(1, 3, 4))
        >>> silent, busy = ({"0": torch.full((1, 5, 4), rate), "1": torch.zeros(1, 2, 4)} for rate in (0.0, 1.0))
        >>> bool(cost(silent) < cost(busy)), round(cost(busy).item(), 6)
        (True, 1.0)
    """

    def __init__(
        self,
        model: torch.nn.Module,
        example_input: torch.Tensor,
        weight: float = 1.0,
        of: Cost = "time",
        sharpness: float = 8.0,
    ) -> None:
        if not 0 <= weight < math.inf or not 1 <= sharpness < math.inf:
            raise InputError(
                f"planned_cost: weight must be >= 0 and sharpness >= 1, both finite, got {weight} and {sharpness}"
            )
        if of not in get_args(Cost):
            raise InputError(f"planned_cost: of must be one of {', '.join(get_args(Cost))}, got {of!r}")
        self.weight, self.of, self.sharpness = weight, of, sharpness
        self._known = core_operations(model, example_input)
        self._constants = load_constants()
        everything = {name: torch.ones(table.shape[1]) for name, table in self._known.per_spike.items()}
        self._most = float(self._cost(everything))

    def __call__(self, spikes: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """R of one forward pass: block -> spikes (batch, ..., time)."""
        rates = {
            name: layer.mean((0, -1), dtype=torch.float32).permute(*range(layer.ndim - 3, -1, -1)).reshape(-1)
            for name, layer in spikes.items()
            if name in self._known.per_spike
        }
        return self.weight / self._most * self._cost(rates)

    def _cost(self, rates: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Microseconds or microjoules of a step with these rates, by block, neurons in Lava's order."""
        known, value = self._known, {name: self._constants[name].value for name in _CONSTANTS}
        device = next(iter(rates.values())).device if rates else known.neurons.device
        updates = (known.neurons * known.t_neuron).to(device)
        operations = torch.zeros_like(updates)
        for name, rate in rates.items():
            known.per_spike[name] = known.per_spike[name].to(device)
            operations = operations + torch.mv(known.per_spike[name], rate)
        busy = torch.cat([operations * (value["t_synapse"] / NS_PER_US), updates])
        largest = busy.detach().max().clamp_min(1e-9)  # powers of small numbers vanish
        time = value["t_sync"] + largest * torch.linalg.vector_norm(busy / largest, self.sharpness)
        if self.of == "time":
            return time
        power = value["p_static_chip"] + value["p_floor"]
        return time * power + operations.sum() * (value["e_synapse"] / PJ_PER_UJ)
