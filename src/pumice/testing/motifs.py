"""Small random graphs of the forms that networks are made of, each with its own parameters in every place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pumice.fixedpoint.formats import DELAY_STEPS
from pumice.ir import Graph, Input, Population, Sigma, Synapse, verify_graph
from pumice.passes.balance_latency import balance_latency
from pumice.testing import parts, values
from pumice.testing.parts import Sketch
from pumice.testing.values import Rng, Shape, one_in, pick

Maker = Callable[[Rng, str, Shape], Population]


def random_graph(rng: Rng, n_motifs: int, longest_delay: int) -> Graph:
    """Motifs side by side, which share nothing but the input: as many graphs in one.

    The names of a motif's populations start with its number and its form: ``3_diamond_c``.

    Args:
        rng: Source of randomness.
        n_motifs: How many.
        longest_delay: Of the trained delays, in steps.
    """
    image = (*(int(n) for n in rng.integers(3, 6, 2)), pick(rng, [1, 2, 4]))
    shape = (int(rng.integers(1, 13)),) if one_in(rng, 4) else image
    sketch = Sketch(rng, Input("input", shape, pick(rng, [(0, 1), *values.VALUE_RANGES])), longest_delay)
    outputs = []
    for index in range(n_motifs):
        name = pick(rng, list(MOTIFS))
        MOTIFS[name](_Pen(sketch, f"{index}_{name}"))
        outputs.append(sketch.populations[-1].name)
    graph = Graph(sketch.input, tuple(sketch.populations), tuple(sketch.synapses), tuple(outputs))
    balanced = balance_latency(graph).graph
    return verify_graph(balanced.replace(synapses=tuple(_within_limit(s) for s in balanced.synapses)))


def _within_limit(synapse: Synapse) -> Synapse:
    """Trained delays shortened so that they fit the chip together with the balance."""
    if synapse.max_delay_steps + synapse.balance_steps <= DELAY_STEPS.high:
        return synapse
    delays = np.minimum(getattr(synapse, "delay_steps", 0), DELAY_STEPS.high - synapse.balance_steps)
    changes: dict[str, Any] = {"delay_steps": delays}
    return replace(synapse, **changes)


class _Pen:
    """Draws one motif into the sketch."""

    def __init__(self, sketch: Sketch, prefix: str) -> None:
        self.sketch, self.rng, self.prefix = sketch, sketch.rng, prefix
        self.input = sketch.input.name

    def draw(
        self, name: str, *sources: str, make: Maker = parts.cuba, shape: Shape | None = None, **fixed: Any
    ) -> str:
        """Add a population that gets the sum of synapses from all `sources`; the first may give it its shape."""
        name = f"{self.prefix}_{name}"
        synapses = []
        for index, source in enumerate(sources):
            # balance_latency cannot delay a direct input
            kinds = {"kind": "Sparse"} if shape is None and len(sources) > 1 and source == self.input else {}
            synapse, shape = self.sketch.synapse(source, name, shape, **({} if index else kinds), **fixed)
            synapses.append(synapse)
        assert shape is not None
        return self.sketch.add(make(self.rng, name, shape), synapses)

    def feed_back(self, source: str, target: str) -> None:
        """A synapse against the order of the graph, or from a population into itself."""
        synapse, _ = self.sketch.synapse(source, target, self.sketch.shapes[target])
        self.sketch.synapses.append(synapse)

    def shape(self, name: str) -> Shape:
        return self.sketch.shapes[name]


def _chain(pen: _Pen) -> None:
    name = pen.input
    for letter in "abcd"[: pen.rng.integers(1, 5)]:
        name = pen.draw(letter, name)
    if one_in(pen.rng, 3):
        pen.draw("read", name, make=parts.accumulator)


def _diamond(pen: _Pen) -> None:
    a = pen.draw("a", pen.input)
    b = pen.draw("b", a)
    c = pen.draw("c", b) if one_in(pen.rng, 2) else b
    pen.draw("d", c, a)


def _residual(pen: _Pen) -> None:
    """Two nested skips, the inner one around one population, the outer one around both."""
    a = pen.draw("a", pen.input)
    b = pen.draw("b", a)
    c = pen.draw("c", b)
    d = pen.draw("d", c, b)
    pen.draw("e", d, a, make=pick(pen.rng, [parts.cuba, parts.accumulator]))


def _concat(pen: _Pen) -> None:
    """Two or three sources into disjoint channels, sometimes with a residual over all of them."""
    a = pen.draw("a", pen.input)
    sources = [a, pen.draw("b", pick(pen.rng, [a, pen.input]))]
    sources += [pick(pen.rng, sources)] * one_in(pen.rng, 2)
    own = pen.shape(a)
    sizes = [int(n) for n in pen.rng.integers(1, 4, len(sources))]
    sizes[0] = own[-1]
    ends = np.cumsum([0, *sizes])
    shape = (*own[:-1], int(ends[-1]))
    name = f"{pen.prefix}_joined"
    synapses = [
        pen.sketch.synapse(s, name, (*own[:-1], int(b - a)), target_channels=(int(a), int(b)))[0]
        for s, a, b in zip(sources, ends, ends[1:], strict=False)
    ]
    if one_in(pen.rng, 3):
        synapses.append(pen.sketch.synapse(pen.input, name, shape)[0])
    pen.sketch.add(parts.cuba(pen.rng, name, shape), synapses)


def _loop(pen: _Pen) -> None:
    a = pen.draw("a", pen.input)
    pen.feed_back(a, a)
    if one_in(pen.rng, 2):
        b = pen.draw("b", a)
        pen.feed_back(b, a)
        pen.feed_back(b, b)


def _mixer(pen: _Pen) -> None:
    """A token mixer with a skip around it."""
    a = pen.draw("a", pen.input, shape=pick(pen.rng, [(2, 3, 2), (3, 2, 4), (1, 4, 3)]))
    b = pen.draw("b", a, kind="TokenMixing")
    pen.draw("c", b, a)


def _changes(pen: _Pen) -> None:
    """Delta, sigma-delta with a skip, and sigma."""
    a = pen.draw("a", pen.input, make=parts.delta, graded=True)
    b = pen.draw("b", a, make=parts.sigma_delta, graded=True)
    c = pen.draw("c", b, *[a] * one_in(pen.rng, 2), make=parts.sigma_delta, graded=True)
    pen.draw("d", c, make=_plain_sigma, graded=True)


def _plain_sigma(_: Rng, name: str, shape: Shape) -> Population:
    return Sigma(name, shape)


def _resonators(pen: _Pen) -> None:
    """A resonator with both inputs, sometimes with spikes of it into a second one's."""
    sketch, name = pen.sketch, f"{pen.prefix}_a"
    real, shape = sketch.synapse(pen.input, name, kind=pick(pen.rng, ["Sparse", "Dense", "OneToOne"]))
    imag, _ = sketch.synapse(pen.input, name, shape, part="imag")
    a = sketch.add(parts.resonator(pen.rng, name, shape), [real, imag])
    if one_in(pen.rng, 2):
        pen.draw("b", a, make=parts.resonator, part=pick(pen.rng, ["real", "imag"]))


MOTIFS: dict[str, Callable[[_Pen], None]] = {
    "chain": _chain,
    "diamond": _diamond,
    "residual": _residual,
    "concat": _concat,
    "loop": _loop,
    "mixer": _mixer,
    "changes": _changes,
    "resonators": _resonators,
}
