"""`pumice sweep`: one recipe, many settings."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pumice.cli.training_extra import training_extra
from pumice.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from pumice.sweep import Sweep, Trial


def sweep(
    *,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A .toml or .json file, or a preset.")],
    over: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=LOW..HIGH|A,B,C",
            help="What to try: training.lr=1e-4..1e-2 (by orders of magnitude, as the ends are 10 times apart), "
            "training.batch_size=16..64 (integers), neuron.threshold=0.5,1.0; may be repeated, or several in a row.",
        ),
    ],
    more: Annotated[list[str] | None, typer.Argument(metavar="[KEY=...]", help="More of --over.")] = None,
    trials: Annotated[int, typer.Option(help="Until so many trials have begun, those of other processes too.")] = 20,
    sampler: Annotated[str, typer.Option(metavar="tpe|random|grid", help="How settings are chosen.")] = "tpe",
    data_root: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the dataset's files.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; may be repeated.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="By default runs/NAME-sweep.")
    ] = None,
    submit: Annotated[
        int, typer.Option(help="Do not work here, but submit so many jobs that do, with submitit (SLURM).")
    ] = 0,
    submit_options: Annotated[
        list[str] | None,
        typer.Option("--submit-option", metavar="NAME=VALUE", help="Of submitit: slurm_partition=gpu."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trials as JSON.")] = False,
) -> None:
    """Train RECIPE with many settings, and say which are best on data that is kept from training.

    The same command goes on with what was ended, and may be started any number of times at once: all share the work.
    """
    if trials < 1 or submit < 0:
        raise InputError(f"--trials must be at least 1 and --submit at least 0, got {trials} and {submit}")
    with training_extra():
        from pumice.data import load_dataset
        from pumice.sweep import Sweep, parse_space
        from pumice.sweep.picture import save_picture
        from pumice.train import find_recipe
    wanted = find_recipe(recipe).overridden(settings or [])
    folder = output or Path("runs") / f"{wanted.name}-sweep"
    study = Sweep(wanted, parse_space([*over, *(more or [])]), folder, sampler=sampler)
    if submit:
        _submit(submit, folder, submit_options or [])
        return
    console = Console(stderr=True)
    try:
        study.run(
            trials,
            lambda of_trial: load_dataset(of_trial.data.dataset, data_root, **of_trial.data_arguments()),
            lambda trial: console.print(_line(trial), markup=False, highlight=False),
        )
    except KeyboardInterrupt:
        raise InputError(f"interrupted; the same command goes on with {folder}") from None
    save_picture(study, folder / "sweep.svg")
    print(json.dumps(_summary(study)) if as_json else _text(study))
    if study.best() is None and all(trial.is_done for trial in study.trials()):
        raise InputError(f"no trial could be trained; what each ended in is said above, and in {folder}")


def _line(trial: Trial) -> str:
    settings = ", ".join(f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
                         for key, value in trial.settings.items())  # fmt: skip
    return f"trial {trial.number}: {trial.why or f'{trial.value:.4f}'} with {settings}"


def _summary(study: Sweep) -> dict[str, Any]:
    best = study.best()
    return {
        "best": None if best is None else best.number,
        "trials": [
            {"number": t.number, "settings": dict(t.settings), "value": t.value, "why": t.why} for t in study.trials()
        ],
    }


def _text(study: Sweep) -> str:
    best, name = study.best(), study.recipe.name
    table = Table("trial", *study.space, "validation", box=None)
    ended = [trial for trial in study.trials() if trial.is_done]
    for trial in sorted(ended, key=lambda t: (t.value is None, t != best, t.number)):
        figure = trial.why if trial.value is None else f"{trial.value:.4f}" + " (best)" * (trial == best)
        values = [trial.settings.get(key, "") for key in study.space]
        shown = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
        table.add_row(str(trial.number), *shown, figure)
    console = Console(width=118)
    with console.capture() as captured:
        console.print(table, markup=False)
    lines = [captured.get().rstrip(), f"picture: {study.folder / 'sweep.svg'}"]
    if best is not None:
        lines.append(f"pumice lower {shlex.quote(str(study.checkpoint(best)))} -o {name}.net")
    return "\n".join(lines)


def _submit(jobs: int, folder: Path, options: list[str]) -> None:
    """Let so many jobs run this very command without --submit."""
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise MissingExtraError("submitit", "sweep", "--submit") from error
    given: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise InputError(f"--submit-option {option}: expected NAME=VALUE, for example slurm_partition=gpu")
        given[name] = int(value) if value.lstrip("-").isdigit() else value
    cluster = given.pop("cluster", None)
    command = [sys.executable, "-m", "pumice", *_without_submit(sys.argv[1:])]
    try:
        executor = submitit.AutoExecutor(folder=folder / "jobs", cluster=cluster)
        executor.update_parameters(**given)
        with executor.batch():
            started = [executor.submit(submitit.helpers.CommandFunction(command)) for _ in range(jobs)]
    except (RuntimeError, NameError, TypeError, ValueError) as error:
        raise InputError(f"--submit: {error}") from error
    print(f"submitted {', '.join(job.job_id for job in started)}; what they print is in {folder / 'jobs'}")


def _without_submit(arguments: list[str]) -> list[str]:
    """The command's arguments but those of submitting."""
    kept, rest = [], iter(arguments)
    for argument in rest:
        name, equals, _ = argument.partition("=")
        if name not in {"--submit", "--submit-option"}:
            kept.append(argument)
        elif not equals:
            next(rest, None)  # its value
    return kept
