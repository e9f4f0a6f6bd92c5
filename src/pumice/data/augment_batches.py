"""Random changes of whole batches of images, on any device, as `Augmentation` makes them one by one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from pumice.data.augment import Augmentation, applied
from pumice.data.chance import seeded
from pumice.data.dataset import Dataset
from pumice.data.rand_augment import COLUMNS

Shape = tuple[int, ...]


class _Change(ABC):
    """One of torchvision's transforms in two parts.

    Args:
        step: The transform.
        shape: Of an image, (channel, height, width).

    Attributes:
        columns: How many numbers chance decides for a sample.
        numbers: Their type.
    """

    columns = 1
    numbers = torch.int64

    def __init__(self, step: Any, shape: Shape) -> None:
        self.step, self.shape = step, shape

    @property
    def is_known(self) -> bool:
        """Whether it is made of whole batches with these arguments."""
        return True

    @abstractmethod
    def draw(self) -> list[Any]:
        """What the transform would draw from torch's global generator."""

    @abstractmethod
    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """The images (n, channel, height, width), changed as `drawn` (n, columns) says."""


def _pixels_from(images: torch.Tensor, places: torch.Tensor, mode: str) -> torch.Tensor:
    """Of integers (n, channel, height, width), the pixels at places (n, height, width, 2) between -1 and 1.

    Outside is zero. What lies halfway, to within rounding, can become another pixel or grey level on another device.
    """
    sample = partial(torch.nn.functional.grid_sample, mode=mode, padding_mode="zeros", align_corners=False)
    found: torch.Tensor = sample(images.float(), places)
    if mode == "bilinear":  # torchvision fades out at the image's edge
        inside = sample(torch.ones_like(images[:, :1], dtype=torch.float32), places)
        found = (found * inside).round()
    return found.to(images.dtype)


def _fills_with_zeros(step: Any) -> bool:
    """Whether `_pixels_from` is what torchvision's transform does between and outside pixels."""
    fill = step.fill if isinstance(step.fill, (list, tuple)) else [step.fill]
    return not any(fill) and step.interpolation.value in {"nearest", "bilinear"}


class _Affine(_Change):
    """Each pixel is that nearest to where it comes from, or between four of them."""

    columns = 6
    numbers = torch.float64

    @property
    def is_known(self) -> bool:
        return _fills_with_zeros(self.step) and self.step.center is None

    def draw(self) -> list[float]:
        step, size = self.step, [*self.shape[:0:-1]]
        return _inverse(*step.get_params(step.degrees, step.translate, step.scale, step.shear, size))

    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        n, _, height, width = images.shape
        # As torchvision rounds, pixel by pixel; a GPU's product of float32 numbers can be one of TF32 numbers.
        here: dict[str, Any] = {
            "device": images.device,
            "dtype": torch.float64 if images.is_cuda else torch.float32,
        }
        y, x = (torch.arange(side, **here) - (side - 1) / 2 for side in (height, width))
        pixels = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width, **here)], -1)
        columns = drawn.to(**here).view(n, 2, 3).mT / torch.tensor([0.5 * width, 0.5 * height], **here)
        places = (pixels.view(1, -1, 3).expand(n, -1, 3) @ columns).view(n, height, width, 2).float()
        return _pixels_from(images, places, self.step.interpolation.value)


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


class _Elastic(_Change):
    """Each pixel comes from a place nearby; neighbours' are moved alike (Simard et al., ICDAR 2003)."""

    numbers = torch.float32

    def __init__(self, step: Any, shape: Shape) -> None:
        super().__init__(step, shape)
        self.columns = 2 * math.prod(shape[1:])

    @property
    def is_known(self) -> bool:
        return _fills_with_zeros(self.step)

    def draw(self) -> list[float]:
        moved = self.step.get_params(self.step.alpha, self.step.sigma, [*self.shape[1:]])
        numbers: list[float] = moved.flatten().tolist()
        return numbers

    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        height, width = self.shape[1:]
        y, x = (torch.linspace((1 - side) / side, (side - 1) / side, side) for side in (height, width))
        here = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).to(images.device)
        places = here + drawn.view(-1, height, width, 2)
        return _pixels_from(images, places, self.step.interpolation.value)


