"""The sections of a page, one function each; a section that has nothing to say is None."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pumice.backends.compare import LayerComparison
from pumice.fixedpoint.formats import BIAS_MANT, STATE, VTH_MANT
from pumice.names import counted
from pumice.planner.page import legend, pictures
from pumice.planner.text import as_line
from pumice.reporting.charts import Line, bars, line_chart, share
from pumice.reporting.findings import Comparison, Findings, LayerFacts
from pumice.reporting.layout import MOST_ROWS, Section, count_of, percent, table, used
from pumice.reporting.markup import Html, joined, tag

MANY_DEAD = 0.5
FEW = 10
"""Below, a mean is shown with a fraction."""
FEW_SAMPLES = 20
"""Of fewer, silent neurons say nothing about the network."""
FINETUNE = "finetune"


def verdict(found: Findings) -> Html:
    """The four things that one wants to know first."""
    return tag("ul", _cards(found), class_="cards")


def _card(number: str, text: str, state: str | None = None) -> Html:
    return tag("li", tag("b", number), tag("span", text), class_=state)


def _cards(found: Findings) -> Iterator[Html]:
    evaluation, n = found.evaluation, found.n_samples
    if not found.source.has_labels:
        yield _card("no labels", f"{counted(n, 'sample')} ran: {found.source.data}")
    elif evaluation.has_targets:
        yield _card(
            f"{evaluation.error:.4g}", f"root mean squared error, {counted(n, 'sample')}: {found.source.data}"
        )
    else:
        right = int((evaluation.predictions == evaluation.labels).sum())
        in_real_numbers = found.source.graph.info.get("accuracy_float")
        text = f"right in integers: {right:,} of {counted(n, 'sample')} ({found.source.data})"
        if in_real_numbers is not None:
            text += f"; in real numbers, as its training noted, {_share(in_real_numbers)}"
        yield _card(percent(evaluation.accuracy), text)
    state = "good" if found.is_exact else "bad"
    text = f"of {found.compared:,} integers differ between {_parties(found.comparisons)}"
    if not found.certificate_holds:
        text += "; and the certificate does not hold"
    yield _card(f"{found.differing:,}", text, state)
    dead, neurons = (sum(values) for values in zip(*((p.dead, p.neurons) for p in found.populations), strict=True))
    busy = float(sum(p.spikes for p in found.populations))
    graded = any(p.sends_values for p in found.source.graph.populations)
    what, did = ("spikes and values", "sent anything") if graded else ("spikes", "fired")
    number = f"{busy:,.0f}" if busy >= FEW or busy == 0 else f"{busy:.2g}"
    yield _card(number, f"{what} per sample; {dead:,} of {counted(neurons, 'neuron')} never {did}")
    fits = found.plan.fits
    cores = counted(found.plan.cores, "core") if fits else "does not fit"
    yield _card(cores, f"{found.plan.board.title}: {as_line(found.plan)} (an estimate)", None if fits else "bad")


def _share(text: str) -> str:
    """What a file calls a share, as a percentage if it is a number."""
    try:
        return percent(float(text))
    except ValueError:
        return text[:20]


def _parties(comparisons: Sequence[Comparison]) -> str:
    names = list(dict.fromkeys(name for c in comparisons for name in (c.expected, c.got)))
    return f"{', '.join(names[:-1])} and {names[-1]}" if names[1:] else "backends"


def remarks(found: Findings) -> Section | None:
    """What deserves attention, in words."""
    lines = list(_remarks(found))
    listed = tag("ul", [tag("li", line) for line in lines], class_="notes")
    return Section("look", "Notes", "Worth a look", listed) if lines else None


def _remarks(found: Findings) -> Iterator[str]:
    yield from found.source.notes
    if not found.certificate_holds:
        yield f"The file's certificate does not hold: {found.certificate}"
    for comparison in found.comparisons:
        if comparison.differing:
            where = next(layer.population for layer in comparison.layers if layer.s or layer.states)
            yield f"{comparison.got} differs from {comparison.expected}, first in population {where}."
    for p in found.populations[:MOST_ROWS] if found.n_samples >= FEW_SAMPLES else ():
        if p.dead > MANY_DEAD * p.neurons:
            yield (
                f"{p.name}: {p.dead:,} of {counted(p.neurons, 'neuron')} never sent anything: they cost and say "
                "nothing."
            )
        if p.saturated:
            yield (
                f"{p.name}: {p.saturated:,} of {counted(p.neurons, 'neuron')} fired in nearly every step, for "
                "all inputs."
            )
    yield from (f"Chip: {violation}" for violation in found.plan.violations[:5])
    yield from (f"Chip: {warning}" for warning in found.plan.warnings[:5])


def exactness(found: Findings) -> Section:
    """Which runs were held against each other, and what differs."""
    parts: list[Html] = []
    for c in found.comparisons:
        quantities = [q for q in ("s", "u", "v") if any(getattr(layer, q) is not None for layer in c.layers)]
        others = any(layer.other for layer in c.layers)
        head = ["layer", "compared, of each", *quantities, *(["other states"] if others else [])]
        rows = [_compared(layer, quantities, others) for layer in c.layers]
        caption = (
            f"{c.got} against {c.expected}, {counted(c.samples, 'sample')}: {c.compared:,} integers, "
            f"{c.differing:,} differ"
        )
        parts.append(
            tag(
                "details",
                tag("summary", caption),
                table(head, rows, caption="Values that differ"),
                open=bool(c.differing),
            )
        )
    held = None if found.certificate is None else tag("p", f"Certificate: {found.certificate}.")
    meaning = "s: spikes or values sent; u: currents; v: voltages; of every neuron in every step."
    return Section("exactness", "Exactness", "Exactness", joined(tag("p", meaning), parts, held))


def _compared(layer: LayerComparison, quantities: Sequence[str], others: bool) -> list[object]:
    cells: list[object] = [layer.population, f"{layer.compared:,}"]
    for quantity in quantities:
        value = getattr(layer, quantity)
        cells.append("–" if value is None else count_of(value))
    return [*cells, count_of(layer.other)] if others else cells


def learning(found: Findings) -> Section | None:
    """Loss, and accuracy or error, over the epochs; None where no training is known."""
    history = found.source.history
    if not history:
        return None
    tuned = [i for i, record in enumerate(history, 1) if record.phase == FINETUNE]
    what = "error" if history[0].train_error is not None else "accuracy"
    scale = 1 if what == "error" else 100
    names = {"train": "training", "validation": "validation", "test": "test"}
    lines = []
    for split, name in names.items():
        values = [getattr(record, f"{split}_{what}") for record in history]
        if any(v is not None for v in values):
            lines.append(Line(name, [None if v is None else scale * v for v in values]))
    losses = [Line("training", [record.loss for record in history])]
    if any(record.validation_loss is not None for record in history):
        losses.append(Line("validation", [record.validation_loss for record in history]))
    rates = [
        Line(name, [100 * r.firing_rates.get(name, 0.0) for r in history])
        for name in list(history[-1].firing_rates)[:6]
    ]
    first = tuned[0] if tuned else None
    charts = [
        _curve("Loss", losses, first),
        _curve("Accuracy in %" if scale > 1 else "Error (root of the mean square)", lines, first),
    ]
    if rates:
        charts.append(_curve("Spikes per neuron and step in training, in %", rates, first))
    tail = f"; the last {len(tuned)} (shaded) through the chip's integers" if tuned else ""
    drawn = joined(tag("p", f"{counted(len(history), 'epoch')}{tail}."), tag("div", charts, class_="pair"))
    return Section("learning", "Training", "Training", drawn)


def _curve(title: str, lines: Sequence[Line], shaded_from: int | None) -> Html:
    ends = "; ".join(f"{line.name} from {_end(line, 0):.4g} to {_end(line, -1):.4g}" for line in lines)
    return line_chart(title, lines, x_label="epoch", shaded_from=shaded_from, alt=f"{title} by epoch: {ends}")


def _end(line: Line, index: int) -> float:
    return [v for v in line.values if v is not None][index]


def viewer(number: int) -> Section:
    """The place where the script draws samples."""
    controls = tag(
        "div",
        tag("label", "Sample ", tag("select", class_="choose")),
        tag("button", "Play", type="button", class_="play"),
        tag(
            "label",
            "Step ",
            tag("input", type="range", min=1, max=1, value=1, class_="step"),
            tag("output", class_="at"),
        ),
        class_="controls",
    )
    help_text = (
        "Move through time with the slider (arrow keys), or click into a strip. Click a neuron, or reach its layer "
        "with the Tab key and move with the arrow keys, to see when it fires, and its states where the page holds "
        "them. Each layer is shown from the step on in which the sample reaches it."
    )
    nothing = tag("noscript", tag("p", "The samples are drawn by a script, and this browser runs none."))
    box = tag("div", controls, tag("div", class_="layers"), class_="viewer", data_number=number)
    drawn = joined(tag("p", help_text, class_="screen"), nothing, box)
    return Section("samples", "Samples", "Samples through every layer", drawn)


def activity(found: Findings) -> Section:
    """How busy each layer is."""
    rows = [_activity(layer) for layer in found.layers]
    head = ["layer", "neurons", "spikes / sample", "rate", "never fired", "always fire"]
    note = (
        f"Over {counted(found.n_samples, 'sample')} ({found.source.data}). Rate: spikes (or values other than 0) per "
        "neuron and step. Never fired: in none of these samples. Always fire: in at least 95 % of all steps."
    )
    events = sum(float(np.mean(values)) for values in found.evaluation.synaptic_events.values())
    total = tag("p", f"Synaptic events per sample, all synapses together: {events:,.0f}.")
    drawn = joined(tag("p", note), table(head, rows), total)
    return Section("activity", "Rates", "Rates, dead and saturated neurons", drawn)


def _activity(layer: LayerFacts) -> list[object]:
    always: object = "–" if layer.saturated is None else f"{layer.saturated:,}"
    dead = tag("td", f"{layer.dead:,}", class_="attention" if layer.dead > MANY_DEAD * layer.neurons else None)
    shape = " × ".join(map(str, layer.shape))
    size = f"{layer.neurons:,}" if len(layer.shape) == 1 else f"{layer.neurons:,} ({shape})"
    return [layer.name, size, f"{layer.spikes:,.1f}", share(layer.rate, percent(layer.rate)), dead, always]


def bits(found: Findings) -> Section:
    """How much of the chip's formats the network uses."""
    synapses = [
        [
            s.label,
            s.kind,
            f"{s.count:,}",
            f"{s.low} … {s.high}",
            tag("td", bars(s.histogram, alt=f"distribution of the weights from {s.low} to {s.high}")),
            share(s.bits / 8, f"{s.bits} of 8"),
            f"{s.distinct:,}",
            percent(s.zeros / s.count),
            s.exponent,
        ]
        for s in found.synapses
    ]
    head = ["synapse", "kind", "weights", "range", "distribution", "bits", "distinct values", "zeros", "exponent"]
    states = list(dict.fromkeys(state for p in found.populations for state in p.largest))
    populations = [
        [
            p.name,
            p.kind,
            "–" if p.threshold is None else used(p.threshold, VTH_MANT.high, f"{p.threshold:,}"),
            "–" if p.bias is None else used(max(map(abs, p.bias)), BIAS_MANT.high, f"{p.bias[0]} … {p.bias[1]}"),
            *(used(p.largest[s], STATE.high, f"{p.largest[s]:,}") if s in p.largest else "–" for s in states),
        ]
        for p in found.populations
    ]
    head_of_populations = [
        "population",
        "kind",
        "threshold (17 bits)",
        "bias (13 bits)",
        *(f"largest |{s}| (24 bits)" for s in states),
    ]
    note = (
        "A bar is as long as the share of the bits that is used. Bits of a weight: what a core stores, without the "
        "power of two that all weights of a synapse share; 9 mean that odd weights of both signs need more than the "
        "chip has. Largest states: of the samples above."
    )
    drawn = joined(tag("p", note), table(head, synapses), table(head_of_populations, populations))
    return Section("bits", "Bits", "Bits in use", drawn)


