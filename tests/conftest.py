import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

# How long an example takes is the machine's, and no test is about it.
settings.register_profile("pumice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pumice")


class Warm:
    """Runs programs in processes of their own, which need not import again what `warm.py` has: it takes seconds."""

    def __init__(self, folder):
        self._folder = folder
        self._process = None

    def __call__(self, program, *arguments, folder, timeout, **environment):
        """As `subprocess.run([sys.executable, "-c", program, *arguments])` with captured output."""
        process = self._process = self._process or self._started()
        printed = {name: str(self._folder / f"{name}.txt") for name in ("stdout", "stderr")}
        for path in printed.values():
            Path(path).write_text("")
        job = {"program": program, "arguments": arguments, "folder": str(folder), "environment": environment}
        alarm = threading.Timer(timeout, self.close)
        alarm.start()
        process.stdin.write(json.dumps(job | printed) + "\n")
        process.stdin.flush()
        code = process.stdout.readline()
        alarm.cancel()
        found = {name: Path(path).read_text() for name, path in printed.items()}
        assert code, f"no answer within {timeout} s; printed: {found}"
        return subprocess.CompletedProcess(arguments, int(code), **found)

    def _started(self):
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def close(self):
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="session")
def run_warm(tmp_path_factory):
    """Function: run a program in a fork of a process that has imported torch, Lava and pumice."""
    warm = Warm(tmp_path_factory.mktemp("warm"))
    yield warm
    warm.close()


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
