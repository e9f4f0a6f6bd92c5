"""Lava runs wherever a caller is: workers of pools and loaders, closed streams, other start methods, notebooks."""

import io
import multiprocessing
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from pumice.backends import get_backend
from pumice.backends.lava import LavaBackend
from pumice.ir.builder import chain

pytestmark = pytest.mark.lava

GRAPH = chain((12,), [8, 5], seed=3, vth_mant=100)
X = (np.random.default_rng(0).random((20, 12)) < 0.4).astype(int)
EXPECTED = get_backend("reference").run(GRAPH, X).spikes


def run(_=0):
    return LavaBackend().run(GRAPH, X).spikes


class Samples(torch.utils.data.Dataset):
    """Each is a run."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return run()


def test_in_a_worker_of_a_pool():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        np.testing.assert_array_equal(pool.map(run, [0])[0], EXPECTED)
    assert EXPECTED.any()


def test_in_workers_of_a_data_loader():
    loader = torch.utils.data.DataLoader(Samples(), num_workers=2, multiprocessing_context="fork", batch_size=1)
    for spikes in loader:
        np.testing.assert_array_equal(spikes[0].numpy(), EXPECTED)


class Notebook(io.StringIO):
    """As Jupyter's streams: no file beneath."""

    def fileno(self):
        raise io.UnsupportedOperation("fileno")


def test_in_a_notebook(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, Notebook())
    np.testing.assert_array_equal(run(), EXPECTED)


SCRIPT = """
    import multiprocessing
    import sys

    import numpy as np

    from pumice.backends.lava import LavaBackend
    from pumice.ir.builder import chain


    def run(_=0):
        x = (np.random.default_rng(0).random((20, 12)) < 0.4).astype(int)
        try:
            return LavaBackend().run(chain((12,), [8, 5], seed=3, vth_mant=100), x).spikes
        except BaseException as error:
            return np.array([repr(error)])


    if __name__ == "__main__":
        found = {"here": run()}  # before any file is opened, so that descriptors 0 to 2 are free
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found["spawned"] = pool.map(run, [0])[0]
        np.savez(sys.argv[1], **found)
"""


@pytest.mark.slow
def test_with_closed_streams_and_in_a_spawned_worker_of_a_pool(tmp_path):
    script, found = tmp_path / "service.py", tmp_path / "found.npz"
    script.write_text(textwrap.dedent(SCRIPT))
    subprocess.run(["sh", "-c", f'exec "{sys.executable}" "{script}" "{found}" <&- >&- 2>&-'], check=True)
    with np.load(found) as results:
        for name in ("here", "spawned"):
            np.testing.assert_array_equal(results[name], EXPECTED, err_msg=name)
