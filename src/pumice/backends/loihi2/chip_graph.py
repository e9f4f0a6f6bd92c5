"""The graph as it stands on the chip: where its input enters, what the adapters ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from pumice.errors import BackendError
from pumice.fixedpoint.formats import DELAY_STEPS, STATE_EXP
from pumice.ir import Conv, Direct, Graph, OneToOne, Population, Reset, Synapse
from pumice.ir.relays import relay
from pumice.ir.verify import checked_graph
from pumice.names import free_name


class ChipGraph(NamedTuple):
    """A graph, and how it differs from the one that it stands for.

    Attributes:
        graph: What runs on the chip.
        extra_steps: So many steps later everything happens there.
    """

    graph: Graph
    extra_steps: int


def for_chip(graph: Graph) -> ChipGraph:
    """Put a graph into the form that an adapter can feed.

    An adapter feeds synapses, so an input that goes straight into neurons gets an identity between (a 1 x 1
    convolution for images), which takes a step: whatever else depends on the input is delayed by it, and all resets
    move with it. An adapter for images feeds convolutions only, so what else an image goes to is fed by a relay
    behind such an identity, whose step comes out of the synapse's delay.

    Preserves every population's spikes and states at every step, `extra_steps` later.

    Args:
        graph: A valid graph.

    Raises:
        InputError: It is no graph.
        BackendError: No such form is exact: says what stands against it, and what to do.

    Example:
        >>> from pumice.ir.builder import chain
        >>> for_chip(chain((4,), [3, 2], seed=0)).extra_steps
        0
    """
    if any(isinstance(s, Direct) for s in checked_graph(graph).synapses):
        _check_at_rest(graph)
        placed = _relayed(_later(graph))
        _check_delays(placed)
        return ChipGraph(placed, 1)
    return ChipGraph(_relayed(graph), 0)


def _check_at_rest(graph: Graph) -> None:
    """In the step that passes before the first value arrives, nothing may happen that is not undone."""
    found = [p.name for p in graph.populations if not _is_at_rest(p)]
    if found:
        raise BackendError(
            f"population {found[0]}{f' (and {len(found) - 1} more)' if found[1:] else ''}: on Loihi 2 a direct input "
            "arrives one step later, and a neuron with a bias that is not reset in the first step would integrate it "
            "once more; feed the graph through a synapse (a OneToOne of weight 1) instead of a Direct one, or reset "
            "the neurons in the first step"
        )


def _is_at_rest(p: Population) -> bool:
    if not (np.any(getattr(p, "bias_mant", 0)) or np.any(getattr(p, "bias", 0))):
        return True
    if p.reset is None or not p.reset.applies(1):
        return False
    vth = getattr(p, "vth_mant", None)
    bias = np.asarray(getattr(p, "bias_mant", 0), np.int64) << int(getattr(p, "bias_exp", 0))
    return vth is None or bool(np.all(bias <= int(vth) << STATE_EXP))


def _check_delays(graph: Graph) -> None:
    """What was delayed with the direct input may have had the longest delay already."""
    for s in graph.synapses:
        if s.max_delay_steps + s.balance_steps > DELAY_STEPS.high:
            raise BackendError(
                f"synapse {s.source} -> {s.target}: on Loihi 2 a direct input arrives one step later, and so must "
                f"what else the input feeds, but its delay is {DELAY_STEPS.high} steps already, the longest; shorten "
                "it, or feed the graph through a synapse (a OneToOne of weight 1) instead of a Direct one"
            )


def _later(graph: Graph) -> Graph:
    """The same graph, everything one step later, with an identity where the input entered neurons."""
    shape = graph.input.shape
    return graph.replace(
        populations=tuple(_reset_later(p) for p in graph.populations),
        synapses=tuple(
            s
            if s.source != graph.input.name
            else _identity(s, shape)
            if isinstance(s, Direct)
            else replace(s, balance_steps=s.balance_steps + 1)
            for s in graph.synapses
        ),
        timing=None,  # samples begin a step later, which no `Timing` can say
        certificate=None,
    )


def _reset_later(p: Population) -> Population:
    if p.reset is None:
        return p
    return replace(p, reset=Reset(p.reset.interval, (p.reset.offset + 1) % p.reset.interval))


def _identity(s: Synapse, shape: tuple[int, ...]) -> Synapse:
    if len(shape) != 3:
        return OneToOne(s.source, s.target, s.graded, weight=1, part=s.part)
    return Conv(s.source, s.target, s.graded, weight=_unit(shape), part=s.part)


def takes_pixels(s: Synapse) -> bool:
    """Whether a synapse becomes one convolution on the chip, for which an image has its own adapter.

    A delayed convolution does not: its spikes pass relays first, behind a sparse synapse.
    """
    return isinstance(s, Conv) and not (s.balance_steps or s.max_delay_steps)


def _relayed(graph: Graph) -> Graph:
    """Where an image goes to convolutions and to others, the others are fed by a relay."""
    fed = list(graph.out_of(graph.input.name))
    others = [s for s in fed if not takes_pixels(s)]
    if partly := [s for s in others if isinstance(s, Conv) and _is_partly_delayed(s, graph.input.shape)]:
        _refuse(partly[0], "some channels of the image are delayed before a convolution and others are not", "")
    if len(others) in (0, len(fed)):
        return graph
    if at_once := [s for s in others if not s.balance_steps]:
        _refuse(
            at_once[0],
            "the image goes to convolutions, and straight to a synapse of another kind",
            "delay that one by a step (balance_steps=1), or ",
        )
    if len({s.graded for s in others}) > 1:
        what = "some synapses take the image's values and others count its spikes, beside a convolution"
        _refuse(next(s for s in others if not s.graded), what, "")
    weight, hub = relay(
        free_name(f"{graph.input.name}_relay", graph.names), graph.input.shape, graded=others[0].graded
    )
    one = Conv(graph.input.name, hub.name, others[0].graded, weight=weight * _unit(graph.input.shape))
    return graph.replace(
        populations=(hub, *graph.populations),
        synapses=(
            one,
            *(
                replace(s, source=hub.name, balance_steps=s.balance_steps - 1)
                if s.source == graph.input.name and not takes_pixels(s)
                else s
                for s in graph.synapses
            ),
        ),
        certificate=None,
    )


def _is_partly_delayed(s: Conv, shape: tuple[int, ...]) -> bool:
    delays = np.broadcast_to(np.asarray(s.delay_steps) + s.balance_steps, shape[-1:])
    return bool(delays.any() and not delays.all())


def _refuse(s: Synapse, what: str, remedy: str) -> NoReturn:
    raise BackendError(
        f"synapse {s.source} -> {s.target}: {what}, for which Loihi 2 has different adapters; {remedy}make all of "
        "them alike"
    )


def _unit(shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """The kernel of a 1 x 1 convolution that changes nothing."""
    return np.eye(shape[2], dtype=np.int32)[:, None, None, :]
