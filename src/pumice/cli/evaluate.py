"""`pumice evaluate`: whole test sets through the fast simulator."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

import pumice
from pumice.backends import BACKENDS_HELP, get_backend
from pumice.cli.arrays import read_samples
from pumice.cli.options import Trust
from pumice.cli.training_extra import training_extra
from pumice.errors import InputError
from pumice.ir import Graph, Timing
from pumice.netx import load

if TYPE_CHECKING:
    from pumice.backends.evaluate import Evaluation


COMPILING_S = 1.0
"""Preparing for longer is explained."""


def evaluate(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.net", help="The network.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="X.npz",
            help="Arrays `x` (n, T, *input shape), integers in Lava's order, `labels` (n,), and, where samples are "
            "of unequal length and padded behind, `lengths` (n,). "
            "By default the test split of the data that FILE.net was trained on.",
        ),
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder with the data that FILE.net was trained on.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe that FILE.net records; may be repeated."),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Use only the first so many samples.")] = None,
    check: Annotated[
        list[str] | None,
        typer.Option("--check", "--backend", help=f"Also run this backend, and compare; one of: {BACKENDS_HELP}."),
    ] = None,
    check_samples: Annotated[int, typer.Option(help="On how many samples, back to back.")] = 4,
    readout: Annotated[
        str,
        typer.Option(
            metavar="sent|voltage|current|STATE",
            help="What of the output answers: what it sends, or one of its states at a sample's last step.",
        ),
    ] = "sent",
    threads: Annotated[int | None, typer.Option(help="Use at most so many; by default one per core.")] = None,
    trust: Trust = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Run FILE.net on a test set: accuracy, spikes and synaptic events of each layer."""
    for option, value in (("--samples", samples), ("--check-samples", check_samples), ("--threads", threads)):
        if value is not None and value < 1:
            raise InputError(f"{option} must be at least 1, got {value}")
    if data is not None and settings:
        raise InputError("--set changes the data that FILE.net records; it has no use beside --data")
    checks = {get_backend(name): check_samples for name in check or ()}
    from pumice.cli.compile_ahead import compiling_ahead  # numba

    with compiling_ahead(file, wait=True):
        graph = load(file)
        pairs: Iterable[tuple[Any, ...]]
        if data is not None:
            x, *given = read_samples(data, samples)
            if graph.timing is None:
                graph = graph.replace(timing=Timing(x.shape[1], x.shape[1]))
            pairs, n = zip(x, *given, strict=True), len(x)
        else:
            with training_extra():
                from pumice.pipeline.recorded import recorded_test
            root = None if data_root is None else str(data_root)
            recorded = recorded_test(graph, root, samples, settings or (), trust or ())
            pairs, n = recorded, len(recorded)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("samples", total=n)
        result = pumice.evaluate(  # the package's, which loads numba when it is first used
            graph,
            pairs,
            check=checks,
            readout=readout,
            threads=threads,
            progress=lambda done: bar.update(task, completed=done),
        )
    print(json.dumps(_summary(graph, result)) if as_json else _text(graph, result))


def _summary(graph: Graph, result: Evaluation) -> dict[str, Any]:
    return {
        "samples": len(result.labels),
        **({"error": result.error} if result.has_targets else {"accuracy": result.accuracy}),
        "seconds": result.seconds,
        "prepare_seconds": result.prepare_seconds,
        "spikes_per_sample": {name: float(counts.mean()) for name, counts in result.spikes.items()},
        "synaptic_events_per_sample": {name: float(n.mean()) for name, n in result.synaptic_events.items()},
        "checked_values": dict(result.checked),
        "sample_steps": graph.timing.sample_steps if graph.timing else None,
    }


def _text(graph: Graph, result: Evaluation) -> str:
    table = Table("layer", "spikes / sample", "rate", "synaptic events / sample", box=None)
    steps = graph.timing.sample_steps if graph.timing else 1
    sizes = {graph.input.name: graph.input.size} | {p.name: p.size for p in graph.populations}
    for name, counts in result.spikes.items():
        into = [n.mean() for label, n in result.synaptic_events.items() if label.endswith(f" -> {name}")]
        rate = counts.mean() / (sizes[name] * steps)
        table.add_row(name, f"{counts.mean():,.1f}", f"{100 * rate:.2f} %", f"{sum(into):,.0f}" if into else "")
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table)
    n = len(result.labels)
    if result.has_targets:
        score = f"root mean squared error {result.error:.6g} ({n} samples)"
    else:
        correct = int((result.predictions == result.labels).sum())
        score = f"accuracy {100 * result.accuracy:.2f} % ({correct} of {n} samples)"
    lines = [
        captured.get().rstrip(),
        score,
        f"simulated in {result.seconds:.2f} s: {1e3 * result.seconds / n:.3f} ms per sample; prepared in "
        f"{result.prepare_seconds:.1f} s before"
        + (" (a network's first run compiles loops, which are kept)" if result.prepare_seconds > COMPILING_S else ""),
    ]
    lines += [f"{name}: equal on {count} values" for name, count in result.checked.items()]
    return "\n".join(lines)
