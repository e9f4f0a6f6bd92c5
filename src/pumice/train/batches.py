"""An epoch's batches: every training sample once, prepared one by one, by worker processes if there are any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pumice.data import EventSamples, ImageDataset, ImageFiles
from pumice.data.augment import Augmentation, with_noise
from pumice.data.dataset import is_target
from pumice.data.encoders import shows_images
from pumice.data.events import one_recording
from pumice.data.loading import load
from pumice.train.mixing import Partners
from pumice.train.predict import to_tensor
from pumice.train.trained import Trained

Noise = npt.NDArray[np.float64]
Item = tuple[int, Noise | None]  # a sample's index, and what is added to it
Sample = tuple[npt.NDArray[Any], Any, Any, int]  # encoded or about to be, its label or target, own steps, index


class Batch(NamedTuple):
    """Samples of a batch, encoded.

    Attributes:
        x: As they enter the network, (batch, channel, height, width, time).
        labels: Classes (batch,), or targets.
        lengths: Steps of each that count, (batch,), where they are of unequal length; else None.
        samples: Which of the training samples they are, (batch,).
        partners: What they were mixed with, where they are mixed.
    """

    x: torch.Tensor
    labels: torch.Tensor
    lengths: torch.Tensor | None
    samples: torch.Tensor
    partners: Partners | None = None


def batch_sizes(n_samples: int, batch_size: int) -> list[int]:
    """Sizes of an epoch's batches, equal up to one sample.

    Example:
        >>> batch_sizes(10, 4)
        [4, 3, 3]
    """
    n_batches = -(-n_samples // batch_size)
    return [len(part) for part in np.array_split(np.empty(n_samples), n_batches)]


class Batches:
    """Encoded samples with their labels, batch by batch.

    Order and chance follow from the recipe's seed, the stream and the sample alone: neither the number of
    workers or processes nor where a run was interrupted changes them.

    Args:
        trained: Says what is trained on what.
        device: Where images shown as they are may be brought; the CPU if not given.
    """

    def __init__(self, trained: Trained, device: torch.device | None = None) -> None:
        self.trained = trained
        self._device = torch.device("cpu") if device is None else device

    def epoch(
        self, stream: int, first: int = 0, rank: int = 0, world: int = 1, *, is_augmented: bool = True
    ) -> Iterator[Batch]:
        """The batches of an epoch.

        Args:
            stream: Number of the random stream, one for each epoch.
            first: Batches to leave out, because they are done.
            rank: Which process this is.
            world: Processes that share each batch.
            is_augmented: Whether chance changes samples, as the recipe says; else they come as they are.
        """
        plan = Plan(self.trained, stream, first, rank, world, has_noise=is_augmented)
        prepared = _Prepared(self.trained, stream, is_augmented=is_augmented)
        for x, labels, lengths, samples in self.loaded(prepared, _collate, plan):
            own = None if lengths is None else torch.from_numpy(lengths)
            yield Batch(self._encoded(x), torch.from_numpy(labels), own, torch.from_numpy(samples))

    def _encoded(self, x: npt.NDArray[Any]) -> torch.Tensor:
        """A batch as it enters the network: encoded sample by sample already, or here as a whole."""
        if not shows_images(self.trained.encoder):
            return to_tensor(x)
        images = torch.from_numpy(x).to(self._device)  # bytes travel there, once for all steps
        return shown(images, self.trained.encoder.steps)

    def loaded(self, samples: Any, collate: Any, plan: Plan) -> Iterator[Any]:
        """What the items of a plan give, batch by batch, from worker processes if there are any."""
        return load(samples, plan, collate, self.trained.recipe.data.workers)


class Plan:
    """For each batch, its samples and their noise; drawn here, so that workers need no generator in step."""

    def __init__(self, trained: Trained, stream: int, first: int, rank: int, world: int, *, has_noise: bool) -> None:
        self._trained, self._stream, self._first = trained, stream, first
        self._noise = trained.recipe.data.noise if has_noise else 0.0
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
            if self._noise:
                noise = rng.normal(0.0, self._noise, (len(chosen), *dataset.sample_shape))
            if index >= self._first:
                yield list(zip(chosen.tolist(), noise, strict=True))[self._share]


class _Prepared:
    """Samples as they enter the network: augmented, with noise, encoded unless that is done for a whole batch."""

    def __init__(self, trained: Trained, stream: int, *, is_augmented: bool) -> None:
        dataset = trained.dataset
        self._split = dataset.train
        self._lengths = trained.steps_of(dataset.train)
        self._value_range = dataset.value_range if isinstance(dataset, ImageDataset) else None
        self._encoder = trained.encoder
        self._is_augmented = is_augmented
        self._augment = Augmentation(trained.dataset, trained.recipe.data.augment if is_augmented else {})
        self._seed = trained.recipe.seed, stream

    def __getitem__(self, item: Item) -> Sample:
        index, noise = item
        rng = np.random.default_rng([*self._seed, index])
        samples = self._split.samples
        if isinstance(samples, EventSamples):
            name = samples.name(index)
            one: Any = one_recording(self._augment(samples[index], rng, name=name), name)
            return self._item(self._encoder.encode(one, rng)[0], index)
        draws = self._is_augmented and isinstance(samples, ImageFiles)
        sample = samples.drawn(index, rng) if draws else samples[index]
        sample = self._augment(sample, rng)
        if noise is not None and self._value_range is not None:
            sample = with_noise(sample, noise, self._value_range)
        return self._item(
            sample if shows_images(self._encoder) else self._encoder.encode(sample[None], rng)[0], index
        )

    def _item(self, x: npt.NDArray[Any], index: int) -> Sample:
        return x, self._split.labels[index], None if self._lengths is None else self._lengths[index], index


def typed(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Targets as float32, classes as int64: what losses take."""
    return labels.astype(np.float32 if is_target(labels) else np.int64)


def shown(images: torch.Tensor, steps: int) -> torch.Tensor:
    """Images, as real numbers, in each of so many steps; in memory they are there once.

    Example:
        >>> shown(torch.ones(2, 1, 8, 8, dtype=torch.uint8), 3).shape
        torch.Size([2, 1, 8, 8, 3])
    """
    return images.float()[..., None].expand(*images.shape, steps)


def _collate(samples: list[Sample]) -> tuple[Any, Any, Any, Any]:
    x, labels, lengths, index = (list(part) for part in zip(*samples, strict=True))
    own = None if lengths[0] is None else np.array(lengths, np.int64)
    return np.stack(x), typed(np.stack(labels)), own, np.array(index, np.int64)
