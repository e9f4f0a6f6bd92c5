"""What of a graph Loihi 2 cannot run, all at once, before anything is built."""

from __future__ import annotations

from collections.abc import Iterator

from pumice.errors import BackendError
from pumice.hardware import load_constants, reset_violations, violations, wide_images
from pumice.ir import Conv, Dense, Graph, Resonator
from pumice.ir.verify import checked_graph

MOST_SHOWN = 5


def refusals(graph: Graph) -> list[str]:
    """Everything that stands against running a graph on Loihi 2, whatever its size.

    Registers (`pumice.hardware.violations`), resets at intervals that are no powers of two, and convolutions whose
    spikes the compiler says may be dropped. Whether it fits is another question: `pumice.plan`.

    Args:
        graph: A valid graph.

    Returns:
        One line each: where, what is needed, what is allowed; empty if nothing does.

    Raises:
        InputError: It is no graph.
        GraphError: A kind of population or synapse that is not known.

    Example:
        >>> from pumice.ir import with_reset_schedule
        >>> from pumice.ir.builder import chain
        >>> refusals(chain((4,), [3], seed=0))
        []
        >>> refusals(with_reset_schedule(chain((4,), [3], seed=0), 6))
        ['population dense0: reset interval: needs 6 steps, limit powers of two. Lower with period_steps=8.']
    """
    checked_graph(graph)
    return [*violations(graph), *map(str, reset_violations(graph)), *_wide_inputs(graph), *_mixed_input(graph)]


def check_for_chip(graph: Graph) -> None:
    """Refuse a graph that Loihi 2 cannot run.

    Raises:
        BackendError: With the first reasons, and how many more there are.
        GraphError: A kind of population or synapse that is not known.
    """
    found = refusals(graph)
    if found:
        more = f" (and {len(found) - MOST_SHOWN} more)" if len(found) > MOST_SHOWN else ""
        raise BackendError(f"Loihi 2 cannot run this graph: {'; '.join(found[:MOST_SHOWN])}{more}")


def unseen(graph: Graph) -> list[str]:
    """What of a graph no printed run on a chip has shown, so that a first run should be compared: `pumice.verify`."""
    found = []
    if any(isinstance(p, Resonator) for p in graph.populations):
        found.append("resonate-and-fire neurons")
    if any(isinstance(s, Conv) and (s.groups != 1 or set(s.dilation) != {1}) for s in graph.synapses):
        found.append("convolutions with groups or dilation")
    place = {name: i for i, name in enumerate(graph.names)}
    if any(place[s.source] >= place[s.target] for s in graph.synapses):  # a loop has one against the order
        found.append("recurrent synapses")
    targets = [(s.target, s.part) for s in graph.synapses]
    if len(set(targets)) < len(targets):
        found.append("several synapses into one population")
    if any(s.balance_steps + s.max_delay_steps and not isinstance(s, Dense) for s in graph.synapses):
        found.append("delayed synapses that are not dense (DelaySparse)")
    return found


def _wide_inputs(graph: Graph) -> Iterator[str]:
    widest = load_constants().words("conv_input_width")
    for where, width in wide_images(graph, widest):
        yield (
            f"{where}: the input of a convolution may be {widest} wide, got {width}: the compiler warns that spikes "
            f"at multiples of {widest} may be dropped; use a smaller or transposed image"
        )


def _mixed_input(graph: Graph) -> Iterator[str]:
    graded = {s.graded for s in graph.out_of(graph.input.name)}
    if len(graded) > 1:
        yield (
            f"input {graph.input.name}: some synapses take its values, others count spikes; one adapter carries "
            "either, so make all of them graded or none"
        )
