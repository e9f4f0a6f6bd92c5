"""A picture from one file, as Pillow decodes it."""

from __future__ import annotations

import re
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

from pumice.errors import InputError, MissingExtraError
from pumice.files.limits import Budget
from pumice.files.reading import file_size, reading, shown
from pumice.files.tar import TarMember

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
BYTES_PER_PIXEL = 4
"""Pillow's RGB and 32-bit pictures take so many."""
OPAQUE = BYTE = 255
_SIXTEEN = re.compile(";16[BLNS]")
"""In Pillow's name of what a file holds; "BGR;16" is 16 bits for a pixel."""


def open_picture(path: Path | TarMember) -> tuple[Any, Budget]:
    """Decode a picture whose pixels were budgeted before they were unpacked.

    Returns:
        A `PIL.Image.Image` that is loaded, and what is left of the file's budget.

    Raises:
        InputError: The file is missing, no picture, or damaged, or Pillow would cut its colours, of 16 bits, to 8.
        FileFormatError: It asks for more memory than a file may.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingExtraError("Pillow", "train", "image files") from error
    with reading(path, "an image", InputError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its size, which is judged here
        budget = Budget(str(path), path.size if isinstance(path, TarMember) else file_size(path))
        with Image.open(_opened(path, budget)) as image:
            budget.take(BYTES_PER_PIXEL * image.width * image.height, "its pixels")
            if any(map(_is_cut, image.tile)):
                raise InputError(f"{shown(path)}: has colours of 16 bits, of which Pillow reads 8; save it with 8")
            image.load()
    return image, budget


def _is_cut(tile: Any) -> bool:
    """Whether Pillow cuts numbers of 16 bits to 8 in a part of a picture; grey ones it keeps.

    The last member of a part is what its decoder is told: first the layout, and of a PPM last the largest number.
    """
    arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
    stored = str(arguments[0])
    if stored.startswith("I"):
        return False
    most = arguments[-1] if tile[0].startswith("ppm") else 0
    return bool(_SIXTEEN.search(stored)) or (isinstance(most, int) and most > BYTE)


def _opened(path: Path | TarMember, budget: Budget) -> Path | BytesIO:
    if isinstance(path, Path):
        return path
    budget.take(path.size, "its bytes")
    return BytesIO(path.read())


def as_colors(image: Any, path: Path | TarMember, mode: str) -> Any:
    """A picture of 8 bits in the mode "RGB" or "L", however it is stored.

    Raises:
        InputError: It has transparent pixels, or more than 8 bits, which Pillow would cut off.
    """
    if image.mode == mode:
        return image
    if image.mode.startswith(("I", "F")):
        raise InputError(
            f"{shown(path)}: is an image of Pillow's mode {image.mode}, of more than 8 bits; save it with 8"
        )
    if image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < OPAQUE:
        raise InputError(f"{shown(path)}: has transparent pixels; save it as grey or RGB")
    return image.convert(mode)
