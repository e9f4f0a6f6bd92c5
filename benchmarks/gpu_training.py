"""`gpu.py`, stage `train`: a preset, for the time that is left."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_timing import elapsed_seconds

from pumice.data import Dataset, ImageDataset, Split, load_dataset
from pumice.data.recipe import prepare_data
from pumice.errors import InputError
from pumice.train import Recipe, train
from pumice.train.build import build_network
from pumice.train.recipe.presets import find_recipe

PART_BYTES, HEADER_BYTES = 15_000_000, 128  # of a file, and of what NumPy writes before an array of one axis
TOY_SIZES: dict[str, dict[str, Any]] = {"resnet": {"width": 1 / 16}, "stmixer": {"embed_dim": 16, "heads": 2}}


def training(args: argparse.Namespace, device: torch.device) -> None:
    """A preset, with as many epochs as the time allows."""
    recipe, data = toy(args.recipe) if args.toy else real_recipe(args)
    model = build_network(recipe, prepare_data(recipe, data)[0])
    recipe = with_graphs(recipe, data)
    seconds = epoch_seconds(recipe, data)
    left = 60 * args.minutes - elapsed_seconds() - 10
    epochs = 2 if args.toy else max(1, int(0.97 * left / seconds) - 3 * args.finetune_epochs)
    print(f"an epoch takes about {seconds:.1f} s; {left:.0f} s are left for {epochs} epochs", flush=True)
    values = recipe.model_dump()
    values["training"].update(epochs=epochs, finetune_epochs=1 if args.toy else args.finetune_epochs)
    recipe = Recipe(**values)
    (args.out / "recipe.json").write_text(json.dumps(values, indent=1))
    saved = [time.perf_counter()]

    def on_epoch(record: Any) -> None:
        now = time.perf_counter()
        print(f"{elapsed_seconds():5.0f} s {record.phase} {record.epoch:3}: loss {record.loss:.4f}, train "
              f"{record.train_accuracy:.4f}, test {record.test_accuracy:.4f}", flush=True)  # fmt: skip
        last = record.phase == "float" and record.epoch == epochs
        if last or now - saved[0] > 120:
            save(model, args.out)
            saved[0] = time.perf_counter()

    train(recipe, data, model=model, on_epoch=on_epoch)
    print(f"{elapsed_seconds():.0f} s: weights in {args.out}")


def real_recipe(args: argparse.Namespace) -> tuple[Recipe, Dataset]:
    """The preset and its data."""
    batch = [] if args.batch is None else [f"training.batch_size={args.batch}"]
    recipe = find_recipe(args.recipe).overridden([*batch, *args.set])
    return recipe, load_dataset(recipe.data.dataset, args.data_root, **recipe.data_arguments())


def toy(name: str) -> tuple[Recipe, Dataset]:
    """A preset for CIFAR-10 with a small network of the same kind, on a handful of noise."""
    recipe = find_recipe(name)
    if recipe.data.dataset != "cifar10" or recipe.network.name not in TOY_SIZES:
        raise SystemExit(f"--toy has no size for {name}; it takes presets for CIFAR-10 of {', '.join(TOY_SIZES)}")
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (16, 3, 32, 32)).astype(np.uint8), rng.integers(0, 10, 16))
    names = tuple(map(str, range(10)))
    small = changed(
        recipe,
        data={"workers": 0},
        network={"args": {**recipe.network.args, **TOY_SIZES[recipe.network.name]}},
        training={"batch_size": 8},
        compute={"precision": "32-true", "cuda_graphs": False},
    )
    return small, ImageDataset("noise", split, split, names, (0, 255), source="drawn here")


def with_graphs(recipe: Recipe, data: Dataset) -> Recipe:
    """The recipe with CUDA graphs, where they work."""
    if not torch.cuda.is_available():
        return recipe
    graphed = changed(recipe, compute={"cuda_graphs": True})
    few = {"max_train": 5 * recipe.training.batch_size, "max_test": 10}
    try:
        train(changed(graphed, data=few, training={"epochs": 1, "finetune_epochs": 0}), data)
    except (RuntimeError, InputError) as error:
        print(f"no CUDA graphs: {str(error)[:600]}")
        return changed(recipe, compute={"cuda_graphs": False})
    return graphed


def epoch_seconds(recipe: Recipe, data: Dataset) -> float:
    """Seconds of an epoch, from its second fifty batches; a second more for its workers and its test."""
    ends: list[float] = []
    batch = recipe.training.batch_size
    few = min(104 * batch, len(data.train))
    training = {"epochs": 1, "finetune_epochs": 0, "warmup_epochs": 0.0}
    limited = changed(recipe, data={"max_train": few, "max_test": 10}, training=training)
    train(limited, data, on_batch=lambda: ends.append(time.perf_counter()))
    first = 49 if len(ends) > 99 else 0  # behind every fiftieth, figures are brought from the GPU
    last = 99 if len(ends) > 99 else len(ends) - 1
    return (ends[last] - ends[first]) / max(1, last - first) * len(data.train) / batch + 1


def changed(recipe: Recipe, **sections: dict[str, Any]) -> Recipe:
    """The recipe with other values."""
    values = recipe.model_dump()
    for name, section in sections.items():
        values[name].update(section)
    return Recipe(**values)


def save(model: torch.nn.Module, folder: Path) -> None:
    """All parameters and buffers in the order of their names, float32, in parts; and their names and shapes."""
    state = {name: t for name, t in model.state_dict().items() if t.is_floating_point()}
    flat = torch.cat([t.detach().float().cpu().flatten() for t in state.values()]).numpy()
    (folder / "shapes.json").write_text(json.dumps({name: list(t.shape) for name, t in state.items()}))
    each = (PART_BYTES - HEADER_BYTES) // flat.itemsize
    for index in range(-(-len(flat) // each)):
        np.save(folder / f"part{index}.npy", flat[index * each : (index + 1) * each])


def join(folder: Path) -> Path:
    """A state dictionary of the parts, as `weights.pt` beside them."""
    parts = sorted(folder.glob("part*.npy"), key=lambda p: int(p.stem.removeprefix("part")))
    flat, start, state = np.concatenate([np.load(p) for p in parts]), 0, {}
    for name, shape in json.loads((folder / "shapes.json").read_text()).items():
        size = int(np.prod(shape, dtype=np.int64))
        state[name] = torch.from_numpy(flat[start : start + size].reshape(shape).copy())
        start += size
    torch.save(state, folder / "weights.pt")
    return folder / "weights.pt"
