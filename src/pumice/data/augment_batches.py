"""Random changes of whole batches of images, on any device, as `Augmentation` makes them one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pumice.data.augment import Augmentation, seeded
from pumice.data.dataset import Dataset

KNOWN = ("RandomAffine", "RandomCrop", "RandomHorizontalFlip")


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
        """Whether it can make these changes.

        Crops to the same size after padding with zeros; flips; and affine maps whose pixels are those nearest in the
        image, or zero.
        """
        steps: dict[str, Any] = dict(Augmentation(dataset, chosen).steps) if set(chosen) <= set(KNOWN) else {}
        if len(steps) < len(chosen):
            return False
        crop, affine = steps.get("RandomCrop"), steps.get("RandomAffine")
        knows_affine = affine is None or (
            affine.fill == 0 and affine.center is None and affine.interpolation.value == "nearest"
        )
        if crop is None:
            return knows_affine
        plain = crop.fill == 0 and crop.padding_mode == "constant" and not crop.pad_if_needed
        same_size = isinstance(crop.padding, int) and tuple(crop.size) == tuple(dataset.sample_shape[1:])
        return knows_affine and plain and same_size

    def draw(self, rng: np.random.Generator) -> list[float]:
        """What `Augmentation` would draw for a sample.

        An affine map's six numbers, a crop's row and column, and whether it is flipped.
        """
        if not self._steps:
            return []
        drawn: list[float] = []
        with seeded(int(rng.integers(2**32))):
            for name, step in self._steps.items():
                if name == "RandomAffine":
                    size = list(self._shape[:0:-1])
                    drawn += _inverse(*step.get_params(step.degrees, step.translate, step.scale, step.shear, size))
                elif name == "RandomCrop":
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
            if name == "RandomAffine":
                images = _mapped(images, drawn[:, column : column + 6])
                column += 6
            elif name == "RandomCrop":
                top, left = drawn[:, column : column + 2].long().T
                images = _cropped(images, top, left, step.padding)
                column += 2
            else:
                images = torch.where(drawn[:, column, None, None, None] > 0, images.flip(-1), images)
                column += 1
        return images


def _inverse(angle: float, shift: tuple[int, int], scale: float, shear: tuple[float, float]) -> list[float]:
    """For each pixel of the changed image, whose middle is the origin, where it comes from: two rows of a matrix.

    The image is sheared along x and y, scaled, rotated, and shifted, in this order.
    """
    turn, shear_x, shear_y = map(math.radians, (angle, *shear))
    sin, cos, along_x, along_y = math.sin(turn), math.cos(turn), math.tan(shear_x), math.tan(shear_y)
    # rotation [cos, -sin; sin, cos] times [1, 0; -along_y, 1] times [1, -along_x; 0, 1]; its determinant is 1
    m, p = cos + sin * along_y, sin - cos * along_y
    n, q = -m * along_x - sin, -p * along_x + cos
    a, b, d, e = q / scale, -n / scale, -p / scale, m / scale
    x, y = shift
    return [a, b, -a * x - b * y, d, e, -d * x - e * y]


def _mapped(images: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Each pixel is that nearest to where it comes from, or zero where that is outside.

    A place halfway between two pixels, to within rounding, can be given to the other one on another device.
    """
    n, _, height, width = images.shape
    # As torchvision rounds, pixel by pixel; a GPU's product of float32 numbers can be one of TF32 numbers.
    here: dict[str, Any] = {"device": images.device, "dtype": torch.float64 if images.is_cuda else torch.float32}
    y, x = (torch.arange(side, **here) - (side - 1) / 2 for side in (height, width))
    pixels = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width, **here)], -1)
    columns = inverse.to(**here).view(n, 2, 3).mT / torch.tensor([0.5 * width, 0.5 * height], **here)
    places = (pixels.view(1, -1, 3).expand(n, -1, 3) @ columns).view(n, height, width, 2).float()
    found = torch.nn.functional.grid_sample(images.float(), places, "nearest", "zeros", align_corners=False)
    return found.to(images.dtype)


def _cropped(images: torch.Tensor, top: torch.Tensor, left: torch.Tensor, padding: int) -> torch.Tensor:
    """Windows of the images' size of the padded images."""
    n, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    sample = torch.arange(n, device=images.device)[:, None, None]
    return padded.movedim(1, -1)[sample, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