class _Crop(_Change):
    """To the same size, after padding with zeros."""

    columns = 2

    @property
    def is_known(self) -> bool:
        step = self.step
        plain = step.fill == 0 and step.padding_mode == "constant" and not step.pad_if_needed
        return plain and isinstance(step.padding, int) and tuple(step.size) == tuple(self.shape[1:])

    def draw(self) -> list[int]:
        height, width = (size + 2 * self.step.padding for size in self.shape[1:])
        top, left, *_ = self.step.get_params(torch.empty(1).expand(1, height, width), self.step.size)
        return [top, left]

    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        n, _, height, width = images.shape
        padded = torch.nn.functional.pad(images, (self.step.padding,) * 4)
        rows = drawn[:, :1] + torch.arange(height, device=images.device)
        columns = drawn[:, 1:] + torch.arange(width, device=images.device)
        sample = torch.arange(n, device=images.device)[:, None, None]
        return padded.movedim(1, -1)[sample, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


class _Flip(_Change):
    """Left becomes right."""

    def draw(self) -> list[int]:
        return [int(torch.rand(1) < self.step.p)]

    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        return torch.where(drawn[:, :, None, None] > 0, images.flip(-1), images)


class _Erase(_Change):
    """A rectangle gets one value in each channel (Zhong et al., Random Erasing Data Augmentation, AAAI 2020)."""

    columns = 4

    @property
    def _values(self) -> list[float]:
        value = self.step.value
        return [float(v) for v in value] if isinstance(value, (list, tuple)) else [float(value)]

    def draw(self) -> list[int]:
        if torch.rand(1) >= self.step.p:
            return [0] * 4
        image = torch.empty(1).expand(*self.shape)
        *place, value = self.step.get_params(image, self.step.scale, self.step.ratio, self._values)
        return [0] * 4 if value is image else place  # no rectangle fitted

    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        top, left, height, width = drawn[:, :, None].unbind(1)
        rows, columns = (torch.arange(size, device=images.device) for size in images.shape[2:])
        inside = ((rows >= top) & (rows < top + height))[:, None, :, None]
        inside = inside & ((columns >= left) & (columns < left + width))[:, None, None, :]
        value = torch.tensor(self._values, dtype=images.dtype)[:, None, None].to(images.device, non_blocking=True)
        return torch.where(inside, value, images)


class _Rand(_Change):
    """`RandAugment`, which is made for batches."""

    def __init__(self, step: Any, shape: Shape) -> None:
        super().__init__(step, shape)
        self.columns = step.num_ops * COLUMNS

    def draw(self) -> list[int]:
        drawn: list[int] = self.step.draw()
        return drawn

    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.step.changed(images, drawn)
        return changed


_CHANGES: dict[str, type[_Change]] = {
    "ElasticTransform": _Elastic,
    "RandAugment": _Rand,
    "RandomAffine": _Affine,
    "RandomCrop": _Crop,
    "RandomErasing": _Erase,
    "RandomHorizontalFlip": _Flip,
}


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
        steps = Augmentation(dataset, chosen).steps
        self._changes = {name: _CHANGES[name](step, dataset.sample_shape) for name, step in steps.items()}

    @staticmethod
    def knows(dataset: Dataset, chosen: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether it can make these changes.

        Not crops to another size or with a padding that is not 0, nor maps that fill or are interpolated by cubes.
        """
        if not set(chosen) <= set(_CHANGES):
            return False
        return all(change.is_known for change in BatchAugmentation(dataset, chosen)._changes.values())

    def draw(self, rng: np.random.Generator) -> list[float]:
        """What `Augmentation` would draw for a sample, change after change."""
        if not self._changes:
            return []
        with seeded(int(rng.integers(2**32))):
            return [
                number
                for name, change in self._changes.items()
                for number in applied(name, lambda _: change.draw(), None)  # noqa: B023 -- called at once
            ]

    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """The batch, changed.

        Args:
            images: Shape (n, channel, height, width).
            drawn: What `draw` gave, one row per image, on the same device.
        """
        each = drawn.split([change.columns for change in self._changes.values()], 1)
        for (name, change), own in zip(self._changes.items(), each, strict=True):
            images = applied(name, partial(change.changed, drawn=own.to(change.numbers)), images)
        return images
