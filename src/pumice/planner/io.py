"""What it costs to bring values to the chip and back: more than the chip itself, on every measured path but none."""

from __future__ import annotations

from dataclasses import dataclass

from pumice.errors import InputError
from pumice.hardware.constants import Constants, Range
from pumice.names import unknown

PATHS = {
    "none": ("nothing in or out: a bias, or spikes made on the chip", None),
    "embedded": ("an embedded processor of the chip", "io_embedded"),
    "ethernet": ("10G Ethernet", "io_ethernet"),
    "python": ("Lava's Python adapters", "io_python"),
}
"""Path -> what it is, and the constant that gives its time per value."""


@dataclass(frozen=True)
class HostIO:
    """Input and output of a step.

    Attributes:
        path: Key of `PATHS`.
        title: What it is.
        values: How many values enter and leave in a step.
        time: In us per step, on top of the chip's.
    """

    path: str
    title: str
    values: int
    time: Range


def check_path(path: str) -> str:
    """The same path.

    Raises:
        InputError: There is none of that name.
    """
    if not isinstance(path, str) or path not in PATHS:
        raise InputError(unknown(path, PATHS, "path of input and output"))
    return path


def host_io(path: str, values: int, constants: Constants) -> HostIO:
    """What a step's input and output take, if every value is sent.

    Args:
        path: Key of `PATHS`.
        values: Values that enter and leave in a step.
        constants: Of the chip.

    Raises:
        InputError: There is no such path.

    Example:
        >>> from pumice.hardware import load_constants
        >>> host_io("embedded", 3, load_constants()).time.nominal
        30
    """
    title, constant = PATHS[check_path(path)]
    time = Range(0, 0, 0) if constant is None else constants[constant].range.times(values)
    return HostIO(path, title, values, time)
