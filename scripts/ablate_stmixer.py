"""A Spiking Token Mixer with and without surrogate modules, and with and without the short path: a small table.

Surrogate modules ("SML") have GELU and batch norm, or, self-normalizing, SELU and no norm.

The setting of Deng, Wu, Du, Gu (Spiking Token Mixer, NeurIPS 2024), on a recipe. Each row is trained, deployed,
lowered and run on the fast backend; "deployed" is the accuracy of that integer graph, "differ" the number of its
integers that differ from the deployed PyTorch network's, or Lava's on one sample (must be 0).

    uv run python scripts/ablate_stmixer.py digits-stmixer --seeds 3 --plot ablation.svg
    uv run python scripts/ablate_stmixer.py digits-stmixer --seeds 3 --only complete "SML with SELU" "without SML"
    uv run python scripts/ablate_stmixer.py mnist-stmixer --data-root DIR --set data.max_train=10000
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pumice.data import load_dataset
from pumice.errors import PumiceWarning
from pumice.pipeline import run_pipeline
from pumice.reporting.style import BLUE, ORANGE, figure, save, styled
from pumice.train import find_recipe
from pumice.train.recipe import Recipe

ROWS: dict[str, dict[str, bool | str]] = {
    "complete": {"surrogates": True},
    "SML with SELU": {"surrogates": True, "surrogate_activation": "selu"},
    "without SML": {"surrogates": False},
    "without short path": {"surrogates": True, "short_path": False},
    "without both": {"surrogates": False, "short_path": False},
    "without bias": {"surrogates": True, "bias": False},
}


def row(recipe: Recipe, options: dict[str, bool | str], seed: int, data_root: str | None) -> tuple[float, float, int]:
    """Accuracy in per cent in real numbers and of the graph, and the number of integers that differ."""
    settings = [f"network.args.{name}={str(value).lower()}" for name, value in options.items()]
    changed = recipe.overridden([*settings, f"seed={seed}"])
    dataset = load_dataset(changed.data.dataset, data_root, **changed.data.args)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", PumiceWarning)
        found = run_pipeline(changed, dataset, Path(folder) / "network.net", backend="fast", lava_samples=1)
    return 100 * found.accuracy_float, 100 * found.accuracy_deployed, found.differing_spikes + found.differing_states


def plot(found: dict[str, Any], path: str) -> None:
    """Mean and standard deviation over the seeds."""
    with styled():
        fig = figure(7, 3)
        axes = fig.subplots()
        places = np.arange(len(found))
        for column, (name, color) in enumerate((("real numbers", BLUE), ("chip's integers", ORANGE))):
            values = np.array([rows[:, column] for rows in found.values()])
            at = places + 0.17 * (1 - 2 * column)
            axes.errorbar(values.mean(1), at, xerr=values.std(1), fmt="o", color=color, label=name, capsize=2)
        axes.set_yticks(places, list(found))
        axes.invert_yaxis()
        axes.set(xlabel="held-back samples recognised (%)")
        axes.legend()
        save(fig, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="a preset or a file that trains an stmixer")
    parser.add_argument("--data-root", help="folder with the dataset's files")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="these rows")
    parser.add_argument("--plot", metavar="FILE", help="the picture, .svg or .png")
    options = parser.parse_args()
    recipe = find_recipe(options.recipe).overridden(options.set)
    print(f"{'':20} {'float %':>14} {'deployed %':>14} {'differ':>7} {'seconds':>8}")
    found = {}
    for name in options.only:
        start = time.perf_counter()
        found[name] = np.array([row(recipe, ROWS[name], seed, options.data_root) for seed in range(options.seeds)])
        (real, deployed, _), spread = found[name].mean(0), found[name].std(0)
        print(
            f"{name:20} {real:7.2f} +-{spread[0]:5.2f} {deployed:7.2f} +-{spread[1]:5.2f} "
            f"{int(found[name][:, 2].sum()):7} {time.perf_counter() - start:8.0f}",
            flush=True,
        )
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
