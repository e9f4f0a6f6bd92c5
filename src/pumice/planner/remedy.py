"""A lowered graph that fits no core of the chip, changed so that it does."""

from __future__ import annotations

from functools import partial

from pumice.errors import GraphError
from pumice.hardware.constants import Constants, load_constants
from pumice.ir import Graph
from pumice.ir.verify import checked_graph
from pumice.passes.order import run_passes
from pumice.passes.unschedule import unschedule
from pumice.planner.placement import cores_needed, unplaceable
from pumice.planner.split import Rules


def fit_cores(graph: Graph, constants: Constants | None = None) -> Graph:
    """Give populations with more inputs than a core can read relays that sum them in parts, and schedule again.

    What `pumice.lower` does for a chip, for a graph that is lowered already: see `passes.split_fan_in`. Every
    population of the graph keeps its spikes and states at every step, some steps later: as many as its latency grows.

    Args:
        graph: Scheduled, as `pumice.lower` or a file gives it.
        constants: Of the chip; those of Loihi 2 if not given.

    Returns:
        The graph, without a certificate, which is about a run of the graph as it was: `pumice.certify` it again. The
        same graph if all of it fits cores.

    Raises:
        InputError: It is no graph.
        GraphError: The graph has no schedule or one with clocks; or relays do not help: the message says what is
            still against it.

    Example:
        >>> import numpy as np
        >>> from pumice.ir import Accumulator, Dense, Input
        >>> weight = np.ones((2, 60 * 60 * 3), int)
        >>> read_out = Graph(Input("image", (60, 60, 3)), (Accumulator("sum", (2,)),),
        ...                  (Dense("image", "sum", weight=weight),), ("sum",))
        >>> fitted = fit_cores(run_passes(read_out, sample_steps=1))
        >>> [(p.name, p.shape) for p in fitted.populations]
        [('image_sum_part', (1, 1, 2)), ('sum', (2,))]
    """
    rules = Rules(constants or load_constants())
    checked_graph(graph)
    if not unplaceable(graph, rules):
        return graph
    if graph.timing is None:
        raise GraphError("the graph has no schedule; use passes.split_fan_in before scheduling it")
    fitted = run_passes(
        unschedule(graph).graph,
        graph.timing.sample_steps,
        graph.timing.period_steps,
        residual="synapses",  # whatever sums it shares, it shares already
        cores=partial(cores_needed, rules=rules),
    )
    if refused := unplaceable(fitted, rules):
        raise GraphError(
            "no core can hold this network, with relays or without:\n  " + "\n  ".join(map(str, refused))
        )
    return fitted
