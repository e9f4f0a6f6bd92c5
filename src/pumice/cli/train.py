"""`pumice train`: a recipe becomes a checkpoint."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pumice.cli.progress import training_progress
from pumice.cli.training_extra import training_extra
from pumice.errors import InputError
from pumice.names import counted

if TYPE_CHECKING:
    from pumice.train import Trained

_PRESETS = Path(__file__).parents[1] / "train" / "recipe" / "presets"
PRESET_NAMES = sorted(path.stem for path in _PRESETS.glob("*.toml"))


def train(
    *,
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help=f"A .toml or .json file (`pumice new` writes one), or a preset: {', '.join(PRESET_NAMES)}.",
        ),
    ],
    data_root: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the dataset's files.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; may be repeated.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint, if there is one.")] = False,
    extend: Annotated[
        bool, typer.Option("--extend", help="Go on with the finished run of the checkpoint: more epochs, another lr.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The checkpoint; by default runs/NAME/checkpoint.pt."),
    ] = None,
) -> None:
    """Train the network that RECIPE describes; checkpoint and logs are written after every epoch."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # huge pages for large tensors; torch reads it when it starts
    with training_extra():
        from pumice.data import load_dataset
        from pumice.train import find_recipe, load_checkpoint, total_batches
        from pumice.train import train as run_training
        from pumice.train.runtime.fabric import is_first_process
    wanted = find_recipe(recipe).overridden(settings or [])
    path = output or Path("runs") / wanted.name / "checkpoint.pt"
    if path.exists() and not resume and not extend:
        raise InputError(
            f"{path} exists; continue it with --resume, go on with it once it is finished with --extend, or choose "
            "another place with --output"
        )
    if extend and not path.exists():
        raise InputError(f"--extend: there is no finished run at {path}")
    checkpoint = load_checkpoint(path) if path.exists() else None
    dataset = load_dataset(wanted.data.dataset, data_root, **wanted.data_arguments())
    done = (len(checkpoint.history), checkpoint.position.batches) if checkpoint else (0, 0)
    total = total_batches(wanted, dataset, epochs_done=done[0], batches_done=done[1])
    try:
        with training_progress(total, quiet=not is_first_process()) as progress:
            trained = run_training(
                wanted,
                dataset,
                checkpoint_path=path,
                resume_from=checkpoint,
                extend=extend,
                on_epoch=progress.epoch,
                on_batch=progress.batch,
            )
    except KeyboardInterrupt:
        goes_on = f"the same with --resume goes on from {path}" if path.exists() else "nothing is written yet"
        raise InputError(f"interrupted; {goes_on}") from None
    if is_first_process():
        print(_text(path, trained))
        if trained.accuracy_deployed is not None or trained.error_deployed is not None:
            print(f"pumice lower {shlex.quote(str(path))} -o {wanted.name}.net")


def _text(path: Path, trained: Trained) -> str:
    text = f"{path}: {counted(len(trained.history), 'epoch')}, "
    if trained.error_float is not None:
        text += f"root mean squared error of the test split {trained.error_float:.4g} in real numbers"
        return text + ("" if trained.error_deployed is None else f", {trained.error_deployed:.4g} in integers")
    text += f"test accuracy {100 * trained.accuracy_float:.2f} % in real numbers"
    if trained.accuracy_deployed is not None:
        text += f", {100 * trained.accuracy_deployed:.2f} % in the chip's integers"
    return text
