"""Two networks beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pumice.ir import latencies
from pumice.names import counted
from pumice.planner.text import spread
from pumice.reporting.findings import Findings
from pumice.reporting.layout import Section, percent, table
from pumice.reporting.markup import Html, joined, tag

MOST_LISTED = 100


def beside(first: Findings, second: Findings, *, same_samples: bool) -> Section:
    """The figures of both in one table, layer by layer, and the samples that they answer differently.

    Args:
        first: Of the network in question.
        second: Of the other one.
        same_samples: Whether both ran the same samples, in the same order.
    """
    figures = [(name, a, b) for name, a, b in _figures(first, second)]
    head = ["figure", first.source.title, second.source.title]
    drawn = joined(table(head, figures), _layers(first, second), _differing(first, second, same_samples))
    return Section("compare", "Comparison", "Beside each other", drawn)


def _figures(first: Findings, second: Findings) -> Iterator[tuple[str, str, str]]:
    rows: dict[str, Callable[[Findings], str]] = {
        "from": lambda f: f.source.origin,
        "answers": _score,
        "samples": lambda f: f"{f.n_samples:,} ({f.source.data})",
        "integers that differ": lambda f: f"{f.differing:,} of {f.compared:,}",
        "steps of a sample": lambda f: str(f.source.graph.timing.sample_steps if f.source.graph.timing else "–"),
        "latency in steps": _latencies,
        "neurons": lambda f: f"{sum(p.neurons for p in f.populations):,}",
        "weights": lambda f: f"{sum(s.count for s in f.synapses):,}",
        "weights other than 0": lambda f: f"{sum(s.count - s.zeros for s in f.synapses):,}",
        "bits of weights, on the mean": _mean_bits,
        "spikes per sample": lambda f: f"{sum(p.spikes for p in f.populations):,.0f}",
        "synaptic events per sample": lambda f: (
            f"{sum(np.mean(v) for v in f.evaluation.synaptic_events.values()):,.0f}"
        ),
        "neurons that never fired": lambda f: f"{sum(p.dead for p in f.populations):,}",
        "cores": lambda f: str(f.plan.cores) + ("" if f.plan.fits else " (does not fit)"),
        "time of a step (shown)": lambda f: "–" if f.plan.time is None else spread(f.plan.time.mean, "us"),
        "energy of a step (shown)": lambda f: "–" if f.plan.energy is None else spread(f.plan.energy.chip, "uJ"),
    }
    yield from ((name, of(first), of(second)) for name, of in rows.items())


def _score(found: Findings) -> str:
    if not found.source.has_labels:
        return "no labels"
    if found.evaluation.has_targets:
        return f"root mean squared error {found.evaluation.error:.4g}"
    return f"{percent(found.evaluation.accuracy)} right"


def _latencies(found: Findings) -> str:
    """Of all outputs, where they differ."""
    steps, graph = latencies(found.source.graph), found.source.graph
    return ", ".join(dict.fromkeys(str(steps[name]) for name in graph.outputs))


def _mean_bits(found: Findings) -> str:
    total = sum(s.count for s in found.synapses)
    return f"{sum(s.count * s.bits for s in found.synapses) / total:.2f}" if total else "–"


def _layers(first: Findings, second: Findings) -> Html:
    """Rates and weights of layers, by name: those of one network alone have a dash in the other's place."""
    of = [{layer.name: layer for layer in found.populations} for found in (first, second)]
    names = list(dict.fromkeys([*of[0], *of[1]]))
    rows = []
    for name in names:
        pair = [layers.get(name) for layers in of]
        rates = ["–" if layer is None else percent(layer.rate) for layer in pair]
        dead = ["–" if layer is None else f"{layer.dead:,} of {layer.neurons:,}" for layer in pair]
        bits = [_bits_into(found, name) for found in (first, second)]
        rows.append([name, *rates, *dead, *bits])
    a, b = (f.source.title for f in (first, second))
    head = ["layer", f"rate, {a}", f"rate, {b}", f"never fired, {a}", f"never fired, {b}", f"bits, {a}", f"bits, {b}"]
    return table(head, rows, caption="Layers of the same name")


def _bits_into(found: Findings, name: str) -> str:
    return ", ".join(str(s.bits) for s in found.synapses if s.target == name) or "–"


def _differing(first: Findings, second: Findings, same_samples: bool) -> Html:
    if not same_samples:
        return tag("p", "The two did not run the same samples, so their answers are not compared one by one.")
    a, b = first.evaluation, second.evaluation
    if a.has_targets:
        apart = np.abs(a.predictions - b.predictions).reshape(len(a.predictions), -1).max(1)
        order = [int(i) for i in np.argsort(-apart, kind="stable")[:MOST_LISTED] if apart[i] > 0]
        rows = [[f"sample {i}", f"{apart[i]:.4g}"] for i in order]
        text = f"Answered differently: {int((apart > 0).sum()):,} of {counted(len(apart), 'sample')}."
        return tag("div", tag("p", text), table(["sample", "largest difference"], rows) if rows else None)
    places = np.flatnonzero(a.predictions != b.predictions)
    text = f"Answered differently: {len(places):,} of {counted(len(a.predictions), 'sample')}"
    if first.source.has_labels:
        right = [int((e.predictions == e.labels)[places].sum()) for e in (a, b)]
        text += f"; of these, {first.source.title} is right in {right[0]:,}, {second.source.title} in {right[1]:,}"
    rows = [
        [
            f"sample {i}",
            first.source.class_name(int(a.labels[i])) if first.source.has_labels else "–",
            first.source.class_name(int(a.predictions[i])),
            second.source.class_name(int(b.predictions[i])),
        ]
        for i in places[:MOST_LISTED]
    ]
    head = ["sample", "true class", first.source.title, second.source.title]
    more = f" (the first {MOST_LISTED})" if len(places) > MOST_LISTED else ""
    listed = tag("details", tag("summary", f"Which ones{more}"), table(head, rows)) if rows else None
    return tag("div", tag("p", text + "."), listed)
