import io
import tarfile

import h5py
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def write_net():
    """Function: write layers, nested dictionaries of fields, to a file as lava-dl's exporter lays them out."""

    def put(group, fields):
        for name, value in fields.items():
            if isinstance(value, dict):
                put(group.create_group(name), value)
            else:
                group.create_dataset(name, data=value)

    def write(path, *layers, **others):
        with h5py.File(path, "w") as file:
            put(file, {"layer": {str(i): layer for i, layer in enumerate(layers)}, **others})
        return path

    return write


@pytest.fixture(scope="session")
def write_pictures():
    """Function: write an image folder of noise around a colour for each class, of many sizes, as JPEG and PNG."""

    def write(folder, parts=("train", "val"), n=4, classes=("cat", "dog"), sides=(30, 60)):
        rng = np.random.default_rng(0)
        for part in parts:
            for label, name in enumerate(classes):
                (folder / part / name).mkdir(parents=True)
                for index in range(n):
                    noise = rng.integers(0, 60, (*rng.integers(*sides, 2), 3), dtype=np.uint8)
                    noise[..., label] += 150
                    Image.fromarray(noise).save(folder / part / name / f"{index}.{('png', 'JPEG')[index % 2]}")
        return folder

    return write


@pytest.fixture(scope="session")
def write_tar():
    """Function: write (name, content) pairs to a tar archive, each with a time of fractions, as WebDataset does."""

    def write(path, members):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for name, content in members:
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(content), 1.5
                tar.addfile(info, io.BytesIO(content))
        return path

    return write


@pytest.fixture(scope="session")
def as_shards(write_tar):
    """Function: an image folder's files, in the order of their names, as WebDataset shards of so many samples."""

    def write(folder, root, samples=5):
        for part in sorted(p for p in folder.iterdir() if p.is_dir()):
            classes = sorted(p.name for p in part.iterdir())
            files = [path for name in classes for path in sorted((part / name).iterdir())]
            for start in range(0, len(files), samples):
                members = []
                for key, path in enumerate(files[start : start + samples], start):
                    label = classes.index(path.parent.name)
                    members += [
                        (f"{part.name}/{key:06d}{path.suffix}", path.read_bytes()),
                        (f"{part.name}/{key:06d}.cls", b"%d\n" % label),
                        (f"{part.name}/{key:06d}.json", b"{}"),
                    ]
                write_tar(root / f"photos-{part.name}-{start:04d}.tar", members)
        return root

    return write
