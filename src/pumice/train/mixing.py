"""Mixup and CutMix: each image of a batch is mixed with another one, and its loss is that of both labels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from pumice.data import ImageDataset
from pumice.data.encoders import shows_images
from pumice.errors import InputError
from pumice.train.trained import Trained

PARTS = 256
"""Mixup's shares are multiples of 1/256, so that mixed grey levels are the same integers on every device."""
STREAM = 1
"""Tells a batch's generator from a sample's."""


class Partners(NamedTuple):
    """What a batch was mixed with.

    Attributes:
        labels: Classes of the other images, (batch,).
        share: Of the loss that the image's own label has, a tensor of shape ().
    """

    labels: torch.Tensor
    share: torch.Tensor

    def shared(self, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The loss of a batch, of those of its own labels and of the others."""
        return self.share * own + (1 - self.share) * other

    def seen(self, labels: torch.Tensor) -> torch.Tensor:
        """Of each pair of labels that with the larger share: what counts as a right answer."""
        return torch.where(self.share < 0.5, self.labels, labels)


class Mixing:
    r"""Mixes images with others of their batch.

    .. math::
        \text{mixup:}\; \tilde x = \lambda x + (1 - \lambda) x', \qquad
        \text{CutMix:}\; \tilde x = M \odot x + (1 - M) \odot x', \qquad
        \tilde L = \lambda L(y) + (1 - \lambda) L(y')

    with one lambda ~ Beta(alpha, alpha) for a batch. CutMix's mask M leaves out a rectangle of 1 - lambda of the
    image, whose clipped size then is lambda; mixup's lambda is rounded to 1/256 and its grey levels are to integers,
    half up, which the chip's input is. Where both are chosen, each batch gets one of them, with equal chance. x' is
    the image before x in the batch (in each process's share of it). Chance follows from the seed, the epoch and the
    batch alone.

    Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization, ICLR 2018; Yun et al.: CutMix, ICCV
    2019. The loss is so computed from two labels, not from one distribution: a cross-entropy is the same, and losses
    of other kinds need nothing of their own.

    Args:
        trained: Its recipe has `training.mixup` or `training.cutmix`.
        stream: Number of the epoch's random stream.
        is_on: Whether this epoch mixes; else images stay as they are, with themselves as partners.

    Raises:
        InputError: The data has no classes, or the network is not shown images as they are.
    """

    def __init__(self, trained: Trained, stream: int, *, is_on: bool) -> None:
        recipe, dataset = trained.recipe, trained.dataset
        if dataset.has_targets:
            raise InputError(
                "training.mixup and training.cutmix mix the losses of two classes, and this dataset has targets, "
                "numbers; leave them out"
            )
        if not isinstance(dataset, ImageDataset) or not shows_images(trained.encoder):
            raise InputError(
                "training.mixup and training.cutmix mix images that are shown as they are (data.encoding=direct), "
                f"and {dataset.name} is shown with data.encoding={recipe.data.encoding}; leave them out"
            )
        settings = recipe.training
        kinds = {_mixed_up: settings.mixup, _cut_and_mixed: settings.cutmix}
        self._kinds = [(mix, alpha) for mix, alpha in kinds.items() if alpha is not None]
        self._seed, self._is_on = (recipe.seed, stream), is_on

    def __call__(self, x: torch.Tensor, labels: torch.Tensor, index: int) -> tuple[torch.Tensor, Partners]:
        """A batch, mixed.

        Args:
            x: Images as they are shown in every step, (batch, channel, height, width, time).
            labels: Classes, (batch,).
            index: Number of the batch in its epoch.
        """
        if not self._is_on:
            return x, Partners(labels, x.new_ones(()))
        rng = np.random.default_rng([*self._seed, index, STREAM])
        mix, alpha = self._kinds[int(rng.integers(len(self._kinds)))]
        images, share = mix(x[..., 0], float(rng.beta(alpha, alpha)), rng)
        # A fill, not a copy: the device is not waited for.
        return images[..., None].expand(x.shape), Partners(labels.roll(1), x.new_full((), share))


def mixing_of(trained: Trained, phase_epoch: int, stream: int) -> Mixing | None:
    """The mixing of an epoch of the phase in real numbers, if the recipe has one.

    Args:
        trained: Of the run.
        phase_epoch: Counted from 1.
        stream: Number of the epoch's random stream.

    Raises:
        InputError: The data cannot be mixed.
    """
    settings = trained.recipe.training
    if settings.mixup is None and settings.cutmix is None:
        return None
    return Mixing(trained, stream, is_on=phase_epoch <= settings.last_mixed_epoch)


def _mixed_up(images: torch.Tensor, share: float, rng: np.random.Generator) -> tuple[torch.Tensor, float]:
    """See `Mixing`; sums of products below 2^24 are exact in float32."""
    parts = round(PARTS * share)
    sums = parts * images + (PARTS - parts) * images.roll(1, 0)
    return ((sums + PARTS // 2) / PARTS).floor(), parts / PARTS


def _cut_and_mixed(images: torch.Tensor, share: float, rng: np.random.Generator) -> tuple[torch.Tensor, float]:
    """See `Mixing`."""
    height, width = images.shape[2:]
    side = math.sqrt(1 - share)
    box = []
    for size in (height, width):
        middle, half = int(rng.integers(size)), int(size * side / 2)
        box.append(slice(max(0, middle - half), min(size, middle + half)))
    rows, columns = box
    mixed = images.clone()
    mixed[:, :, rows, columns] = images.roll(1, 0)[:, :, rows, columns]
    return mixed, 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
