"""Whatever changes in a file after it was written is found when it is read."""

import numpy as np
import pytest

import pumice
from pumice.errors import FileFormatError
from pumice.files.seal import SEAL_BYTES, check_seal
from pumice.ir.builder import chain
from pumice.netx import load, save
from pumice.testing.strategies import cases, example


def networks():
    plain = pumice.certify(chain((2, 2, 1), [3, 2], seed=1), np.ones((6, 2, 2, 1), int)).replace(info={"a": "b"})
    return {"chain": plain, "graph": example(cases(n_steps=4), 3)[0]}


def flipped(whole, places, path):
    """Of these bits, those whose change is not noticed."""
    for place in places:
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        try:
            load(path)
        except FileFormatError:
            continue
        yield place


@pytest.mark.parametrize("kind", ["chain", "graph"])
def test_a_flipped_bit_is_found(tmp_path, kind):
    save(networks()[kind], tmp_path / "a.net")
    whole = (tmp_path / "a.net").read_bytes()
    places = np.random.default_rng(0).integers(8 * len(whole), size=300)
    seal = range(8 * (len(whole) - SEAL_BYTES), 8 * len(whole), 7)
    assert not [*flipped(whole, [*places.tolist(), *seal], tmp_path / "b.net")]


@pytest.mark.slow
def test_every_flipped_bit_is_found(tmp_path):
    save(networks()["chain"], tmp_path / "a.net")
    whole = (tmp_path / "a.net").read_bytes()
    assert not [*flipped(whole, range(8 * len(whole)), tmp_path / "b.net")]


def test_files_without_a_digest_are_read(tmp_path):
    graph = networks()["chain"]
    save(graph, tmp_path / "a.net")
    (tmp_path / "b.net").write_bytes((tmp_path / "a.net").read_bytes()[:-SEAL_BYTES])
    assert check_seal(tmp_path / "a.net")
    assert not check_seal(tmp_path / "b.net")
    assert load(tmp_path / "b.net").info == graph.info


def test_a_text_editor_is_named_as_damage(tmp_path):
    save(networks()["chain"], tmp_path / "a.net")
    data = (tmp_path / "a.net").read_bytes()
    (tmp_path / "a.net").write_bytes(data.replace(b"dense0", b"dense9"))
    with pytest.raises(FileFormatError, match=r"a\.net: was damaged after pumice wrote it"):
        load(tmp_path / "a.net")
