"""`pumice inspect`: what is in a network file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pumice.cli.options import AsStock
from pumice.cli.summary import summarize
from pumice.errors import InputError, MissingExtraError
from pumice.ir import Graph
from pumice.names import counted
from pumice.netx import load

WIDE = 160
"""Columns of the tables where there is no terminal to fit into."""


def inspect(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.net", help="The network.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    input_shape: Annotated[
        str | None, typer.Option(metavar="X,Y,C", help="For files that do not state their input's shape.")
    ] = None,
    as_stock: AsStock = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Also draw the graph (needs the extra plot).")
    ] = None,
) -> None:
    """Show the populations, synapses, shapes, latency and sizes of FILE.net."""
    shape = parse_shape(input_shape)
    graph = load(file, input_shape=shape, as_stock=as_stock)
    check_shape(file, shape, graph)
    summary = summarize(graph)
    if plot is not None:
        _plot(graph, plot)
    if as_json:
        print(json.dumps(summary))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    console.print(_populations(summary))
    console.print(_synapses(summary))
    for line in _facts(summary):
        console.print(escape(line), highlight=False, soft_wrap=True)


def parse_shape(text: str | None) -> tuple[int, ...] | None:
    """What `--input-shape` says.

    Raises:
        InputError: It is no list of integers.
    """
    if text is None:
        return None
    try:
        return tuple(int(n) for n in text.split(","))
    except ValueError:
        raise InputError(f"--input-shape must be like 28,28,1, got {text!r}") from None


def check_shape(file: Path, shape: tuple[int, ...] | None, graph: Graph) -> None:
    """Refuse an `--input-shape` that was not used.

    Raises:
        InputError: The file states another one.
    """
    if shape is not None and shape != graph.input.shape:
        stated = ",".join(map(str, graph.input.shape))
        raise InputError(
            f"{file}: states its input's shape, {stated}, so it cannot be {','.join(map(str, shape))}; leave out "
            "--input-shape"
        )


def _plot(graph: Graph, path: Path) -> None:
    try:
        from pumice.cli.plot import save_picture

        save_picture(graph, path)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "matplotlib":
            raise MissingExtraError("matplotlib", "plot", "--plot") from error
        raise


def _populations(summary: dict[str, Any]) -> Table:
    table = Table("population", "kind", "shape", "neurons", "latency", "parameters", "reset", box=SIMPLE_HEAD)
    entry = summary["input"]
    table.add_row(escape(entry["name"]), "input", _text(entry["shape"]), "", "0", "", "")
    for p in summary["populations"]:
        reset, steps = p["reset"], p["latency_steps"]
        table.add_row(
            escape(p["name"]),
            p["kind"],
            _text(p["shape"]),
            str(p["neurons"]),
            "-" if steps is None else str(steps),
            ", ".join(f"{name} {_span(value)}" for name, value in p["parameters"].items()),
            "" if reset is None else f"{reset['interval']}@{reset['offset']}",
        )
    return table


def _synapses(summary: dict[str, Any]) -> Table:
    table = Table("synapse", "kind", "weight shape", "parameters", "weights", "delay", "balance", box=SIMPLE_HEAD)
    for s in summary["synapses"]:
        table.add_row(
            escape(f"{s['source']} -> {s['target']}" + _place(s)),
            s["kind"] + (" graded" if s["graded"] else ""),
            _text(s["weight_shape"]),
            str(s["parameters"]),
            "" if s["weight_range"] is None else _span(s["weight_range"]),
            str(s["max_delay_steps"] or ""),
            str(s["balance_steps"] or ""),
        )
    return table


def _place(synapse: dict[str, Any]) -> str:
    """Which part of its target a synapse feeds, where that is not all of it."""
    channels = synapse["target_channels"]
    return (" imag" if synapse["part"] == "imag" else "") + (
        "" if channels is None else f" {channels[0]}:{channels[1]}"
    )


def _facts(summary: dict[str, Any]) -> list[str]:
    totals, timing = summary["totals"], summary["timing"]
    lines = [
        f"outputs: {', '.join(summary['outputs'])}; latency {_latencies(summary)}",
        f"{counted(totals['neurons'], 'neuron')}, {counted(totals['parameters'], 'parameter')}; "
        f"{counted(totals['weight_bytes'], 'byte')} of weights "
        f"(8 bits each), {counted(totals['state_bytes'], 'byte')} of state (24 bits each)",
    ]
    if timing is not None:
        length, period = (counted(timing[key], "step") for key in ("sample_steps", "period_steps"))
        lines.append(f"a sample takes {length}, one every {period}")
    steps = summary["certificate_steps"]
    lines.append("no certificate" if steps is None else f"certificate of {counted(steps, 'step')}")
    return lines + [f"{key}: {value}" for key, value in summary["info"].items()]


def _latencies(summary: dict[str, Any]) -> str:
    """Of all outputs, in their order, where they differ."""
    steps = {p["name"]: p["latency_steps"] for p in summary["populations"]}
    of_outputs = [steps[name] for name in summary["outputs"]]
    if len(set(of_outputs)) == 1:
        return counted(of_outputs[0], "step")
    return f"{', '.join(map(str, of_outputs))} steps"


def _text(shape: list[int]) -> str:
    return "x".join(map(str, shape))


def _span(value: bool | int | list[int]) -> str:
    return f"{value[0]}..{value[1]}" if isinstance(value, list) else str(value)
