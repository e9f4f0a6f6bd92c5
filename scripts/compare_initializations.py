"""Deep chains of spiking layers with and without norms: firing rates, gradients, and what they learn.

Dense layers on the bundled 8x8 digits, with four beginnings: SLAYER's weights and tdBN; the same without a norm
("plain"); weights that bring each layer to a rate on a batch ("by data", pumice.train.initialize_by_data_); and
weights drawn by theory ("moments", pumice.train.moment_preserving_). Before training: the rates of the first, middle
and last hidden layer, and the norm of the loss's gradient by the current into the first layer, over that by the last
hidden layer's (1 is a network that keeps gradients). After training: accuracy on the test split in real numbers, and
of the integer graph that comes of it with no fine-tuning; "differ" counts its integers that differ from the deployed
torch network's, or from Lava's on one sample (must be 0).

Zheng, Wu, Deng, Hu, Li: Going Deeper With Directly-Trained Larger Spiking Neural Networks, AAAI 2021; Klambauer,
Unterthiner, Mayr, Hochreiter: Self-Normalizing Neural Networks, NeurIPS 2017.

    uv run python scripts/compare_initializations.py --layers 10 20 30 --epochs 20
    uv run python scripts/compare_initializations.py --layers 30 --epochs 0         # rates and gradients only
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from pumice.data import load_digits
from pumice.errors import PumiceWarning
from pumice.nn.probes.firing import watch_firing
from pumice.pipeline import run_pipeline
from pumice.train import Recipe, initialize_by_data_, moment_preserving_
from pumice.train.build import build_loss, build_network, example_input

RATE = 0.15
BEGINNINGS: dict[str, list[str]] = {
    "tdBN": ["neuron.norm=tdbn"],
    "plain": ["neuron.norm=none"],
    "by data": ["neuron.norm=none", f"training.initial_rate={RATE}"],
    "moments": ["neuron.norm=none", "training.initial_current=1"],
}


def recipe_of(beginning: str, layers: int, options: argparse.Namespace) -> Recipe:
    """Neurons of the tdBN paper, in units of their threshold; graded pixels need a larger one in the first layer.

    The loss asks for rates: cross-entropy of counts lets the output fall silent first, where no gradient comes from.
    """
    recipe = Recipe(
        name="chain",
        seed=options.seed,
        data={"steps": options.steps},
        neuron={"threshold": 1.0, "surrogate": "rectangular", "surrogate_args": {"width": 2.0}},
        network={
            "name": "feedforward",
            "args": {"layers": "-".join([str(options.width)] * layers), "thresholds": [2.0] + [1.0] * layers},
        },
        training={
            "epochs": max(1, options.epochs),
            "finetune_epochs": 0,
            "lr": options.lr,
            "weight_decay": 1e-4,
            "loss": "spike_rate",
        },
    )
    return recipe.overridden([*BEGINNINGS[beginning], *options.set])


def before_training(recipe: Recipe) -> tuple[list[float], list[float]]:
    """Rates of all layers, and norms of the loss's gradient by the current into each."""
    dataset = load_digits()
    model, x = build_network(recipe, dataset), example_input(recipe, dataset, recipe.training.batch_size)
    with torch.no_grad():
        model(x)
    torch.manual_seed(recipe.seed)
    if recipe.training.initial_rate is not None:
        initialize_by_data_(model, x, recipe.training.initial_rate)
    if recipe.training.initial_current is not None:
        moment_preserving_(model, x, recipe.training.initial_current)
    currents: list[torch.Tensor] = []

    def keep(_module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        args[0].retain_grad()
        currents.append(args[0])

    handles = [block.neuron.register_forward_pre_hook(keep) for block in model if hasattr(block, "neuron")]
    with watch_firing(model.train()) as firing:
        spikes = model(x)
        labels = torch.from_numpy(dataset.train.labels[: len(x)])
        build_loss(recipe, dataset)(spikes, labels).backward()
    for handle in handles:
        handle.remove()
    return list(firing.rates().values()), [float(current.grad.norm()) for current in currents]


def learned(recipe: Recipe) -> tuple[float, float, int]:
    """Accuracy in per cent in real numbers and of the graph, and how many of its integers differ."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", PumiceWarning)
        found = run_pipeline(recipe, load_digits(), Path(folder) / "chain.net", backend="fast", lava_samples=1)
    return 100 * found.accuracy_float, 100 * found.accuracy_deployed, found.differing_spikes + found.differing_states


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="+", default=[10, 20, 30], help="hidden layers")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=20, help="0: rates and gradients only")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=list(BEGINNINGS), choices=list(BEGINNINGS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"T = {options.steps}, {options.width} neurons a layer, {options.epochs} epochs")
    print("layers  beginning   rate first middle  last   gradient first/last   float %  graph %  differ  seconds")
    for layers in options.layers:
        for beginning in options.only:
            start = time.perf_counter()
            recipe = recipe_of(beginning, layers, options)
            rates, norms = before_training(recipe)
            ratio = norms[0] / norms[-2] if norms[-2] else float("nan")
            shown = " ".join(f"{rate:6.3f}" for rate in (rates[0], rates[layers // 2], rates[-2]))
            line = f"{layers:6}  {beginning:9}       {shown}   {ratio:19.2e}"
            if options.epochs:
                real, graph, differ = learned(recipe)
                line += f"   {real:7.2f}  {graph:7.2f}  {differ:6}"
            print(f"{line}  {time.perf_counter() - start:7.0f}", flush=True)


if __name__ == "__main__":
    main()
