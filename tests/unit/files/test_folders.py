import pytest

from pumice.errors import InputError
from pumice.files.folders import make_folder


def test_parents_are_made_and_existing_folders_are_fine(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "a").write_text("")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(InputError, match="cannot be made a folder"):
            make_folder(folder)
