"""SLAYER's rule, STBP and HM2-BP on the same network, data, seeds and number of epochs: a table, and curves.

Each network is trained, lowered and run on the fast backend. "integers" is the accuracy of that graph on held-back
samples, "differ" the number of its integers that are not the trained network's (must be 0), "ms/step" the CPU time of
a forward and backward pass of one batch, "spikes" what all neurons fire together for one held-back sample.

    uv run python scripts/compare_rules.py nmnist=DIR fsdd=DIR --seeds 2 --plot tutorials/figures/rules.svg
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pumice.data import load_dataset
from pumice.data.encoding import encode
from pumice.errors import PumiceWarning
from pumice.nn.probes.firing import watch_firing
from pumice.pipeline import run_pipeline
from pumice.reporting.style import BLUE, INK, ORANGE, figure, save, styled
from pumice.train import find_recipe
from pumice.train.build import build_loss
from pumice.train.predict import to_tensor
from pumice.train.recipe import Recipe
from pumice.train.trained import Trained

RULES = {
    "SLAYER": (BLUE, ["neuron.gradient=slayer"]),
    "STBP": (ORANGE, ["neuron.gradient=stbp", "neuron.surrogate=rectangular", 'neuron.surrogate_args={"width": 8}']),
    "HM2-BP": (INK, ["neuron.gradient=hm2bp"]),
}
SHARED = [
    *("network.name=feedforward", "neuron.norm=none", "neuron.current_decay=1.0", "neuron.voltage_decay=0.05"),
    *(
        'network.args={"layers": 256, "thresholds": [4, 4]}',
        "training.initial_rate=0.05",
        "training.finetune_epochs=0",
    ),
    *("training.loss=count_margin", "training.weight_decay=0", "training.lr=4e-3", "training.batch_size=32"),
    "data.augment={}",
]
"""Of all rules and data: no norm and no bias (HM2-BP has none), a current without memory (STBP knows no other)."""
OWN = {
    "digits": [
        "data.steps=8",
        "training.epochs=10",
        'training.loss_args={"true_count": 5, "false_count": 0, "margin": 1}',
    ],
    "nmnist": ["training.epochs=15", 'training.loss_args={"true_count": 10, "false_count": 0, "margin": 1}'],
    "fsdd": ["training.epochs=25", 'training.loss_args={"true_count": 15, "false_count": 0, "margin": 1}'],
}
TIMED = 9


@dataclass(frozen=True)
class Found:
    """What one rule did with one seed: accuracies in per cent."""

    curve: list[float]
    integers: float
    differ: int
    milliseconds: float
    spikes: float


def compared(recipe: Recipe, dataset: Any) -> Found:
    """Train, lower and run; time a step, and count spikes."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", PumiceWarning)
        found = run_pipeline(recipe, dataset, Path(folder) / "network.net", backend="fast", lava_samples=0)
    return Found(
        [100 * float(record.test_accuracy or 0) for record in found.trained.history],
        100 * found.accuracy_deployed,
        found.differing_spikes + found.differing_states,
        step_milliseconds(found.trained),
        spikes_per_sample(found.trained),
    )


def step_milliseconds(trained: Trained) -> float:
    """Median CPU time of a forward and backward pass of a batch; other work of the machine does not count."""
    size, train = trained.recipe.training.batch_size, trained.dataset.train
    x = to_tensor(next(encode(trained.encoder, train.samples[:size])))
    labels = torch.from_numpy(np.asarray(train.labels[:size]).astype(np.int64))
    loss_of, times = build_loss(trained.recipe, trained.dataset), []
    trained.model.train()
    for _ in range(TIMED):
        start = time.process_time()
        loss_of(trained.model(x), labels).backward()
        times.append(time.process_time() - start)
    return 1000 * float(np.median(times))


def spikes_per_sample(trained: Trained) -> float:
    """Of all neurons together, over the held-back samples."""
    samples = trained.dataset.test.samples
    trained.model.eval()
    with watch_firing(trained.model) as firing, torch.no_grad():
        for batch in encode(trained.encoder, samples, batch_size=64):
            trained.model(to_tensor(batch))
    return sum(float(total) for total, _ in firing.take().values()) / len(samples)


def plot(found: dict[str, dict[str, list[Found]]], path: str) -> None:
    """One row for each data set: accuracy by epoch, time of a step, spikes of a sample."""
    with styled():
        fig = figure(8, 2.6 * len(found))
        rows = np.atleast_2d(np.array(fig.subplots(len(found), 3, width_ratios=[2.2, 1, 1])))
        for (data, rules), (curves, times, spikes) in zip(found.items(), rows, strict=True):
            for place, (name, runs) in enumerate(rules.items()):
                color, accuracy = RULES[name][0], np.array([run.curve for run in runs])
                epochs = np.arange(1, accuracy.shape[1] + 1)
                curves.plot(epochs, accuracy.mean(0), color=color, label=name)
                curves.fill_between(epochs, accuracy.min(0), accuracy.max(0), color=color, alpha=0.15, lw=0)
                times.bar(place, np.median([run.milliseconds for run in runs]), color=color)
                spikes.bar(place, np.mean([run.spikes for run in runs]), color=color)
            curves.set(title=data, xlabel="epoch", ylabel="recognised (%)")
            curves.legend(loc="lower right")
            for axes, title in ((times, "ms of a step"), (spikes, "spikes of a sample")):
                axes.set(title=title)
                axes.set_xticks(range(len(rules)), list(rules))
        save(fig, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="NAME[=DIR]", help=f"of {', '.join(OWN)}, with its folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change all recipes")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--plot", metavar="FILE", help="the picture, .svg or .png")
    options = parser.parse_args()
    print(f"{'':17} {'real %':>14} {'integers %':>14} {'differ':>7} {'ms/step':>8} {'spikes':>7} {'seconds':>8}")
    results: dict[str, dict[str, list[Found]]] = {}
    for given in options.data:
        data, _, folder = given.partition("=")
        if data not in OWN:
            parser.error(f"data must be one of {', '.join(OWN)}, got {data!r}")
        for rule, (_, settings) in RULES.items():
            start, runs = time.process_time(), []
            for seed in range(options.seeds):
                changes = [*SHARED, *OWN[data], *settings, *options.set, f"seed={seed}"]
                recipe = find_recipe(data).overridden(changes)
                runs.append(compared(recipe, load_dataset(data, folder or None, **recipe.data_arguments())))
            results.setdefault(data, {})[rule] = runs
            real, integers = np.array([run.curve[-1] for run in runs]), np.array([run.integers for run in runs])
            print(
                f"{data:8} {rule:8} {real.mean():7.2f} +-{real.std():5.2f} {integers.mean():7.2f} "
                f"+-{integers.std():5.2f} {sum(run.differ for run in runs):7} "
                f"{np.median([run.milliseconds for run in runs]):8.1f} {np.mean([run.spikes for run in runs]):7.0f} "
                f"{time.process_time() - start:8.0f}",
                flush=True,
            )
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
