"""The order of everything between a trained network and a graph that runs on a chip, with the reasons."""

from __future__ import annotations

from typing import NamedTuple

from pumice.ir import Graph, verify_graph
from pumice.passes.balance_latency import balance_latency
from pumice.passes.insert_relays import insert_relays
from pumice.passes.prune_dead import prune_dead
from pumice.passes.schedule_resets import schedule_resets
from pumice.passes.share_currents import Residual, share_currents


class Step(NamedTuple):
    """One step of lowering.

    Attributes:
        name: What it is called.
        place: Where it is, ``module:object``.
        why: Why it is where it is in the order.
    """

    name: str
    place: str
    why: str


IN_THE_NETWORK = (
    Step(
        "fold_batchnorm",
        "pumice.quantization.synapse_view:SynapseView.folded_rows",
        "First: what is rescaled and rounded must be the weights that act. Gain and offset are read anew in each "
        "forward pass, so that the norm's parameters still learn.",
    ),
    Step(
        "rescale",
        "pumice.quantization.scale:choose_vth_mant",
        "Before rounding: a common factor of weights, bias and threshold is free in real arithmetic only.",
    ),
    Step(
        "quantise",
        "pumice.nn.rounding:round_even",
        "Last in the network, with a straight-through gradient: fine-tuning goes through the graph's own integers.",
    ),
)
"""Done by `pumice.quantize_`, before there is a graph: a graph holds integers, in which no norm is left to fold."""

ON_THE_GRAPH = (
    Step("prune_dead", "pumice.passes.prune_dead:prune_dead", "What is dead must not lengthen a path."),
    Step(
        "share_currents",
        "pumice.passes.share_currents:share_currents",
        "Of what is alive; a relay lengthens the paths through it, which are balanced after it.",
    ),
    Step(
        "balance_latency",
        "pumice.passes.balance_latency:balance_latency",
        "Latencies must be equal before anything refers to them.",
    ),
    Step(
        "insert_relays",
        "pumice.passes.insert_relays:insert_relays",
        "Only a balanced graph tells which delays are too long; relays need a place in the schedule.",
    ),
    Step(
        "schedule_resets",
        "pumice.passes.schedule_resets:schedule_resets",
        "Resets follow the latencies, and clocks the range of everything that feeds a population.",
    ),
    Step(
        "check_ranges",
        "pumice.passes.check_ranges:check_ranges",
        "Of the finished graph, clocks included. Changes nothing; `pumice.lower` turns its lines into warnings.",
    ),
)
"""Done by `run_passes`, but for the last."""


def run_passes(
    graph: Graph, sample_steps: int, period_steps: int | None = None, residual: Residual = "auto"
) -> Graph:
    """Turn the graph of a deployed network into one that runs on a chip, samples back to back (`ON_THE_GRAPH`).

    Args:
        graph: Populations and synapses as the network computes them, without latency.
        sample_steps: Steps of one sample.
        period_steps: See `schedule_resets`.
        residual: See `share_currents`.

    Returns:
        The graph, verified after each pass that must leave a runnable one.

    Raises:
        GraphError: A pass cannot do its work exactly; the message names the place.
    """
    graph = prune_dead(graph).graph
    graph = share_currents(graph, residual).graph
    graph = balance_latency(graph).graph
    graph = verify_graph(insert_relays(graph).graph)
    return verify_graph(schedule_resets(graph, sample_steps, period_steps).graph)
