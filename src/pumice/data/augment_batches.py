"""Random changes of whole batches of images, on any device, as `Augmentation` makes them one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pumice.data.augment import Augmentation
from pumice.data.chance import seeded
from pumice.data.dataset import Dataset

KNOWN = ("RandomCrop", "RandomHorizontalFlip")


class BatchAugmentation:
    """`Augmentation` in two parts: what chance decides for a sample, and the change of a batch.

    Args:
        dataset: Of images.
        chosen: As for `Augmentation`; what it `knows`.

    Example:
        >>> from pumice.data import load_digits
        >>> change = BatchAugmentation(load_digits(), {"RandomCrop": {"size": 8, "padding": 1}})
        >>> image = torch.arange(64).reshape(1, 1, 8, 8)
        >>> drawn = torch.tensor([change.draw(np.random.default_rng(1))])
        >>> one_by_one = Augmentation(load_digits(), {"RandomCrop": {"size": 8, "padding": 1}})
        >>> wanted = one_by_one(image[0].numpy(), np.random.default_rng(1))
        >>> bool((change.changed(image, drawn)[0].numpy() == wanted).all())
        True
    """

    def __init__(self, dataset: Dataset, chosen: Mapping[str, Mapping[str, Any]]) -> None:
        self._steps: dict[str, Any] = dict(Augmentation(dataset, chosen).steps)
        self._shape = dataset.sample_shape

    @staticmethod
    def knows(dataset: Dataset, chosen: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether it can make these changes: crops to the same size after padding with zeros, and flips."""
        steps: dict[str, Any] = dict(Augmentation(dataset, chosen).steps) if set(chosen) <= set(KNOWN) else {}
        if len(steps) < len(chosen):
            return False
        crop = steps.get("RandomCrop")
        if crop is None:
            return True
        plain = crop.fill == 0 and crop.padding_mode == "constant" and not crop.pad_if_needed
        return plain and isinstance(crop.padding, int) and tuple(crop.size) == tuple(dataset.sample_shape[1:])

    def draw(self, rng: np.random.Generator) -> list[int]:
        """What `Augmentation` would draw for a sample: a crop's row and column, and whether it is flipped."""
        if not self._steps:
            return []
        drawn: list[int] = []
        with seeded(int(rng.integers(2**32))):
            for name, step in self._steps.items():
                if name == "RandomCrop":
                    height, width = (size + 2 * step.padding for size in self._shape[1:])
                    drawn += step.get_params(torch.empty(1).expand(1, height, width), step.size)[:2]
                else:
                    drawn.append(int(torch.rand(1) < step.p))
        return drawn

    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """The batch, changed.

        Args:
            images: Shape (n, channel, height, width).
            drawn: What `draw` gave, one row per image, on the same device.
        """
        column = 0
        for name, step in self._steps.items():
            if name == "RandomCrop":
                images = _cropped(images, drawn[:, column], drawn[:, column + 1], step.padding)
                column += 2
            else:
                images = torch.where(drawn[:, column, None, None, None] > 0, images.flip(-1), images)
                column += 1
        return images


def _cropped(images: torch.Tensor, top: torch.Tensor, left: torch.Tensor, padding: int) -> torch.Tensor:
    """Windows of the images' size of the padded images."""
    n, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    sample = torch.arange(n, device=images.device)[:, None, None]
    return padded.movedim(1, -1)[sample, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
