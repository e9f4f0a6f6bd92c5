"""RandAugment for images of integers: one by one or in batches, on any device, with the same result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

SHEAR, SHIFT, DEGREES, ENHANCE, BITS = 0.3, 150 / 331, 30.0, 0.9, 4
"""The largest changes: of a slope, in sides of the image, in degrees, of a factor, and how many bits are dropped."""
Q16 = 1 << 16
COLUMNS = 8
"""Numbers that describe a change: which, its parameter, and where pixels are taken from, a matrix times 2^16."""
BRIGHTEST = 255


@dataclass(frozen=True)
class RandAugment:
    r"""`num_ops` changes of an image, each drawn from fourteen with equal chance.

    They are torchvision's: none, shearing, shifting and rotating (nearest pixel, black outside; shears and shifts
    along either axis), brightness, colour, contrast, sharpness, posterising, solarising, automatic contrast and
    equalising. What has a direction goes either way with equal chance. A change's magnitude is drawn for each image,

    .. math:: m \sim \mathcal N(\mathrm{magnitude}, \mathrm{magnitude\_std}^2), \quad 0 \le m \le 10

    in tenths of the largest change: 0.3 of slope, 150/331 of a side, 30 degrees, factors of 1 +- 0.9, 4 of 8 bits,
    a threshold of 0. (torchvision's own magnitudes go from 0 to 30.)

    All is computed in integers, on 256 levels, from which the image gets back to its own.

    Cubuk, Zoph, Shlens, Le: RandAugment, NeurIPS 2020.

    Args:
        image_shape: (channel, height, width).
        value_range: 0 and the largest grey level, at most 255.
        num_ops: How many changes an image gets, one after the other.
        magnitude: 0 to 10.
        magnitude_std: >= 0.

    Raises:
        ValueError: A value is out of range.

    Example:
        >>> change = RandAugment((1, 8, 8), (0, 16), num_ops=1)
        >>> change(torch.arange(17).repeat(4)[:64].reshape(1, 8, 8)).shape
        torch.Size([1, 8, 8])
    """

    image_shape: tuple[int, ...]
    value_range: tuple[int, int]
    num_ops: int = 2
    magnitude: float = 9.0
    magnitude_std: float = 0.0

    def __post_init__(self) -> None:
        if type(self.num_ops) is not int or self.num_ops < 1:
            raise ValueError(f"num_ops must be an integer >= 1, got {self.num_ops!r}")
        if not 0 <= self.magnitude <= 10 or not 0 <= self.magnitude_std < math.inf:
            raise ValueError(
                f"magnitude must lie in 0..10 (tenths) and magnitude_std be >= 0, got {self.magnitude} and "
                f"{self.magnitude_std}"
            )
        low, high = self.value_range
        if low != 0 or not 1 <= high <= BRIGHTEST:
            raise ValueError(
                f"grey levels must go from 0 to at most {BRIGHTEST}, got {low}..{high}; set data.gray_levels"
            )

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """A changed image (channel, height, width)."""
        return self.changed(image[None], torch.tensor([self.draw()]))[0]

    def draw(self) -> list[int]:
        """What chance decides for an image, by torch's global generator: `num_ops` times `COLUMNS` numbers."""
        return [number for _ in range(self.num_ops) for number in self._draw_one()]

    def _draw_one(self) -> list[int]:
        name = NAMES[int(torch.randint(len(NAMES), ()))]
        tenths = self.magnitude + self.magnitude_std * float(torch.randn(()))
        part = min(max(tenths, 0.0), 10.0) / 10
        signed = part if torch.rand(()) < 0.5 else -part
        change, parameter = name, 0
        if name in _MATRICES:
            change = "warp"
        elif name in {"brightness", "colour", "contrast", "sharpness"}:
            parameter = round(256 * (1 + ENHANCE * signed))
        elif name == "posterise":
            parameter = BRIGHTEST & -(1 << round(BITS * part))
        elif name == "solarise":
            parameter = round(BRIGHTEST * (1 - part))
        _, height, width = self.image_shape
        matrix = _MATRICES.get(name, _no_warp)(signed, height, width)
        return [list(_CHANGES).index(change), parameter, *(round(Q16 * entry) for entry in matrix)]

    def changed(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Images (n, channel, height, width), changed as `drawn` (n, num_ops * `COLUMNS`) says."""
        high = self.value_range[1]
        x = (images.to(torch.int64) * BRIGHTEST + high // 2) // high
        for own in drawn.split(COLUMNS, 1):
            x = _one_change(x, own)
        return ((x * high + BRIGHTEST // 2) // BRIGHTEST).to(images.dtype)


def _one_change(x: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """One change of each image; the others are computed in vain where asking would make a device wait."""
    result = x
    for index, change in enumerate(_CHANGES.values()):
        chosen = drawn[:, 0] == index
        if x.device.type != "cpu" or bool(chosen.any()):
            result = torch.where(_wide(chosen), change(x, drawn), result)
    return result


def _wide(per_image: torch.Tensor) -> torch.Tensor:
    return per_image[:, None, None, None]


Matrix = tuple[float, float, float, float, float, float]


def _no_warp(signed: float, height: int, width: int) -> Matrix:
    return 1, 0, 0, 0, 1, 0


def _rotated(signed: float, height: int, width: int) -> Matrix:
    angle = math.radians(DEGREES * signed)
    return math.cos(angle), math.sin(angle), 0, -math.sin(angle), math.cos(angle), 0


_MATRICES: dict[str, Callable[[float, int, int], Matrix]] = {
    "shear x": lambda signed, height, _: (1, SHEAR * signed, SHEAR * signed * (height - 1), 0, 1, 0),
    "shear y": lambda signed, _, width: (1, 0, 0, SHEAR * signed, 1, SHEAR * signed * (width - 1)),
    "shift x": lambda signed, _, width: (1, 0, 2 * round(SHIFT * signed * width), 0, 1, 0),
    "shift y": lambda signed, height, _: (1, 0, 0, 0, 1, 2 * round(SHIFT * signed * height)),
    "rotate": _rotated,
}
"""(a, b, c, d, e, f): a pixel is taken from (a u + b v + c, d u + e v + f); u and v are twice its distances from the
middle. Shears are about the corner, as PIL's."""


def _warped(x: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    height, width = x.shape[2:]
    v, u = (2 * torch.arange(size, device=x.device) - (size - 1) for size in (height, width))
    a, b, c, d, e, f = (column[:, None, None] for column in drawn[:, 2:].unbind(1))
    columns = (a * u + b * v[:, None] + c + width * Q16) // (2 * Q16)
    rows = (d * u + e * v[:, None] + f + height * Q16) // (2 * Q16)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    place = (rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)).flatten(1)
    taken = x.flatten(2).gather(2, place[:, None].expand(*x.shape[:2], -1)).reshape(x.shape)
    return torch.where(inside[:, None], taken, 0)


def _gray(x: torch.Tensor) -> torch.Tensor:
    if x.shape[1] != 3:
        return x.sum(1, keepdim=True) // x.shape[1]
    red, green, blue = x.split(1, 1)
    return (299 * red + 587 * green + 114 * blue + 500) // 1000


def _blended(x: torch.Tensor, other: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Away from the other image by a factor, which is times 256."""
    factor = _wide(drawn[:, 1])
    return ((factor * x + (256 - factor) * other + 128) // 256).clamp(0, BRIGHTEST)


def _contrasted(x: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    n = x.shape[2] * x.shape[3]
    mean = (2 * _gray(x).sum((2, 3), keepdim=True) + n) // (2 * n)
    return _blended(x, mean, drawn)


def _sharpened(x: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    height, width = x.shape[2:]
    if min(height, width) < 3:
        return x
    blurred = x.clone()
    around = [x[:, :, i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)]
    blurred[:, :, 1:-1, 1:-1] = (torch.stack(around).sum(0) + 4 * around[4] + 6) // 13
    return _blended(x, blurred, drawn)


def _autocontrasted(x: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    return torch.where(high > low, (x - low) * BRIGHTEST // (high - low).clamp(min=1), x)


def _equalized(x: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    flat = x.flatten(2)
    counts = flat.new_zeros(*flat.shape[:2], BRIGHTEST + 1).scatter_add_(2, flat, torch.ones_like(flat))
    brightest = counts.gather(2, flat.amax(2, keepdim=True))
    step = (flat.shape[2] - brightest) // BRIGHTEST
    below = counts.cumsum(2) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=BRIGHTEST)
    return torch.where(step > 0, table.gather(2, flat), flat).reshape(x.shape)


_CHANGES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "none": lambda x, _: x,
    "warp": _warped,
    "brightness": lambda x, drawn: _blended(x, torch.zeros_like(x), drawn),
    "colour": lambda x, drawn: _blended(x, _gray(x), drawn),
    "contrast": _contrasted,
    "sharpness": _sharpened,
    "posterise": lambda x, drawn: x & _wide(drawn[:, 1]),
    "solarise": lambda x, drawn: torch.where(x >= _wide(drawn[:, 1]), BRIGHTEST - x, x),
    "autocontrast": _autocontrasted,
    "equalise": _equalized,
}
"""Images on 256 levels, int64 (n, channel, height, width), and what was drawn for each -> the changed images."""
NAMES = (*(name for name in _CHANGES if name != "warp"), *_MATRICES)
"""The fourteen."""
