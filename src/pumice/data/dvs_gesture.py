"""DVS128 Gesture from a folder that the user names; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pumice.data.checked import Origin
from pumice.data.dataset import EventDataset, Split
from pumice.data.events import Events, pack_events
from pumice.data.folders import find_layout
from pumice.data.recordings import read_event_npz, read_files
from pumice.errors import InputError

CLASSES = (
    "hand clapping", "right hand wave", "left hand wave", "right arm clockwise", "right arm counter-clockwise",
    "left arm clockwise", "left arm counter-clockwise", "arm roll", "air drums", "air guitar", "other",
)  # fmt: skip
LAYOUTS = {
    "tonic's": ("DVSGesture/ibmGestureTrain", "DVSGesture/ibmGestureTest"),
    "ten clips": ("clips.npz",),
}
SOURCE = "DVS128 Gesture, A. Amir et al., CVPR 2017 (CC BY 4.0)"


def load_dvs_gesture(
    root: str | Path | None, *, cache: str | Path | None = None, origin: Origin = "zero"
) -> EventDataset:
    """DVS128 Gesture: eleven gestures seen by an event camera, 128x128 pixels, ON and OFF.

    Two layouts are read: tonic's (`DVSGesture/ibmGestureTrain/USER_LIGHT/CLASS.npy`), one recording at a time
    (columns x, y, polarity, milliseconds), by pumice itself;
    or `clips.npz` with `x`, `y`, `p`, `t` (microseconds), `offsets` and `label`, a handful of clips that serve
    as training and test split alike, for trying things out.

    Args:
        root: The folder.
        cache: Folder for a copy of tonic's files that is read faster; None reads them as they are.
        origin: "first" for recordings whose clock does not start at 0, see `EventDataset`.

    Raises:
        InputError: The folder or its files are missing or damaged.
    """
    layout, folder = find_layout("dvs_gesture", root, LAYOUTS)
    if layout == "ten clips":
        train = test = read_event_npz(folder / "clips.npz")
        source = f"{SOURCE}; {len(train)} clips, test split = training split"
    else:
        parts = (folder / "DVSGesture" / f"ibmGesture{part}" for part in ("Train", "Test"))
        train, test = (_part(part, cache) for part in parts)
        source = SOURCE
    return EventDataset("dvs_gesture", train, test, CLASSES, (2, 128, 128), 1_450_000, origin=origin, source=source)


def _part(folder: Path, cache: str | Path | None) -> Split:
    files = [(path, int(path.stem)) for path in folder.glob("*/*.npy") if path.stem.isdecimal()]
    if not files:
        raise InputError(f"{folder}: holds no recordings USER_LIGHT/CLASS.npy")
    return read_files("dvsgesture", files, read=read_gesture, cache=cache)


def read_gesture(path: Path) -> Events:
    """One recording as tonic's archive holds it: columns x, y, polarity, milliseconds.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        columns = np.load(path, allow_pickle=False)
        if columns.ndim != 2 or columns.shape[1] != 4:
            raise ValueError(f"expected columns x, y, p, t, got an array of shape {columns.shape}")
        x, y, p, milliseconds = columns.T
        return pack_events(x=x, y=y, t=np.rint(1000 * milliseconds), p=p, offsets=[0, len(columns)])[0]
    except (OSError, EOFError, ValueError, TypeError, AttributeError) as error:  # InputError is a ValueError
        raise InputError(f"{path}: cannot be read as events ({error})") from error
