import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image


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
