"""Damaged files: whatever the bytes, loading gives a graph or one of our errors.

Without their digest, which would find the damage before the reader sees it.
"""

import contextlib
import warnings

import numpy as np
import pytest

import pumice
from pumice.errors import PumiceError
from pumice.files.seal import SEAL_BYTES
from pumice.ir.builder import chain
from pumice.netx import load, save
from pumice.testing.strategies import cases, example

FILES = {"chain": 100, "graph": 30}
"""`pytest -m campaign` tries thousands."""


def networks():
    plain = pumice.certify(chain((2, 2, 1), [3, 2], seed=1), np.ones((6, 2, 2, 1), int)).replace(info={"a": "b"})
    return {"chain": plain, "graph": example(cases(n_steps=4), 3)[0]}


@pytest.mark.parametrize("kind", ["chain", "graph"])
def test_damaged_files(tmp_path, kind):
    rng = np.random.default_rng(5)
    path = tmp_path / "a.net"
    save(networks()[kind], path)
    whole = path.read_bytes()[:-SEAL_BYTES]
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tried in range(FILES[kind]):
            data = bytearray(whole)
            if tried % 5 == 0:
                del data[int(rng.integers(len(data))) :]
            elif tried % 5 == 1:
                start = int(rng.integers(len(data)))
                data[start : start + 64] = rng.integers(
                    0, 256, len(data[start : start + 64]), dtype=np.uint8
                ).tobytes()
            else:
                for place in rng.integers(len(data), size=rng.integers(1, 12)):
                    data[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(data)
            try:
                load(path)
            except PumiceError:
                refused += 1
    assert refused > FILES[kind] // 5


@pytest.mark.parametrize("kind", ["chain", "graph"])
def test_truncated_files(tmp_path, kind):
    path = tmp_path / "a.net"
    save(networks()[kind], path)
    whole = path.read_bytes()[:-SEAL_BYTES]
    for length in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:length])
        with contextlib.suppress(PumiceError):
            load(path)
            pytest.fail(f"{length} of {len(whole)} bytes were read as a whole file")
