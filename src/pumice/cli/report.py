"""`pumice report`: one page about a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pumice.backends import BACKENDS_HELP
from pumice.cli.arrays import read_samples
from pumice.cli.options import Trust
from pumice.cli.training_extra import training_extra
from pumice.errors import CheckFailedError
from pumice.names import counted

if TYPE_CHECKING:
    from pumice.reporting.findings import Findings


def report(
    *,
    source: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT|RUN-FOLDER|FILE.net", help="What `pumice train` or `pumice lower` wrote."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.html", help="The page.")] = Path(
        "report.html"
    ),
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="X.npz",
            help="Arrays `x` (n, T, *input shape), `labels` (n,), perhaps `lengths` (n,). By default the test split "
            "of the recipe's data, or else the certificate's input, or else random input.",
        ),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="OTHER", help="A second network, laid beside the first.")
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder with the data that the network was trained on.")
    ] = None,
    samples: Annotated[int, typer.Option(help="At most so many samples run.")] = 1000,
    shown: Annotated[int, typer.Option(help="So many samples can be looked at step by step, 1 to 32.")] = 4,
    check: Annotated[
        list[str] | None,
        typer.Option(help=f"Also hold this backend to the reference; one of: {BACKENDS_HELP}."),
    ] = None,
    readout: Annotated[
        str, typer.Option(metavar="sent|voltage|current|STATE", help="See `pumice evaluate`.")
    ] = "sent",
    trust: Trust = None,
) -> None:
    """Write one page about a network: answers, spikes, dead neurons, bits, exactness, chip. Exit code 1: inexact."""
    from pumice.reporting import report as write_report
    from pumice.reporting.page import page_path
    from pumice.reporting.sources import find_file, is_network

    page_path(output)  # before the work
    files = [find_file(path) for path in (source, compare) if path is not None]
    if not all(map(is_network, files)):
        with training_extra():
            import pumice.reporting.training  # noqa: F401
    given = None if data is None else list(zip(*read_samples(data, samples), strict=True))
    found = write_report(
        source,
        output,
        data=given,
        compare=compare,
        data_root=data_root,
        samples=samples,
        shown=shown,
        check=check or (),
        readout=readout,
        trust=trust or (),
    )
    both = [(source, found), *([] if compare is None or found.beside is None else [(compare, found.beside)])]
    for path, one in both:
        for note in one.source.notes:
            print(note if compare is None else f"{path}: {note}")
        of = f" of {path}" if compare is not None else ""
        print(f"{output}: {one.compared:,} integers{of} compared, {one.differing:,} differ; {_answered(one)}")
    for path, one in both:
        if not one.is_exact:
            what = f"{one.differing:,} integers differ" if one.differing else "its certificate does not hold"
            raise CheckFailedError(f"{path}: {what}; see {output}")


def _answered(found: Findings) -> str:
    evaluation, n = found.evaluation, counted(len(found.evaluation.labels), "sample")
    if not found.source.has_labels:
        return f"{n} without labels"
    if evaluation.has_targets:
        return f"root mean squared error {evaluation.error:.4g} on {n}"
    return f"{100 * evaluation.accuracy:.2f} % of {n} right"
