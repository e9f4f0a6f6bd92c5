"""`pumice plan`: will a network fit a chip, how fast, at what energy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pumice.cli.arrays import read_samples, read_stream
from pumice.cli.inspect import check_shape, parse_shape
from pumice.errors import CheckFailedError, InputError
from pumice.hardware.profile import load_profile
from pumice.ir import Timing, to_stream
from pumice.netx import load

if TYPE_CHECKING:
    from pumice.planner import Comparison, Plan


def plan(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.net", help="The network.")],
    input_: Annotated[
        Path | None,
        typer.Option("--input", metavar="X.npy", help="Stream to count spikes on; by default the certificate's."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="X.npz", help="Samples `x` (and `labels`) to count spikes on.")
    ] = None,
    board: Annotated[
        str, typer.Option(help="oheogulch, kapoho-point, vpx16, alia-point or hala-point.")
    ] = "oheogulch",
    io: Annotated[
        str | None,
        typer.Option(help="How values come and go: none, embedded, ethernet or python (the default of --measured)."),
    ] = None,
    compiler: Annotated[str, typer.Option(help="Rules of the chip's compilers: 2023 (and later) or 2022.")] = "2023",
    constants: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Budgets and costs of your own, see docs/plan.md.")
    ] = None,
    input_shape: Annotated[
        str | None, typer.Option(metavar="X,Y,C", help="For files that do not state their input's shape.")
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(metavar="P.json", help="What `pumice run --backend loihi2 --profile` wrote: lay it beside."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Also print each constant and its source.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write a page with a picture of the chip's cores.")
    ] = None,
) -> None:
    """Say whether FILE.net fits a board with Loihi 2, and estimate time and energy. Exit code 1 if it does not fit.

    An estimate, made without a chip. How a network becomes integers is another plan: `pumice lower --plan`.
    """
    from pumice.planner import compare
    from pumice.planner import plan as make_plan
    from pumice.planner.page import write_page
    from pumice.planner.text import as_table_of_constants

    if input_ is not None and data is not None:
        raise InputError("give --input or --data, not both")
    x = None if input_ is None else read_stream(input_, None)
    asked = parse_shape(input_shape)
    graph = load(file, input_shape=asked or (None if x is None else x.shape[1:]))
    check_shape(file, asked, graph)
    graph = graph.replace(info={**graph.info, "name": graph.info.get("name", file.name)})
    if data is not None:
        samples = read_samples(data, None)[0]
        if graph.timing is None:
            graph = graph.replace(timing=Timing(samples.shape[1], samples.shape[1]))
        x = to_stream(graph, samples)
    profile = None if measured is None else load_profile(measured)
    default = "none" if profile is None else "python"
    path = default if io is None else io
    made = make_plan(graph, x, board=board, io=path, compiler=compiler, constants=constants)
    beside = None if profile is None else compare(made, profile)
    print(_json(made, beside) if as_json else made)
    if beside is not None and not as_json:
        print(f"\n{beside}")
    if explain and not as_json:
        print("\n" + as_table_of_constants(made))
    if report is not None:
        page = write_page(made, report)
        if not as_json:
            print(f"\n{page}")
    if not made.fits:
        raise CheckFailedError(
            f"{file}: does not fit {made.board.title}: {made.violations[0]}{_more(made.violations)}"
        )


def _json(made: Plan, beside: Comparison | None) -> str:
    return made.to_json() if beside is None else json.dumps({**made.as_dict(), "measured": beside.as_dict()})


def _more(violations: Sequence[object]) -> str:
    return f" (and {len(violations) - 1} more)" if violations[1:] else ""
