"""`pumice demo`: the whole road on bundled real data."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pumice.cli.progress import training_progress
from pumice.cli.training_extra import training_extra
from pumice.errors import CheckFailedError
from pumice.files.folders import make_folder
from pumice.names import counted

if TYPE_CHECKING:
    from pumice.pipeline import PipelineResult


def demo(
    *,
    report: Annotated[Path, typer.Option(metavar="DIR", help="Where the report and the network go.")] = Path(
        "report"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; may be repeated.")
    ] = None,
    lava_samples: Annotated[int, typer.Option(min=1, help="Test samples that run on Lava.")] = 100,
) -> None:
    """Train on real digits, lower, write a .net file, run it on Lava, prove it exact, write a report."""
    with training_extra():
        import pumice.reporting.training  # noqa: F401
        from pumice.data import load_dataset
        from pumice.pipeline import run_pipeline
        from pumice.reporting import report as write_report
        from pumice.train import PRESETS, total_batches
    recipe = PRESETS["digits"].overridden(settings or [])
    dataset = load_dataset(recipe.data.dataset)
    make_folder(report)
    with training_progress(total_batches(recipe, dataset)) as progress, contextlib.redirect_stdout(sys.stderr):
        result = run_pipeline(
            recipe,
            dataset,
            report / "network.net",
            lava_samples=lava_samples,
            on_stage=progress.stage,
            on_epoch=progress.epoch,
            on_batch=progress.batch,
        )
        progress.stage("write the report")
        page = report / "report.html"
        write_report(result, page, samples=len(dataset.test))
    print(json.dumps(result.summary()) if as_json else _text(result, page))
    if not result.is_exact:
        raise CheckFailedError(
            f"{result.differing_spikes} spikes and {result.differing_states} states differ; "
            f"{page} counts them by layer"
        )


def _text(result: PipelineResult, page: Path) -> str:
    return (
        f"accuracy on {result.test_samples} held-back digits: {100 * result.accuracy_float:.2f} % in real numbers, "
        f"{100 * result.accuracy_deployed:.2f} % in the chip's integers\n"
        f"{counted(result.compared_values, 'integer')} compared, every layer at every step: "
        f"{result.differing_spikes} spikes "
        f"and {result.differing_states} states differ\n"
        f"  (reference and torch on all samples, Lava on {result.lava_samples} of them, back to back)\n"
        f"network: {result.path}\n"
        f"report: {page}\n"
        f"{result.seconds:.0f} seconds"
    )
