"""Batches of images that lie on one device, changed together: only what chance decided travels to a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from pumice.data import ImageDataset
from pumice.data.augment_batches import BatchAugmentation
from pumice.data.encoders import shows_images
from pumice.train.batches import Batch, Batches, Item, Plan, shown, typed
from pumice.train.trained import Trained

LARGEST_SHARE = 0.25
"""Of the device's free memory, for the images."""


def batches_on(trained: Trained, device: torch.device) -> Batches:
    """The batches of a run on a device: images are brought there once, if they fit and chance allows it.

    The values are those of `Batches`, bit for bit; but for affine maps and elastic ones, whose
    places a GPU can round otherwise.
    """
    if device.type not in {"cpu", "cuda"} or not can_lie_on_device(trained):
        return Batches(trained, device)
    images = trained.dataset.train.samples
    if device.type == "cuda" and images.nbytes > LARGEST_SHARE * torch.cuda.mem_get_info(device)[0]:
        return Batches(trained, device)
    return BatchesOnDevice(trained, device)


def can_lie_on_device(trained: Trained) -> bool:
    """Whether the samples are images in memory, shown as they are, with random changes that there are for batches."""
    recipe, dataset = trained.recipe, trained.dataset
    in_memory = isinstance(dataset, ImageDataset) and isinstance(dataset.train.samples, np.ndarray)
    if not in_memory or not shows_images(trained.encoder) or recipe.data.noise:
        return False
    return BatchAugmentation.knows(dataset, recipe.data.augment)


class BatchesOnDevice(Batches):
    """See `batches_on`.

    Args:
        trained: Says what is trained on what.
        device: Where images and labels are kept.
    """

    def __init__(self, trained: Trained, device: torch.device) -> None:
        super().__init__(trained, device)
        split, recipe = trained.dataset.train, trained.recipe
        self._images = torch.from_numpy(np.ascontiguousarray(split.samples)).to(device)
        self._labels = torch.from_numpy(typed(np.asarray(split.labels))).to(device)
        self._augment = BatchAugmentation(trained.dataset, recipe.data.augment)
        self._as_they_are = BatchAugmentation(trained.dataset, {})
        self._steps = recipe.data.steps

    def epoch(
        self, stream: int, first: int = 0, rank: int = 0, world: int = 1, *, is_augmented: bool = True
    ) -> Iterator[Batch]:
        """The batches of an epoch, on the device."""
        augment = self._augment if is_augmented else self._as_they_are
        draws = _Draws(augment, (self.trained.recipe.seed, stream))
        plan = Plan(self.trained, stream, first, rank, world, has_noise=False)  # see `can_lie_on_device`
        for batch in self.loaded(draws, _stack, plan):
            chosen = torch.from_numpy(batch).to(self._device, non_blocking=True)
            index = chosen[:, 0].long()
            images = augment.changed(self._images[index], chosen[:, 1:])
            yield Batch(shown(images, self._steps), self._labels[index], None, index)


class _Draws:
    """For each sample its index, and what chance decided for it."""

    def __init__(self, augment: BatchAugmentation, seed: tuple[int, int]) -> None:
        self._augment, self._seed = augment, seed

    def __getitem__(self, item: Item) -> list[float]:
        index = item[0]
        return [index, *self._augment.draw(np.random.default_rng([*self._seed, index]))]


def _stack(draws: list[list[float]]) -> np.ndarray[Any, Any]:
    return np.array(draws, np.float64)
