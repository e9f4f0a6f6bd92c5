"""Archives from anywhere: all that is in them is found, or they are refused."""

import os
import tarfile
import tracemalloc

import pytest

from pumice.errors import InputError
from pumice.files import tar
from pumice.files.tar import Archive, tar_members

CONTENT = [("a/0.jpg", b"x" * 700), ("a/0.cls", b"3"), (f"{'long/' * 40}1.jpg", b"y" * 512), ("ü.cls", b"")]


@pytest.fixture
def archive(tmp_path, write_tar):
    return write_tar(tmp_path / "a.tar", CONTENT)


def found(path):
    return [(member.name, member.read()) for member in tar_members(Archive.found(path))]


def test_members_are_read_from_where_they_lie(archive):
    assert found(archive) == CONTENT
    members = [*tar_members(Archive.found(archive))]
    assert [member.read() for member in members[::-1]] == [content for _, content in CONTENT[::-1]]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_forms_of_tar(form, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{'n' * 90}.txt").write_bytes(b"abc")
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as file:
        file.add(tmp_path / "in", arcname="in" * 10)
    assert found(tmp_path / "a.tar") == [(f"{'in' * 10}/{'n' * 90}.txt", b"abc")]


def cut_off(path):
    path.write_bytes(path.read_bytes()[:1800])


def cut_off_between_members(path):
    path.write_bytes(path.read_bytes()[: 5 * 512])  # attributes, header and two blocks of the first one


def header_damaged(path):
    data = bytearray(path.read_bytes())
    data[5 * 512 + 1] ^= 1
    path.write_bytes(data)


def joined(path):
    path.write_bytes(2 * path.read_bytes())


def compressed(path):
    data = path.read_bytes()
    with tarfile.open(path, "w:gz") as file:
        info = tarfile.TarInfo("0.jpg")
        file.addfile(info)
    assert path.read_bytes() != data


def with_member(**facts):
    def add(path):
        with tarfile.open(path, "a") as file:
            info = tarfile.TarInfo(facts.get("name", "b"))
            for name, value in facts.items():
                setattr(info, name, value)
            file.addfile(info)

    return add


def declared_size(field):
    """A member whose header declares a size of its own, or of the attributes that it says it has."""

    def write(path):
        info = tarfile.TarInfo("0.jpg")
        info.type = field
        block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
        block[124:136] = b"77777777777\0"  # 8 GiB
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        path.write_bytes(bytes(block) + bytes(2048))

    return write


def negative_size(path):
    info = tarfile.TarInfo("0.jpg")
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = (-1024).to_bytes(12, "big", signed=True)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path.write_bytes(bytes(block) + bytes(2048))


def pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b""), "is not an uncompressed tar archive, or is damaged"),
        (lambda path: path.write_bytes(b"no" * 600), "is not an uncompressed tar archive, or is damaged"),
        (pipe, "is no regular file"),
        (compressed, "is not an uncompressed tar archive"),
        (cut_off, "is damaged|or is damaged"),
        (cut_off_between_members, "there is neither a member nor its end"),
        (header_damaged, "there is neither a member nor its end"),
        (joined, "holds more behind its end, as if two archives were joined"),
        (with_member(type=tarfile.SYMTYPE, linkname="/etc/passwd"), "b: is a link, a device or"),
        (with_member(type=tarfile.LNKTYPE, linkname="a/0.jpg"), "b: is a link, a device or"),
        (with_member(type=tarfile.CHRTYPE), "b: is a link, a device or"),
        (with_member(name="o\x1b[2J"), r"printable characters, got 'o\\x1b\[2J'"),
        (with_member(name="n" * 300), "must have up to 256 printable characters"),
        (with_member(name="n" * 100_000), "a header has .* bytes, and may have"),
        (declared_size(tarfile.REGTYPE), "is damaged"),
        (declared_size(tarfile.XHDTYPE), "a header has .* bytes, and may have"),
        (declared_size(tarfile.GNUTYPE_LONGNAME), "a header has .* bytes, and may have"),
        (negative_size, "is damaged"),
    ],
)
def test_a_bad_archive_is_named_and_takes_no_memory(archive, damage, message):
    damage(archive)
    tracemalloc.start()
    with pytest.raises(InputError, match=rf"a\.tar.*({message})"):
        found(archive)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 22


def test_members_are_not_kept(tmp_path, write_tar):
    """Of an archive of many members only one at a time takes memory."""
    path = write_tar(tmp_path / "a.tar", [(f"{i}.cls", b"") for i in range(2000)])
    tracemalloc.start()
    n = sum(1 for _ in tar_members(Archive.found(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (n, peak < 1 << 19) == (2000, True)


def test_an_archive_that_was_replaced_is_not_read(archive):
    first = next(tar_members(Archive.found(archive)))
    os.utime(archive, ns=(0, 0))
    with pytest.raises(InputError, match=r"a\.tar: was changed while it was in use; start again"):
        first.read()
    assert str(first) == f"{archive}, a/0.jpg"
    assert tar.LARGEST_HEADER < 1 << 16