def chip(found: Findings) -> Section:
    """The plan of the chip."""
    made = found.plan
    detail = tag("details", tag("summary", "The whole plan as text"), tag("pre", str(made), tabindex=0))
    drawn = Html("".join([*pictures(made, level=3)]))
    listed = tag("div", Html("".join(legend(made))), class_="scroll", tabindex=0, role="region", aria_label="cores")
    activity = f"the {counted(len(found.shown), 'sample')} that can be looked at above"
    estimate = f"An estimate, made without a chip. Activity: {activity}."
    content = joined(tag("p", as_line(made), ". ", estimate), drawn, listed, detail)
    return Section("chip", "Chip", "On the chip", content)


def origin(found: Findings) -> Section:
    """Where the network is from, as its file says."""
    info = {key: value for key, value in found.source.graph.info.items() if key != "recipe"}
    rows = [("from", found.source.origin), *info.items()]
    listed = tag("dl", [[tag("dt", key.replace("_", " ")), tag("dd", value)] for key, value in rows[:MOST_ROWS]])
    recipe = found.source.graph.info.get("recipe")
    detail = None if recipe is None else tag("details", tag("summary", "Recipe"), tag("pre", recipe, tabindex=0))
    return Section("origin", "Origin", "Origin", joined(listed, detail))


def sections(number: int, found: Findings, answers: Section | None) -> list[Section]:
    """All of one network.

    Args:
        number: Its place among the networks of the page.
        found: What is to be said.
        answers: The section of its answers.
    """
    every = (
        remarks(found),
        exactness(found),
        learning(found),
        answers,
        viewer(number),
        activity(found),
        bits(found),
        chip(found),
        origin(found),
    )
    return [section for section in every if section is not None]
