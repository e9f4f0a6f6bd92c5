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
