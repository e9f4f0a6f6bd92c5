import h5py
import pytest


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
