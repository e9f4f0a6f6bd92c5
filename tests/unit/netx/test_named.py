"""Networks by name, from a folder and by a client of the user's."""

import numpy as np
import pytest

import pumice
from pumice import PumiceError
from pumice.ir import graph_digests
from pumice.ir.builder import chain
from pumice.netx.named import load_named, networks_in, read_card

GRAPH = chain((4,), [3, 2], seed=0)


@pytest.fixture
def folder(tmp_path):
    for name in ("small", "other"):
        (tmp_path / name).mkdir()
        pumice.save(GRAPH if name == "small" else chain((4,), [3, 2], seed=1), tmp_path / name / "network.net")
    (tmp_path / "small/CARD.md").write_text("# small\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_folder(folder):
    assert [*networks_in(folder)] == ["other", "small"]
    assert graph_digests(load_named("small", folder)) == graph_digests(GRAPH)
    assert graph_digests(load_named("other", folder)) != graph_digests(GRAPH)
    assert read_card("small", str(folder)) == "# small\n"


def test_a_client_is_asked_for_relative_paths_only(folder):
    asked = []

    def fetch(relative):
        asked.append(relative)
        return folder / relative

    assert graph_digests(load_named("small", fetch)) == graph_digests(GRAPH)
    assert read_card("small", fetch) == "# small\n"
    assert asked == ["small/network.net", "small/CARD.md"]


def test_what_a_client_gives_is_read_as_any_file(folder):
    (folder / "small/network.net").write_bytes(np.random.default_rng(0).bytes(999))
    with pytest.raises(PumiceError, match="not an HDF5 file"):
        load_named("small", lambda relative: folder / relative)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("smal", "did you mean 'small'"),
        ("empty", "there are: other, small|There are"),
        ("../small", "one word without separators"),
        ("a\\b", "one word without separators"),
        ("..", "one word without separators"),
        ("", "one word without separators"),
        (None, "one word without separators"),
    ],
)
def test_wrong_names(name, match, folder):
    with pytest.raises(PumiceError, match=match):
        load_named(name, folder)


def test_wrong_sources(folder):
    with pytest.raises(PumiceError, match="is no folder"):
        load_named("small", folder / "nowhere")
    with pytest.raises(PumiceError, match=r"must give the path of 'small/network\.net', got bytes"):
        load_named("small", lambda relative: b"HDF5")
    with pytest.raises(PumiceError, match="the card cannot be read"):
        read_card("other", folder)
