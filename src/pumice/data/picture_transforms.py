"""torchvision's transforms that give pictures of any size one size, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pumice.data.chance import seeded
from pumice.errors import InputError, MissingExtraError
from pumice.files.limits import Budget

FIXED = ("Resize", "CenterCrop")
DRAWN = ("Resize", "RandomResizedCrop", "RandomCrop", "CenterCrop")
"""In this order they are made, however they are written: a network's file does not keep the order of its keys."""


class PictureTransforms:
    """Several of `torchvision.transforms`, one after the other, on a Pillow picture.

    Args:
        where: What messages call it, as "data.args.transforms".
        chosen: Name -> its keyword arguments; "interpolation" is a word, as "bilinear" or "bicubic".
        allowed: Which names there are, in the order in which they are made.

    Raises:
        InputError: There is no such transform here, or it does not take its arguments.

    Example:
        >>> from PIL import Image
        >>> change = PictureTransforms("mine", {"CenterCrop": {"size": 4}, "Resize": {"size": 8}})
        >>> change(Image.new("RGB", (32, 16)), Budget("a.png", 1)).size, [*change.steps]
        ((4, 4), ['Resize', 'CenterCrop'])
    """

    def __init__(self, where: str, chosen: Mapping[str, Mapping[str, Any]], allowed: tuple[str, ...] = FIXED) -> None:
        if not isinstance(chosen, Mapping) or not all(isinstance(a, Mapping) for a in chosen.values()):
            raise InputError(
                f"{where} must be names with their arguments, as {{Resize = {{size = 256}}}}, got {chosen}"
            )
        for name in chosen:
            if name not in allowed:
                raise InputError(f"{where}: there is no {name!r} here; there are: {', '.join(allowed)}")
        self._where = where
        self.steps = {name: _made(f"{where}.{name}", name, dict(chosen[name])) for name in allowed if name in chosen}

    def __call__(self, image: Any, budget: Budget, rng: np.random.Generator | None = None) -> Any:
        """The picture as it leaves the last transform.

        Args:
            image: A `PIL.Image.Image`.
            budget: Of the picture's file: what transforms make of it counts, too.
            rng: Source of chance, for those that draw.

        Raises:
            InputError: A transform does not fit the picture.
            FileFormatError: A picture between two transforms would take more memory than the file may ask for.
        """
        with seeded(0 if rng is None else int(rng.integers(2**32))):
            for name, step in self.steps.items():
                width, height = _size_after(step, *image.size)
                budget.take(len(image.getbands()) * width * height, f"{self._where}.{name}")
                try:
                    image = step(image)
                except (RuntimeError, TypeError, ValueError) as error:
                    raise InputError(f"{self._where}.{name}: {error}") from error
        return image


def _size_after(step: Any, width: int, height: int) -> tuple[int, int]:
    """(width, height) of what a transform makes; at most, where `max_size` shrinks it further."""
    sides = [step.size] if isinstance(step.size, int) else list(step.size)
    if len(sides) == 2:
        return sides[1], sides[0]
    short, long = sorted((max(1, width), max(1, height)))
    longer = -(-sides[0] * long // short)
    return (sides[0], longer) if width <= height else (longer, sides[0])


def with_interpolation(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a transform of torchvision, with its own object for the word that a recipe says, if it says one.

    Raises:
        ValueError: There is no such interpolation.

    Example:
        >>> with_interpolation({"interpolation": "nearest", "degrees": 5})["interpolation"].name
        'NEAREST'
    """
    if "interpolation" not in arguments:
        return arguments
    from torchvision.transforms import InterpolationMode

    return {**arguments, "interpolation": InterpolationMode(arguments["interpolation"])}


def _made(where: str, name: str, arguments: dict[str, Any]) -> Callable[[Any], Any]:
    try:
        from torchvision import transforms
    except ModuleNotFoundError as error:
        raise MissingExtraError("torchvision", "train", "resizing and cropping of pictures") from error
    try:
        made: Any = getattr(transforms, name)(**with_interpolation(arguments))
    except (AssertionError, TypeError, ValueError) as error:
        raise InputError(f"{where}: {str(error) or 'an argument is out of range'}") from error
    sides = made.size if isinstance(made.size, (list, tuple)) else [made.size]
    if not all(isinstance(side, int) and side >= 1 for side in sides):
        raise InputError(f"{where}: size must be whole numbers >= 1, got {made.size}")
    return made
