"""The order of the passes that every lowered graph goes through, with the reasons."""

from __future__ import annotations

from pumice.ir import Graph, verify_graph
from pumice.passes.balance_latency import balance_latency
from pumice.passes.insert_relays import insert_relays
from pumice.passes.prune_dead import prune_dead
from pumice.passes.schedule_resets import schedule_resets


def run_passes(graph: Graph, sample_steps: int, period_steps: int | None = None) -> Graph:
    """Turn the graph of a deployed network into one that runs on a chip, samples back to back.

    Batch norm is folded, layers are rescaled and weights quantised before that, in the torch network
    (`pumice.nn.deploy`), so that fine-tuning goes through the very integers that the graph holds.

    Args:
        graph: Populations and synapses as the network computes them, without latency.
        sample_steps: Steps of one sample.
        period_steps: See `schedule_resets`.

    Returns:
        The graph, verified after each pass that must leave a runnable one.

    Raises:
        GraphError: A pass cannot do its work exactly; the message names the place.
    """
    # What is dead must not lengthen a path.
    graph = prune_dead(graph).graph
    # Latencies must be equal before anything refers to them.
    graph = balance_latency(graph).graph
    # Only a balanced graph tells which delays are too long; relays add populations that need a place in the schedule.
    graph = verify_graph(insert_relays(graph).graph)
    # Last, because resets follow the latencies, and clocks the range of everything that feeds a population.
    return verify_graph(schedule_resets(graph, sample_steps, period_steps).graph)
