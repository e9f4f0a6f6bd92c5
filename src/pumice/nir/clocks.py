"""What populations that run on their bias alone do to a sample: nothing, or the same in each step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pumice.errors import GraphError
from pumice.ir import Graph, Population, Synapse, latencies
from pumice.ir.schedule import is_autonomous

MAX_STEPS = 1 << 16
"""Steps that a clock is run for."""


def clocks(graph: Graph) -> dict[str, Population]:
    """The populations that nothing enters and that fire from their bias."""
    return {p.name: p for p in graph.populations if is_autonomous(graph, p)}


def constant_entries(graph: Graph, clock: Population, s: Synapse) -> npt.NDArray[np.int64]:
    """Which entries of a clock's synapse act in each step of a sample; the others act in none.

    Args:
        graph: The whole.
        clock: The synapse's source.
        s: The synapse.

    Returns:
        Numbers of entries.

    Raises:
        GraphError: One acts in some steps of a sample only, which NIR has no node for.
    """
    found = s.entries(*graph.ends_of(s))
    lead, latency = (0 if graph.timing is None else graph.timing.lead_steps), latencies(graph)[s.target]
    shift = found.delay_steps + s.latency_steps
    longest = int(shift.max(initial=0))
    n_steps = lead + latency + longest + (2 if graph.timing is None else 2 * graph.timing.period_steps)
    within = np.arange(n_steps) - lead - latency  # entry k is Lava's step k + 1
    if graph.timing is None:
        inside = within >= 0
    else:
        inside = (within >= 0) & (within % graph.timing.period_steps < graph.timing.sample_steps)
    fired = _fired(clock, n_steps)
    acting = []
    for delay in np.unique(shift).tolist():
        arrives = np.zeros_like(fired)
        arrives[delay:] = fired[: n_steps - delay]
        always, never = arrives[inside].all(0), ~arrives[inside].any(0)
        early = arrives[:latency].any(0) if graph.timing is None else np.zeros(clock.size, bool)
        steady = graph.timing is not None or (fired.all(0) & ~early)
        numbers = np.flatnonzero(shift == delay)
        source = found.columns[numbers]
        if not np.all((always & steady)[source] | (never[source] & (graph.timing is not None))):
            raise GraphError(
                f"synapse {s.source} -> {s.target}: population {s.source!r} has no input and sends spikes at its own "
                "pace; NIR has no such node, only a constant input, which is the same in each step of a sample from "
                "its first one on. Keep this network in its .net file"
            )
        acting.append(numbers[always[source]])
    return np.concatenate(acting) if acting else np.zeros(0, np.int64)


def _fired(clock: Population, n_steps: int) -> npt.NDArray[np.bool_]:
    """(n_steps, size): in which steps a clock fires."""
    if n_steps > MAX_STEPS:
        raise GraphError(f"population {clock.name!r}: a period of more than {MAX_STEPS} steps is not exported")
    states = {name: np.zeros(clock.shape, np.int32) for name in clock.states}
    silence = {part: np.zeros(clock.shape, np.int32) for part in clock.parts}
    fired = np.zeros((n_steps, clock.size), bool)
    for k in range(n_steps):
        if clock.reset is not None and clock.reset.applies(k + 1):
            states = {name: np.zeros_like(state) for name, state in states.items()}
        sent, states = clock.step(states, silence)
        fired[k] = sent.reshape(-1) != 0
    return fired
