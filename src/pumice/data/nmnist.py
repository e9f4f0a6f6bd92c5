"""N-MNIST from a folder that the user names; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

from pumice.data.checked import Origin
from pumice.data.dataset import EventDataset, Split
from pumice.data.folders import find_layout
from pumice.data.recordings import read_event_npz, read_files
from pumice.errors import InputError

LAYOUTS = {"arrays": ("train.npz", "test.npz"), "tonic's": ("NMNIST/Train", "NMNIST/Test")}
SOURCE = "N-MNIST, G. Orchard et al., Frontiers in Neuroscience 2015 (CC BY-SA 4.0)"


def load_nmnist(root: str | Path | None, *, cache: str | Path | None = None, origin: Origin = "zero") -> EventDataset:
    """N-MNIST: digits seen by a moving event camera, 34x34 pixels, ON and OFF, three saccades in about 300 ms.

    Two layouts are read: `train.npz` and `test.npz`, each with `x`, `y`, `p`, `t` (microseconds), `offsets` and
    `label`; or tonic's, which is the original one (`NMNIST/Train/DIGIT/*.bin`), whose recordings are read one by
    one, as they are needed. tonic itself is not.

    Args:
        root: The folder.
        cache: Folder for a copy of tonic's files that is read faster; None reads them as they are.
        origin: "first" for recordings whose clock does not start at 0, see `EventDataset`.

    Raises:
        InputError: The folder or its files are missing or damaged.
    """
    layout, folder = find_layout("nmnist", root, LAYOUTS)
    if layout == "arrays":
        train, test = (read_event_npz(folder / f"{name}.npz") for name in ("train", "test"))
    else:
        train, test = (_part(folder / "NMNIST" / part, cache) for part in ("Train", "Test"))
    subset = "" if len(train) == 60_000 else f"; a subset: {len(train)} to train with, {len(test)} held back"
    names, shape = tuple("0123456789"), (2, 34, 34)
    return EventDataset("nmnist", train, test, names, shape, 300_000, origin=origin, source=SOURCE + subset)


def _part(folder: Path, cache: str | Path | None) -> Split:
    files = [(path, int(path.parent.name)) for path in folder.glob("[0-9]/*.bin")]
    if not files:
        raise InputError(f"{folder}: holds no recordings DIGIT/NUMBER.bin")
    return read_files("nmnist", files, cache=cache)
