"""`pumice evaluate`: whole test sets through a simulator, by one process or by those that torchrun starts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

import pumice
from pumice.backends import BACKENDS_HELP, DEFAULT, get_backend
from pumice.backends.ranks import Ranks
from pumice.cli.arrays import read_samples
from pumice.cli.options import Trust
from pumice.cli.training_extra import training_extra
from pumice.errors import InputError
from pumice.ir import Graph, Timing
from pumice.ir.digest import graph_digests
from pumice.ir.stream import timing_of
from pumice.machine import available_cores
from pumice.names import counted
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
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change the data that FILE.net records, as data.steps=4; may be repeated.",
        ),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Use only the first so many samples.")] = None,
    backend: Annotated[str, typer.Option(help=f"What runs the samples, one of: {BACKENDS_HELP}.")] = DEFAULT,
    device: Annotated[
        str | None, typer.Option(help="Of --backend torch: cpu, cuda, ...; by default CUDA where there is one.")
    ] = None,
    parts: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep what is done there: an evaluation that was ended goes on, and processes of torchrun share the "
            "work; those of several machines need it.",
        ),
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(help=f"Also run this backend, and compare; one of: {BACKENDS_HELP}."),
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
    ranks = Ranks.of_environment()
    options = _options(backend, device, threads, ranks)
    graph = load(file)
    pairs: Iterable[tuple[Any, ...]]
    if data is not None:
        x, *given = read_samples(data, samples)
        if graph.timing is None:
            graph = graph.replace(timing=Timing(x.shape[1], x.shape[1]))
        pairs, n = zip(x, *given, strict=True), len(x)
    else:
        with training_extra():
            from pumice.data.recipe import recorded_test
        root = None if data_root is None else str(data_root)
        recorded = recorded_test(graph, root, samples, settings or (), trust or ())
        pairs, n = recorded, len(recorded)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    hidden = not console.is_terminal or ranks.rank > 0
    bar = Progress(*columns, console=console, transient=True)
    # Not `disable=hidden`: rich 14 ends a hidden bar with an empty line all the same.
    with nullcontext() if hidden else bar, _folder(graph, ranks, parts) as folder:
        task = bar.add_task("samples", total=n)
        options |= {"check": checks, "readout": readout, "progress": lambda done: bar.update(task, completed=done)}
        if folder is None:
            result = pumice.evaluate(graph, pairs, **options)  # the package's, which loads numba when first used
        else:
            from pumice.backends.parts import evaluate_in_parts

            in_parts = evaluate_in_parts(graph, pairs, n, folder, ranks=ranks, **options)
            if in_parts is None:  # the first process prints
                return
            result = in_parts
    if as_json:
        print(json.dumps(_summary(graph, result)))
        print(_times(result), file=sys.stderr)
    else:
        print(_text(graph, result))


def _options(backend: str, device: str | None, threads: int | None, ranks: Ranks) -> dict[str, Any]:
    """Of `pumice.evaluate`: what runs the samples. Processes on one machine share its cores and its GPUs."""
    if device is not None and backend != "torch":
        raise InputError(f"--device belongs to --backend torch, not to {backend}")
    if backend == "fast":
        return {"threads": threads or max(1, available_cores() // ranks.local_world)}
    if threads is not None:
        raise InputError(f"--threads belongs to --backend fast, not to {backend}")
    if backend != "torch":
        return {"backend": get_backend(backend)}
    with training_extra():
        import torch

        from pumice.backends.torch import TorchBackend
    wants_gpu = device == "cuda" or (device in {None, "auto"} and torch.cuda.is_available())
    if ranks.world > 1 and wants_gpu:
        device = f"cuda:{ranks.local_rank % max(1, torch.cuda.device_count())}"
    return {"backend": TorchBackend(device or "auto")}


@contextmanager
def _folder(graph: Graph, ranks: Ranks, parts: Path | None) -> Iterator[Path | None]:
    """Where parts are kept: the user's folder, or, for several processes of one machine, one that is removed."""
    if parts is not None or ranks.world == 1:
        yield parts
        return
    if ranks.local_world < ranks.world:
        raise InputError(
            f"{ranks.world} processes on several machines need a folder that all of them see: give --parts DIR"
        )
    user = getattr(os, "getuid", lambda: 0)()
    of_torchrun = os.environ.get("TORCHELASTIC_RUN_ID", "")  # the same when it starts its processes again
    run = hashlib.sha256(repr([*graph_digests(graph).values(), sys.argv, of_torchrun]).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"pumice-evaluate-{user}-{run}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror or error}); give --parts DIR") from error
    if folder.is_symlink() or getattr(folder.stat(), "st_uid", user) != user:
        raise InputError(f"{folder} belongs to somebody else; give --parts DIR")
    yield folder  # stays where it is if this fails: what is done is not done again
    if ranks.rank == 0:
        shutil.rmtree(folder, ignore_errors=True)


def _summary(graph: Graph, result: Evaluation) -> dict[str, Any]:
    return {
        "samples": len(result.labels),
        **({"error": result.error} if result.has_targets else {"accuracy": result.accuracy}),
        "spikes_per_sample": {name: float(counts.mean()) for name, counts in result.spikes.items()},
        "synaptic_events_per_sample": {name: float(n.mean()) for name, n in result.synaptic_events.items()},
        "checked_values": dict(result.checked),
        "sample_steps": timing_of(graph).sample_steps,
    }


def _text(graph: Graph, result: Evaluation) -> str:
    table = Table("layer", "spikes / sample", "rate", "synaptic events / sample", box=None)
    steps = timing_of(graph).sample_steps
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
        score = f"root mean squared error {result.error:.6g} ({counted(n, 'sample')})"
    else:
        correct = int((result.predictions == result.labels).sum())
        score = f"accuracy {100 * result.accuracy:.2f} % ({correct} of {counted(n, 'sample')})"
    lines = [captured.get().rstrip(), score, _times(result)]
    lines += [f"{name}: equal on {counted(count, 'value')}" for name, count in result.checked.items()]
    return "\n".join(lines)


def _times(result: Evaluation) -> str:
    return (
        f"simulated in {result.seconds:.2f} s: {1e3 * result.seconds / len(result.labels):.3f} ms per sample; "
        f"prepared in {result.prepare_seconds:.1f} s before"
        + (" (a network's first run compiles loops, which are kept)" if result.prepare_seconds > COMPILING_S else "")
    )
