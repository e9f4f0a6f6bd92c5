import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pumice.errors import InputError
from pumice.files.write import replace_atomically, sync_file

fcntl = pytest.importorskip("fcntl", reason="only POSIX says how a descriptor was opened")


def can_write(descriptor):
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


@pytest.fixture
def synced(monkeypatch):
    """Inodes that were synced, in order; a descriptor that is not open for writing is refused, as by Windows."""
    inodes = []

    def fsync(descriptor):
        inodes.append(os.fstat(descriptor).st_ino)
        if not can_write(descriptor):
            raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(os, "fsync", fsync)
    return inodes


def test_a_file_is_written_where_only_handles_for_writing_are_synced(synced, tmp_path):
    with replace_atomically(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert synced == [(tmp_path / "a.txt").stat().st_ino, tmp_path.stat().st_ino]  # the content, then the name


def test_a_file_is_written_where_folders_cannot_be_opened(monkeypatch, tmp_path):
    def refuses(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuses)
    with replace_atomically(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_disk_that_fails_leaves_the_old_file(monkeypatch, tmp_path):
    def fsync(_):
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", fsync)
    with (
        pytest.raises(InputError, match=r"a\.txt: cannot be written \(Input/output error\)"),
        replace_atomically(tmp_path / "a.txt") as temporary,
    ):
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_temporary_file_that_cannot_be_removed_does_not_hide_the_reason(monkeypatch, tmp_path):
    def refuses(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(type(tmp_path), "unlink", refuses)
    with (
        pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"),
        replace_atomically(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(InputError, match=r"nowhere.a\.txt: cannot be written \(No such file"),
        replace_atomically(tmp_path / "nowhere" / "a.txt") as temporary,
    ):
        temporary.write_text("new")


def test_threads_that_write_one_file_do_not_mix(tmp_path):
    together = threading.Barrier(4)

    def write(text):
        together.wait()
        with replace_atomically(tmp_path / "a.txt") as temporary:
            temporary.write_text(text[:500])
            together.wait()
            temporary.write_text(text)

    texts = [letter * 1000 for letter in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, texts))
    assert (tmp_path / "a.txt").read_text() in texts
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_that_is_not_there_is_not_synced(tmp_path):
    with pytest.raises(FileNotFoundError):
        sync_file(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())
