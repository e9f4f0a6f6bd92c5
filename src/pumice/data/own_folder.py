"""A user's own data: a folder of files or of .npz arrays, without writing a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pumice.data.checked import Origin
from pumice.data.dataset import Dataset, EventDataset, ImageDataset, Split, is_target
from pumice.data.event_files import READERS as EVENT_SUFFIXES
from pumice.data.event_files import EventFiles
from pumice.data.events import EventSamples, in_order
from pumice.data.pictures import IMAGE_SUFFIXES, open_picture
from pumice.data.recordings import EVENT_ARRAYS, read_event_npz
from pumice.data.sequence_files import read_sequences, sequences_of_arrays, without_equal_lengths
from pumice.data.sequences import SequenceDataset
from pumice.data.whole import whole_numbers
from pumice.errors import InputError
from pumice.files.arrays import names_in_npz, read_npz
from pumice.files.paths import possible_path
from pumice.files.text import name_problem

Kind = Literal["images", "events", "sequences"]
SEQUENCE_SUFFIXES = (".npy", ".csv")
ARRAYS: dict[Kind, tuple[str, ...]] = {
    "images": ("images", "labels"),
    "events": EVENT_ARRAYS,
    "sequences": ("values", "offsets", "labels"),
}
PARTS = ("train", "test")
MOST_CLASSES = 1_000_000
"""Each has a name and a neuron: one wrong label would ask for all the memory there is."""
_WANTED = (
    "a folder of your own holds train/CLASS/FILE and test/CLASS/FILE, or train.npz and test.npz; images are image "
    "files, or arrays `images` (N, height, width) or (N, channel, height, width) and `labels` (N,); recordings of "
    f"events are {', '.join(EVENT_SUFFIXES)} files of x, y, t, p, or all together x, y, t, p, offsets, label; "
    "sequences are .npy or "
    ".csv files (time, feature), or arrays `values` (all steps, feature), `offsets`, `labels`"
)


def load_folder(
    root: str | Path | None,
    *,
    test_share: float = 0.2,
    seed: int = 0,
    value_range: tuple[int, int] | None = None,
    sensor_shape: tuple[int, int, int] | None = None,
    duration_us: int | None = None,
    origin: Origin = "zero",
    class_names: tuple[str, ...] = (),
) -> Dataset:
    """A labelled dataset from a folder: one sub-folder per class, or arrays.

    - ``train/CLASS/FILE`` and ``test/CLASS/FILE``. Files are images (anything that Pillow reads; grey or RGB, all of
      one size), recordings of events (`read_events` lists their formats), or sequences of any
      length (``.npy`` or ``.csv`` of whole numbers, one row per step; the zeros behind shorter ones count for
      nothing, see `SequenceDataset`).

    - ``train.npz`` and ``test.npz``: arrays ``images`` (N, height, width) or (N, channel, height, width) and
      ``labels`` (N,); or ``x``, ``y``, ``t``, ``p`` of all recordings one after the other, ``offsets`` (N + 1,)
      where each begins, and ``label`` (N,); or ``values`` (all steps, feature) of all sequences one after the other,
      ``offsets`` and ``labels``.

    Labels in arrays that are floats of shape (N, n) or (N, n, time) are targets: numbers that the network is to
    answer. Without a test part, a share of each class is held back, the same one for the same seed.

    Args:
        root: The folder.
        test_share: Share of each class that is held back where there is no test part.
        seed: Chooses which.
        value_range: Smallest and largest pixel or value; 0 to 255 for 8 bits, else those found if not given.
        sensor_shape: (polarity, height, width) of events; the smallest that holds the first part's if not given.
        duration_us: Time that an encoder covers if it is not told another; the longest recording's if not given.
        origin: See `EventDataset`.
        class_names: Names of labels in arrays; "0", "1", ... if not given. Sub-folders have names.

    Raises:
        InputError: The folder holds neither, or files that cannot be read or do not fit each other; the message
            names the file.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.savez(folder / "train.npz", images=np.zeros((10, 8, 8), np.uint8), labels=np.arange(10) % 2)
        >>> data = load_folder(folder)
        >>> data.image_shape, len(data.train), len(data.test), data.class_names
        ((1, 8, 8), 8, 2, ('0', '1'))
    """
    folder = _folder(root)
    parts, names = _classes(folder) if (folder / "train").is_dir() else _arrays(folder, class_names)
    if len(parts) == 1:
        parts = _held_back(parts["train"], test_share, seed)
    parts, source = without_equal_lengths(parts), f"folder {folder.name}"
    if isinstance(parts["train"].samples, EventSamples):
        if duration_us is not None and duration_us < 1:
            raise InputError(f"duration_us must be at least 1, got {duration_us}")
        shape, longest = _extent(parts["train"].samples, origin, known=sensor_shape and duration_us)
        polarities, height, width = _numbers("sensor_shape", sensor_shape or shape, 3)
        sensor, duration = (polarities, height, width), duration_us or longest
        return EventDataset(
            folder.name, parts["train"], parts["test"], names, sensor, duration, origin=origin, source=source
        )
    found = value_range or _value_range(*(part.samples for part in parts.values()))
    low, high = _numbers("value_range", found, 2)
    kind = SequenceDataset if parts["train"].samples.ndim == 3 else ImageDataset
    return kind(folder.name, parts["train"], parts["test"], names, (low, high), source=source)


def _numbers(what: str, values: Any, n: int) -> tuple[int, ...]:
    is_list = isinstance(values, (tuple, list, np.ndarray)) and len(values) == n
    if not is_list or not all(isinstance(value, (int, np.integer)) for value in values):
        raise InputError(f"{what} must be {n} whole numbers, got {values}")
    return tuple(map(int, values))


def _folder(root: str | Path | None) -> Path:
    if root is None:
        raise InputError(f"the folder dataset needs a folder: --data-root DIR; {_WANTED}")
    folder = possible_path(root)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; {_WANTED}")
    if not (folder / "train").is_dir() and not (folder / "train.npz").is_file():
        raise InputError(f"{folder}: holds neither train/ nor train.npz; {_WANTED}")
    forms = {part: [form for form in (part, f"{part}.npz") if (folder / form).exists()] for part in PARTS}
    if len(forms["train"]) > 1 or (
        forms["test"] and forms["test"] != [f.replace("train", "test") for f in forms["train"]]
    ):
        both = ", ".join(form for found in forms.values() for form in found)
        raise InputError(f"{folder}: holds {both}; give both parts in one form: {_WANTED}")
    return folder.resolve()


def _arrays(folder: Path, class_names: tuple[str, ...]) -> tuple[dict[str, Split], tuple[str, ...]]:
    parts = {part: _array_split(path) for part in PARTS if (path := folder / f"{part}.npz").is_file()}
    kinds = {getattr(split.samples, "ndim", "events") for split in parts.values()}
    if len(kinds) > 1:
        raise InputError(f"{folder}: train.npz and test.npz hold samples of two kinds; {_WANTED}")
    for part, split in parts.items():
        if is_target(split.labels):
            continue  # checked when the dataset is made
        if split.labels.shape != (len(split),) or not len(split):
            raise InputError(
                f"{folder / part}.npz: expected N >= 1 samples and labels (N,), got {len(split)} and "
                f"{split.labels.shape}"
            )
    first = parts["train"].labels
    if is_target(first):
        return parts, tuple(class_names) or tuple(map(str, range(first.shape[1])))
    highest = max(int(split.labels.max(initial=0)) for split in parts.values())
    if highest >= MOST_CLASSES:
        raise InputError(
            f"{folder}: labels are classes, 0, 1 and so on, below {MOST_CLASSES:,}, got {highest}; number them anew"
        )
    return parts, tuple(class_names) or tuple(map(str, range(highest + 1)))


def _answers(path: Path, labels: Any) -> Any:
    """Class indices, or targets as they are: floats of more than one axis."""
    if is_target(labels) and labels.ndim > 1:
        return labels.astype(np.float32)
    return whole_numbers(f"{path}: labels", labels)


def _array_split(path: Path) -> Split:
    held = names_in_npz(path)
    if held >= set(ARRAYS["events"]):
        return read_event_npz(path)
    if held >= set(ARRAYS["sequences"]):
        return _sequence_split(path)
    if not held >= set(ARRAYS["images"]):
        raise InputError(f"{path}: holds the arrays {', '.join(sorted(held)) or 'none'}; {_WANTED}")
    images, labels = read_npz(path, ARRAYS["images"])
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim == 4 and images.shape[3] in {1, 3, 4} and images.shape[1] > 4:
        raise InputError(
            f"{path}: images {images.shape} have their channels last; transpose them to (N, 3, height, width)"
        )
    if images.dtype.kind not in "biu":
        raise InputError(f"{path}: images must be whole numbers, got {images.dtype}; scale and round them")
    images = images.astype(np.uint8) if images.dtype == np.bool_ else images
    if images.ndim != 4 or labels.shape[:1] != images.shape[:1]:
        raise InputError(
            f"{path}: expected images (N, height, width) or (N, channel, height, width) and labels (N,), got "
            f"{images.shape} and {labels.shape}"
        )
    return Split(images, _answers(path, labels))


def _sequence_split(path: Path) -> Split:
    values, offsets, labels = read_npz(path, ARRAYS["sequences"])
    return sequences_of_arrays(path, values, offsets, _answers(path, labels))


def _classes(folder: Path) -> tuple[dict[str, Split], tuple[str, ...]]:
    names = tuple(sorted(p.name for p in (folder / "train").iterdir() if p.is_dir() and not p.name.startswith(".")))
    if not names:
        raise InputError(f"{folder / 'train'}: holds no sub-folders; {_WANTED}")
    for name in names:
        if (problem := name_problem(name)) is not None:
            raise InputError(f"{folder / 'train'}: a class's name {problem}")
    parts: dict[str, Split] = {}
    kinds: dict[Kind, Path] = {}
    for part in (part for part in PARTS if (folder / part).is_dir()):
        unknown = {p.name for p in (folder / part).iterdir() if p.is_dir() and not p.name.startswith(".")} - {*names}
        if unknown:
            raise InputError(
                f"{folder / part}: holds {', '.join(sorted(unknown))}, no class of train/: {', '.join(names)}"
            )
        files = [(path, label) for label, name in enumerate(names) for path in _files(folder / part / name)]
        if not files:
            raise InputError(f"{folder / part}: its sub-folders hold no files; {_WANTED}")
        for path, _ in files:
            kinds.setdefault(_kind(path), path)
        if len(kinds) > 1:
            both = " and ".join(str(path.relative_to(folder)) for path in kinds.values())
            raise InputError(f"{folder}: {both} are of two kinds; {_WANTED}")
        labels = np.array([label for _, label in files])
        read = _READERS[next(iter(kinds))]
        parts[part] = read([path for path, _ in files], labels)
    return parts, names


def _files(folder: Path) -> list[Path]:
    """Files of a class, also in folders below it; what is hidden is left out."""
    found = folder.rglob("*") if folder.is_dir() else ()
    shown = [p for p in found if not any(n.startswith(".") for n in p.relative_to(folder).parts)]
    files = sorted(p for p in shown if not p.is_dir())
    for path in files:
        if not path.is_file():
            raise InputError(f"{path}: is no file, or a link to one that is not there; put it there, or remove it")
    return files


def _kind(path: Path) -> Kind:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "images"
    if suffix in EVENT_SUFFIXES:
        return "events"
    if suffix in SEQUENCE_SUFFIXES:
        return "sequences"
    raise InputError(f"{path}: files of type {suffix or 'none'} are not known; {_WANTED}")


def _read_images(paths: list[Path], labels: npt.NDArray[Any]) -> Split:
    images = [_image(path) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != images[0].shape:
            raise InputError(
                f"{path}: is an image of (channel, height, width) {image.shape}, {paths[0]} one of "
                f"{images[0].shape}; make all of one size, and all grey or all coloured"
            )
    return Split(np.stack(images), labels)


def _image(path: Path) -> npt.NDArray[Any]:
    image, _ = open_picture(path)
    if image.mode in {"1", "L"}:
        return np.asarray(image.convert("L"))[None]
    if image.mode.startswith("I;16") or image.mode == "I":  # Pillow would clip them to 8 bits
        return np.asarray(image)[None]
    if image.mode not in {"RGB", "P"} or "transparency" in image.info:
        raise InputError(
            f"{path}: is an image of Pillow's mode {image.mode}, with transparency, fractions or another colour "
            "space; save it as grey or RGB"
        )
    pixels = np.asarray(image.convert("RGB"))
    gray = image.mode == "P" and (pixels == pixels[..., :1]).all()
    return pixels[None, ..., 0] if gray else pixels.transpose(2, 0, 1)


def _read_events(paths: list[Path], labels: npt.NDArray[Any]) -> Split:
    return Split(EventSamples(EventFiles(tuple(paths)), np.arange(len(paths))), labels)


_READERS: Mapping[Kind, Callable[[list[Path], npt.NDArray[Any]], Split]] = {
    "images": _read_images,
    "events": _read_events,
    "sequences": read_sequences,
}


def _held_back(split: Split, share: float, seed: int) -> dict[str, Split]:
    """Of each class a share, at least one sample where there are two."""
    if not isinstance(share, (int, float)) or not 0 < share < 1:
        raise InputError(f"test_share must lie between 0 and 1, got {share!r}; there is no test part in the folder")
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, got {seed!r}")
    rng, test = np.random.default_rng(seed), np.zeros(len(split), bool)
    if is_target(split.labels):
        test[rng.permutation(len(split))[: max(1, round(share * len(split)))]] = True
    for label in [] if is_target(split.labels) else np.unique(split.labels):
        members = rng.permutation(np.flatnonzero(split.labels == label))
        test[members[: min(len(members) - 1, max(1, round(share * len(members))))]] = True
    if not test.any():
        raise InputError("no class has two samples, so none can be held back; give a test part")
    return {"train": split.select(np.flatnonzero(~test)), "test": split.select(np.flatnonzero(test))}


def _extent(samples: EventSamples, origin: Origin, *, known: Any) -> tuple[tuple[int, int, int], int]:
    """The smallest sensor and the longest time that hold all events."""
    if known:
        return (1, 1, 1), 1
    recordings = [in_order(events) for events in samples if len(events)]
    if not recordings:
        raise InputError("no recording of the train part holds an event")
    largest = {name: max(int(events[name].max()) for events in recordings) for name in ("p", "y", "x")}
    span = max(int(events["t"][-1]) - (int(events["t"][0]) if origin == "first" else 0) for events in recordings)
    return (largest["p"] + 1, largest["y"] + 1, largest["x"] + 1), max(1, span + 1)


def _value_range(*parts: npt.NDArray[Any]) -> tuple[int, int]:
    if all(part.dtype == np.uint8 for part in parts):
        return 0, 255
    return min(0, *(int(part.min()) for part in parts)), max(1, *(int(part.max()) for part in parts))
