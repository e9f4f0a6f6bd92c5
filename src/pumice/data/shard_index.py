"""Where each sample of WebDataset shards lies: found once, kept in memory or in a cache."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pumice.data.image_files import PackedNames
from pumice.data.pictures import IMAGE_SUFFIXES
from pumice.data.whole import whole_numbers
from pumice.errors import FileFormatError, InputError
from pumice.files.arrays import read_npz, write_npz
from pumice.files.folders import make_folder
from pumice.files.reading import reading, shown
from pumice.files.tar import Archive, TarMember, tar_members

Numbers = npt.NDArray[np.int64]
VERSION = 1
LABEL = ".cls"
LARGEST_LABEL, LABEL_BYTES = 2**31 - 1, 16
_ARRAYS = ("which", "offsets", "sizes", "labels", "names", "ends")


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """Pictures in tar archives, of which a million take tens of megabytes, and which worker processes share.

    Attributes:
        archives: The shards.
        which: Each picture's shard, shape (N,).
        offsets: Where in the shard it begins, in bytes, shape (N,).
        sizes: Its bytes, shape (N,).
        labels: Its class, shape (N,).
        names: What the shard calls it.
    """

    archives: Sequence[Archive]
    which: Numbers
    offsets: Numbers
    sizes: Numbers
    labels: Numbers
    names: PackedNames

    def __len__(self) -> int:
        return len(self.which)

    def __getitem__(self, index: int) -> TarMember:
        archive = self.archives[self.which[index]]
        return TarMember(archive, self.names[index], int(self.offsets[index]), int(self.sizes[index]))


def shard_index(paths: Sequence[Path], cache: str | Path | None = None) -> ShardIndex:
    """The samples of shards: pairs of members ``KEY.jpg`` (or another picture) and ``KEY.cls``, in their order.

    As in WebDataset, a key is a member's name up to the first dot behind its last slash, and the members of a sample
    follow each other. Other members are left alone, and so is what is hidden.

    Args:
        paths: The shards, in order.
        cache: A folder where the index is kept for the next time; None finds it each time.

    Raises:
        InputError: A shard is no uncompressed tar archive, is damaged, or holds a picture without a class, or
            a class without a picture; or the cache is damaged, or cannot be written.

    Example:
        ::

            index = shard_index([Path("train-0000.tar")])
            index[0].read(), index.labels[0]  # the first picture's bytes, and its class
    """
    archives = [Archive.found(path) for path in paths]
    if cache is None:
        return _found(archives)
    state = [VERSION, *((str(a.path), a.size, a.changed_ns) for a in archives)]
    entry = Path(cache) / f"shards-{hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]}.npz"
    if entry.exists():
        try:
            return _kept(entry, archives)
        except (InputError, FileFormatError) as error:
            raise InputError(f"{error}; delete it, it is made again") from error
    index = _found(archives)
    make_folder(entry.parent)
    arrays = (index.which, index.offsets, index.sizes, index.labels, index.names.text, index.names.ends)
    write_npz(entry, dict(zip(_ARRAYS, arrays, strict=True)))
    return index


def _found(archives: Sequence[Archive]) -> ShardIndex:
    places: list[tuple[int, int, int, int]] = []
    names: list[str] = []
    for which, archive in enumerate(archives):
        for member, label in _samples(archive):
            places.append((which, member.offset, member.size, label))
            names.append(member.name)
    which_of, offsets, sizes, labels = np.array(places, np.int64).reshape(-1, 4).T
    return ShardIndex(archives, which_of, offsets, sizes, labels, PackedNames(names))


def _kept(entry: Path, archives: Sequence[Archive]) -> ShardIndex:
    with reading(entry, "an index of shards", InputError):
        *numbers, text, ends = read_npz(entry, _ARRAYS)
        which, offsets, sizes, labels = (whole_numbers(f"{entry}: a place", array) for array in numbers)
        index = ShardIndex(
            archives, which, offsets, sizes, labels, PackedNames.unpacked(text, whole_numbers(f"{entry}: ends", ends))
        )
        if len({len(index.names), *map(len, numbers)}) > 1 or any((array < 0).any() for array in numbers):
            raise ValueError("its arrays do not fit each other")
        if (which >= len(archives)).any():
            raise ValueError("it names more shards than there are")
        if (offsets > np.array([archive.size for archive in archives])[which] - sizes).any():
            raise ValueError("a picture ends behind its shard")
    return index


def _samples(archive: Archive) -> Iterator[tuple[TarMember, int]]:
    with reading(archive.path, "a file", InputError), archive.path.open("rb") as file:
        members = (member for member in tar_members(archive) if _key(member) is not None)
        for _, group in itertools.groupby(members, _key):
            if (sample := _sample(file, list(group))) is not None:
                yield sample


def _key(member: TarMember) -> tuple[str, str] | None:
    """(folder, name up to its first dot); None of what is hidden."""
    folder, _, name = member.name.rpartition("/")
    key = name.partition(".")[0]
    return (folder, key) if key else None


def _sample(file: BinaryIO, members: list[TarMember]) -> tuple[TarMember, int] | None:
    """A picture and its class; None of members that are neither."""
    kinds = [(f".{member.name.rpartition('/')[2].partition('.')[2].lower()}", member) for member in members]
    pictures = [member for kind, member in kinds if kind in IMAGE_SUFFIXES]
    labels = [member for kind, member in kinds if kind == LABEL]
    if not pictures and not labels:
        return None
    if len(pictures) == len(labels) == 1:
        return pictures[0], _label(file, labels[0])
    raise InputError(
        f"{shown(members[0])}: a sample must have one picture ({', '.join(IMAGE_SUFFIXES)}) and one {LABEL}, side by "
        f"side, got {len(pictures)} and {len(labels)}"
    )


def _label(file: BinaryIO, member: TarMember) -> int:
    text = b""
    if member.size <= LABEL_BYTES:
        file.seek(member.offset)
        text = file.read(member.size).strip()
    if not text.isdigit() or int(text) > LARGEST_LABEL:
        raise InputError(f"{shown(member)}: must hold the number of a class, 0 to {LARGEST_LABEL:,}, and no more")
    return int(text)
