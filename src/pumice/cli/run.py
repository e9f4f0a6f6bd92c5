"""`pumice run`: run a network on a stream."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from pumice.backends import BACKENDS_HELP, DEFAULT, get_backend
from pumice.backends.base import AbstractBackend
from pumice.cli.arrays import check_result_path, read_stream, write_result
from pumice.cli.options import AsStock
from pumice.errors import InputError, PumiceWarning
from pumice.files.write import write_bytes
from pumice.ir import Direct, Graph, with_reset_schedule
from pumice.names import counted
from pumice.netx import load


def run(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.net", help="The network.")],
    input_: Annotated[Path, typer.Option("--input", metavar="X.npy", help="Integers, shape (T, *input shape).")],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="Y.npz", help="Where the spikes go; of several outputs, also each as NAME/s."
        ),
    ],
    steps: Annotated[int | None, typer.Option(help="Steps to run; by default all of X.npy.")] = None,
    backend: Annotated[str, typer.Option(help=f"One of: {BACKENDS_HELP}.")] = DEFAULT,
    reset_interval: Annotated[int | None, typer.Option(help="Reset the neurons every so many steps.")] = None,
    reset_offset: Annotated[int | None, typer.Option(help="Phase of the resets, as in stock netx.")] = None,
    input_message_bits: Annotated[
        int | None, typer.Option(help="0: every non-zero input is one spike; more: input values count.")
    ] = None,
    num_layers: Annotated[int | None, typer.Option(help="Of a stock file: the first layers only.")] = None,
    skip_layers: Annotated[int, typer.Option(help="Of a stock file: without so many layers at the start.")] = 0,
    spike_exp: Annotated[
        int | None, typer.Option(help="Of a stock file: fraction bits of what sigma-delta neurons send.")
    ] = None,
    as_stock: AsStock = False,
    profile: Annotated[
        Path | None,
        typer.Option(metavar="P.json", help="On a chip: also measure power, time, memory and activity; write them."),
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Also write s, u, v of every population.")] = False,
) -> None:
    """Run FILE.net on X.npy and write the output spikes to Y.npz."""
    check_result_path(output)  # before the work
    chosen = get_backend(backend) if profile is None else _profiling(backend)
    x = read_stream(input_, steps)
    graph = load(
        file,
        as_stock=as_stock,
        input_shape=x.shape[1:],
        input_message_bits=input_message_bits,
        num_layers=num_layers,
        skip_layers=skip_layers,
        spike_exp=spike_exp,
    )
    graph = _with_resets(graph, reset_interval, reset_offset)
    _warn_about_values(graph, x)
    result = chosen.run(graph, x, record=record)
    write_result(output, result)
    what = (
        "non-zero output value"
        if any(graph.population(name).sends_values for name in result.outputs)
        else "output spike"
    )
    sent = counted(sum(int(np.count_nonzero(values)) for values in result.outputs.values()), what)
    print(f"{output}: {counted(len(x), 'step')}, {sent} ({chosen.name})")
    if profile is not None and result.profile is not None:
        from pumice.planner import compare, plan

        write_bytes(profile, result.profile.to_json().encode())
        print(f"{profile}: what was measured; beside the plan (pumice plan --measured):\n")
        print(compare(plan(graph, x, io="python"), result.profile))


def _profiling(backend: str) -> AbstractBackend:
    """The chip's backend, with all of its probes."""
    if backend != "loihi2":
        raise InputError(f"--profile needs --backend loihi2, got {backend}: only a chip measures anything")
    get_backend(backend)  # or says what is missing
    from pumice.backends.loihi2 import PROBES, Loihi2Backend

    return Loihi2Backend(PROBES)


def _with_resets(graph: Graph, interval: int | None, offset: int | None) -> Graph:
    """What stock `Network(reset_interval=, reset_offset=)` means: an input layer with neurons resets first."""
    if interval is None:
        if offset is not None:
            raise InputError("--reset-offset needs --reset-interval")
        return graph
    if interval < 1 or (offset or 0) < 0:
        raise InputError(f"--reset-interval must be >= 1 and --reset-offset >= 0, got {interval} and {offset}")
    direct = any(isinstance(s, Direct) for s in graph.synapses)
    return with_reset_schedule(graph, interval, (offset or 0) + direct)


def _warn_about_values(graph: Graph, x: npt.NDArray[np.integer[Any]]) -> None:
    counts_spikes = any(not s.graded for s in graph.out_of(graph.input.name))
    if counts_spikes and x.size and (x.min() < 0 or x.max() > 1):
        warnings.warn(
            f"the input holds values from {x.min()} to {x.max()}, and each counts as one spike; "
            "use --input-message-bits 8 (or more) if values are meant",
            PumiceWarning,
            stacklevel=2,
        )
