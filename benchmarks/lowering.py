"""What it costs to lower networks of the papers' size, in seconds of the processor and memory.

    python benchmarks/lowering.py [--images 0] [--data-root DIR] [RECIPE ...]

Each recipe's network has its first weights and, as its norms need statistics, has seen one batch of test images; no
training is needed to time what follows. It is lowered (for no chip in particular: none holds these), certified over 4
samples by the reference, and saved; with `--images N`, N test images then run on the fast backend.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pumice
from pumice.backends.verify import certify
from pumice.data import load_dataset
from pumice.data.encoding import encode
from pumice.data.recipe.samples import build_encoder, prepare_data
from pumice.ir import to_stream, torch_to_lava
from pumice.pipeline.lowered import CERTIFICATE_SAMPLES
from pumice.train import find_recipe
from pumice.train.build import build_network

RECIPES = ("cifar10-stmixer-256", "cifar10-resnet19")


def timed(what: str, call: Callable[[], Any]) -> Any:
    """Its result, with a line that says what it took."""
    cpu, began = time.process_time(), time.perf_counter()
    result = call()
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {what}: {cpu:.1f} s of the processor, {seconds:.1f} s, {peak:.1f} GiB at the peak so far", flush=True)
    return result


def measure(name: str, images: int, root: str | None) -> None:
    recipe = find_recipe(name)
    dataset, _ = prepare_data(recipe, load_dataset(recipe.data.dataset, root))
    encoder = build_encoder(recipe, dataset)
    samples = dataset.test.first(max(images, 8)).samples
    x = torch_to_lava(np.concatenate([*encode(encoder, samples, seed=recipe.seed)]))
    example = torch.from_numpy(np.concatenate([*encode(encoder, samples[:8], seed=recipe.seed)])).float()
    model = build_network(recipe, dataset)
    with torch.no_grad():
        model.train()(example)
    size = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {size / 1e6:.1f} million parameters, {example.shape[-1]} steps", flush=True)
    graph = timed(
        "lowering",
        lambda: pumice.lower(model.eval(), example, input_range=encoder.value_range, chip=None),
    )
    graph = timed("certificate", lambda: certify(graph, to_stream(graph, x[:CERTIFICATE_SAMPLES])))
    with tempfile.TemporaryDirectory() as folder:
        timed("saving", lambda: pumice.save(graph, Path(folder) / "network.net"))
    if images:
        labels = dataset.test.first(images).labels
        result = timed(f"{images} images on fast", lambda: pumice.evaluate(graph, zip(x, labels, strict=False)))
        events = sum(int(count.sum()) for count in result.synaptic_events.values()) / images
        print(f"  {events / 1e6:.1f} million synaptic events an image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--data-root")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in chosen.recipes:
        measure(name, chosen.images, chosen.data_root)


if __name__ == "__main__":
    main()
