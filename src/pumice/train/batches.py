"""An epoch's batches: every training sample once, prepared one by one, by worker processes if there are any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from pumice.data import ImageDataset
from pumice.data.augment import Augmentation, with_noise
from pumice.train.evaluate import to_tensor
from pumice.train.trained import Trained

Noise = npt.NDArray[np.float64]
Item = tuple[int, Noise | None]  # a sample's index, and what is added to it


def batch_sizes(n_samples: int, batch_size: int) -> list[int]:
    """Sizes of an epoch's batches, equal up to one sample.

    Example:
        >>> batch_sizes(10, 4)
        [4, 3, 3]
    """
    n_batches = -(-n_samples // batch_size)
    return [len(part) for part in np.array_split(np.empty(n_samples), n_batches)]


def epoch_batches(
    trained: Trained, stream: int, *, first: int = 0, rank: int = 0, world: int = 1
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Encoded samples (n, channel, height, width, time) and labels (n,), batch by batch.

    Order and chance follow from the recipe's seed, the stream and the sample alone: neither the number of
    workers or processes nor where a run was interrupted changes them.

    Args:
        trained: Says what is trained on what.
        stream: Number of the random stream, one for each epoch.
        first: Batches to leave out, because they are done.
        rank: Which process this is.
        world: Processes that share each batch.
    """
    loader: Any = DataLoader(
        _Prepared(trained, stream),
        batch_sampler=_Plan(trained, stream, first, rank, world),
        num_workers=trained.recipe.data.workers,
        collate_fn=_collate,
        generator=torch.Generator(),  # else torch's global one would be used, and changed
    )
    for samples, labels in loader:
        yield to_tensor(samples), torch.from_numpy(labels)


class _Plan:
    """For each batch, its samples and their noise; drawn here, so that workers need no generator in step."""

    def __init__(self, trained: Trained, stream: int, first: int, rank: int, world: int) -> None:
        self._trained, self._stream, self._first = trained, stream, first
        self._share = slice(rank, None, world)

    def __len__(self) -> int:
        recipe = self._trained.recipe
        return len(batch_sizes(len(self._trained.dataset.train), recipe.training.batch_size)) - self._first

    def __iter__(self) -> Iterator[list[Item]]:
        recipe, dataset = self._trained.recipe, self._trained.dataset
        rng = np.random.default_rng([recipe.seed, self._stream])
        order = rng.permutation(len(dataset.train))
        sizes = batch_sizes(len(order), recipe.training.batch_size)
        for index, chosen in enumerate(np.split(order, np.cumsum(sizes)[:-1])):
            noise: Any = [None] * len(chosen)
            if recipe.data.noise:
                noise = rng.normal(0.0, recipe.data.noise, (len(chosen), *dataset.sample_shape))
            if index >= self._first:
                yield list(zip(chosen.tolist(), noise, strict=True))[self._share]


class _Prepared(Dataset[Any]):
    """Samples as they enter the network: augmented, with noise, encoded."""

    def __init__(self, trained: Trained, stream: int) -> None:
        self._split, self._dataset = trained.dataset.train, trained.dataset
        self._encoder = trained.encoder
        self._augment = Augmentation(trained.dataset, trained.recipe.data.augment)
        self._seed = trained.recipe.seed, stream

    def __getitem__(self, item: Item) -> tuple[npt.NDArray[Any], int]:
        index, noise = item
        rng = np.random.default_rng([*self._seed, index])
        sample = self._augment(self._split.samples[index], rng)
        if noise is not None and isinstance(self._dataset, ImageDataset):
            sample = with_noise(sample, noise, self._dataset.value_range)
        one = sample[None] if isinstance(self._dataset, ImageDataset) else [sample]
        return self._encoder.encode(one, rng)[0], int(self._split.labels[index])


def _collate(samples: list[tuple[npt.NDArray[Any], int]]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    return np.stack([x for x, _ in samples]), np.array([label for _, label in samples], np.int64)
