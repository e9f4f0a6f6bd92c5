"""What a core must hold for each population: the facts of its synapses, and who reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pumice.fixedpoint import stored_bits
from pumice.fixedpoint.formats import DECAY_ONE
from pumice.ir import Cuba, Graph, OneToOne, Population, SigmaDelta, Synapse


@dataclass(frozen=True, eq=False)
class Incoming:
    """One synapse into a population.

    Attributes:
        synapse: The synapse.
        source: Shape of its source.
        weight_bits: Of a stored weight.
        delay_bits: Of its delay, 0 without.
    """

    synapse: Synapse
    source: tuple[int, ...]
    weight_bits: int
    delay_bits: int


@dataclass(frozen=True, eq=False)
class Layer:
    """A population with the synapses into it: what the chip's compiler places as one object.

    Attributes:
        population: The population.
        incoming: The synapses into it.
        pixel_readers: Convolutions that read it: an entry of the axon map for each pixel.
        neuron_readers: Other synapses, and adapters: an entry for each neuron.
        groups: Neuron groups on each core.
    """

    population: Population
    incoming: tuple[Incoming, ...]
    pixel_readers: int
    neuron_readers: int
    groups: int


def layers_of(graph: Graph) -> tuple[Layer, ...]:
    """One layer for each population, in the graph's order."""
    return tuple(layer_of(graph, p) for p in graph.populations)


def layer_of(graph: Graph, p: Population) -> Layer:
    """One population of a graph with the synapses into it."""
    incoming = tuple(_incoming(graph, s) for s in graph.into(p.name))
    readers = [s.shares_weights for s in graph.out_of(p.name)]
    is_output = p.name in graph.outputs
    by_conv = any(i.synapse.shares_weights for i in incoming)
    return Layer(
        p,
        incoming,
        pixel_readers=sum(readers),
        neuron_readers=len(readers) - sum(readers) + is_output,
        groups=2 if by_conv and is_output else 1,
    )


def _incoming(graph: Graph, s: Synapse) -> Incoming:
    longest = s.max_delay_steps + s.balance_steps
    return Incoming(s, graph.shape_of(s.source), stored_bits(s.weights), longest.bit_length())


def with_relays(graph: Graph) -> tuple[Graph, dict[str, str]]:
    """The graph as the chip holds it: where a synapse has no delays there, its delayed spikes pass relays.

    Args:
        graph: A valid graph.

    Returns:
        The graph with a population for each delayed convolution and token mixing, and for each of these relays the
        name of the population whose spikes it repeats. Its synapses no longer say what is computed, only what is
        stored where.
    """
    if not any(_passes_relay(s) for s in graph.synapses):
        return graph, {}
    repeats: dict[str, str] = {}
    populations = {p.name: p for p in graph.populations}
    synapses: list[Synapse] = []
    for s in graph.synapses:
        if not _passes_relay(s):
            synapses.append(s)
            continue
        name = next(n for n in _names(s) if n not in populations and n != graph.input.name)
        repeats[name] = s.source
        shape, delay = graph.shape_of(s.source), s.max_delay_steps + s.balance_steps
        populations[name] = (
            SigmaDelta(name, shape, vth=0) if s.graded else Cuba(name, shape, vth_mant=1, v_decay_q12=DECAY_ONE)
        )
        synapses += [
            OneToOne(s.source, name, weight=1, delay_steps=delay - 1),
            replace(s, source=name, delay_steps=0, balance_steps=0),  # type: ignore[call-arg]
        ]
    return graph.replace(populations=tuple(populations.values()), synapses=tuple(synapses)), repeats


def _passes_relay(s: Synapse) -> bool:
    return not s.delays_each_weight and s.max_delay_steps + s.balance_steps > 0


def _names(s: Synapse) -> Iterator[str]:
    yield f"relay_{s.source}_{s.target}"
    yield from (f"relay_{s.source}_{s.target}_{i}" for i in range(2, 1 << 20))
