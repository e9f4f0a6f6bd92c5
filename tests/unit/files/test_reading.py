import os

import pytest

from pumice.errors import FileFormatError, InputError, PumiceError, ResourceError
from pumice.files.reading import file_size, reading


@pytest.mark.parametrize("raised", [RecursionError, OverflowError, KeyError, UnicodeError, AssertionError, EOFError])
def test_whatever_a_parser_raises_is_ours(raised):
    with (
        pytest.raises(InputError, match=r"a\.json: is not a recipe, or is damaged"),
        reading("a.json", "a recipe", InputError),
    ):
        raise raised


def test_memory_is_ours_too():
    with (
        pytest.raises(ResourceError, match=r"a\.net: there is not enough memory"),
        reading("a.net", "a", FileFormatError),
    ):
        raise MemoryError


def test_our_own_errors_pass():
    with pytest.raises(PumiceError, match=r"^as it is$"), reading("a", "b", InputError):
        raise FileFormatError("as it is")


def test_the_systems_reason_is_given(tmp_path):
    with (
        pytest.raises(InputError, match=r"nowhere: No such file or directory$"),
        reading(tmp_path / "nowhere", "b", InputError),
    ):
        file_size(tmp_path / "nowhere")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupts_pass(error):
    with pytest.raises(error), reading("a", "b", InputError):
        raise error


def test_only_regular_files_have_a_size(tmp_path):
    with pytest.raises(InputError, match="Is a directory"), reading(tmp_path, "a", InputError):
        file_size(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InputError, match="no regular file"), reading(tmp_path / "pipe", "a", InputError):
            file_size(tmp_path / "pipe")
