"""Paths that no file has are one and the same error, on each version of Python and wherever they are given."""

from functools import partial

import pytest

import pumice
from pumice.data import load_folder, load_image_folder, load_image_shards, load_mnist, load_nmnist
from pumice.data.event_cache import cached_events
from pumice.errors import InputError
from pumice.files.folders import make_folder
from pumice.files.lock import locked_folder
from pumice.files.paths import possible_path
from pumice.files.reading import file_size, reading
from pumice.files.write import replace_atomically
from pumice.ir.builder import chain
from pumice.netx import networks_in
from pumice.reporting.page import page_path
from pumice.train.checkpoint import load_checkpoint
from pumice.train.recipe import load_recipe


def read(path):
    with reading(path, "a file", InputError):
        file_size(path)


def write(path):
    with replace_atomically(path):
        pytest.fail("the work began")


def lock(path):
    with locked_folder(path):
        pytest.fail("the work began")


def cache(path):
    cached_events(path, {}, lambda: pytest.fail("the work began"))


@pytest.mark.parametrize("place", ["a{}/b.html", "a{}.html"])
@pytest.mark.parametrize("character", ["\0", "\ud800"])
@pytest.mark.parametrize("use", [read, write, make_folder, lock, cache, page_path, possible_path])
def test_characters_that_no_path_may_hold(tmp_path, use, character, place):
    path = tmp_path / place.format(character)
    with pytest.raises(InputError) as raised:
        use(path)
    assert str(raised.value) == f"{str(path)!r}: holds {character!r}, which no path may hold"
    assert not list(tmp_path.iterdir())


def test_bytes_that_are_no_text_are_a_path(tmp_path):
    path = possible_path(tmp_path / b"\xff".decode(errors="surrogateescape"))
    assert path.name == "\udcff"


@pytest.mark.parametrize("given", [None, 3, [], chain((4,), [2], seed=0), b"a.net"])
@pytest.mark.parametrize(
    "use",
    [
        pumice.load,
        partial(pumice.save, chain((4,), [2], seed=0)),
        partial(pumice.to_nir, chain((4,), [2], seed=0)),
        partial(pumice.report, chain((4,), [2], seed=0)),
        load_recipe,
        load_checkpoint,
        load_folder,
        load_image_folder,
        load_image_shards,
        load_mnist,
        load_nmnist,
        partial(pumice.load_named, "small"),
        networks_in,
        possible_path,
    ],
    ids=lambda use: getattr(use, "func", use).__name__,
)
def test_what_is_no_path(use, given):
    with pytest.raises(InputError, match=f"^a path is needed, got {type(given).__name__}$|dataset needs a folder"):
        use(given)
