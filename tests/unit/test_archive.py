"""The container: alignment, sameness, and no belief in what it reads."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.errors import BundleError
from edgeslm.formats import archive
from edgeslm.formats.archive import ALIGNMENT, open_archive, replacing, write_archive

NAMES = st.from_regex(r"[a-z_][a-z0-9_+!.-]{0,12}(/[a-z_][a-z0-9_.-]{0,12}){0,3}", fullmatch=True)
MEMBERS = st.dictionaries(NAMES, st.binary(max_size=300), max_size=8)


def data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where a member's content begins, by the zip's own local header."""
    header = path.read_bytes()[member.header_offset : member.header_offset + 30]
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
    return member.header_offset + 30 + int(name_bytes) + int(extra_bytes)


def read_all(path: Path) -> dict[str, bytes]:
    with open_archive(path) as opened:
        return {name: opened.read(name, 1 << 20) for name in opened.sizes}


def written(folder: Path, members: dict[str, bytes | Path], name: str = "a.edgeslm") -> Path:
    path = folder / name
    path.unlink(missing_ok=True)
    write_archive(path, members)
    return path


@given(members=MEMBERS)
def test_what_is_written_is_read_aligned_and_stored(
    members: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.getbasetemp(), {**members})
    raw = path.read_bytes()
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        for member in opened.infolist():
            start = data_offset(path, member)
            assert start % ALIGNMENT == 0
            assert raw[start : start + member.file_size] == members[member.filename]
    assert read_all(path) == members


@pytest.mark.parametrize("size", [10, 100, 5000])
def test_members_that_need_64_bit_sizes_are_aligned_too(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 90)
    path = written(tmp_path, {"a": b"a" * size, "b/c": b"b" * size})
    with zipfile.ZipFile(path) as opened:
        assert [data_offset(path, member) % ALIGNMENT for member in opened.infolist()] == [0, 0]
    assert read_all(path) == {"a": b"a" * size, "b/c": b"b" * size}


def test_the_same_members_give_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    first = written(tmp_path, {"b": b"1", "manifest.json": b"{}", "a": source}, "one")
    source.chmod(0o600)
    os.utime(source, (1, 1))
    second = written(tmp_path, {"a": source, "manifest.json": b"{}", "b": b"1"}, "two")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as opened:
        assert opened.namelist() == ["manifest.json", "a", "b"]
        assert {stat.filemode(member.external_attr >> 16) for member in opened.infolist()} == {"-rw-r--r--"}


def test_an_unpacked_folder_holds_the_same(tmp_path: Path) -> None:
    members = {"manifest.json": b"{}", "model/m.bin": b"weights"}
    path = written(tmp_path, {**members})
    with zipfile.ZipFile(path) as opened:
        opened.extractall(tmp_path / "unpacked")
    (tmp_path / "unpacked" / "edgeslm_device" / "__pycache__").mkdir(parents=True)
    (tmp_path / "unpacked" / "edgeslm_device" / "__pycache__" / "x.pyc").write_bytes(b"left by Python")
    assert read_all(tmp_path / "unpacked") == members


BAD_NAMES = ["../evil", "/etc/passwd", "a/../../b", "a\\b", "C:x", "a//b", "a/", ".", "a\0b", "ä", "x" * 300]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    placeholder = b"N" * len(name.encode())
    path = zip_with(tmp_path / "evil.edgeslm", lambda evil: evil.writestr(placeholder.decode(), b"x"))
    path.write_bytes(path.read_bytes().replace(placeholder, name.encode()))
    with pytest.raises(BundleError, match="name"), open_archive(path):
        pass


@pytest.mark.parametrize("name", [*BAD_NAMES, ""])
def test_bad_names_are_not_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="name"):
        write_archive(tmp_path / "mine.edgeslm", {name: b"x"})


def zip_with(path: Path, fill: Callable[[zipfile.ZipFile], None]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        fill(opened)
    return path


def add_twice(opened: zipfile.ZipFile) -> None:
    opened.writestr("a", b"1")
    with pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr("a", b"2")


def add_compressed(opened: zipfile.ZipFile) -> None:
    opened.writestr("a", b"0" * 100, zipfile.ZIP_DEFLATED)


def add_link(opened: zipfile.ZipFile) -> None:
    link = zipfile.ZipInfo("a")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    opened.writestr(link, "/etc/passwd")


def add_folder(opened: zipfile.ZipFile) -> None:
    opened.writestr("model/", b"")


@pytest.mark.parametrize(
    ("fill", "complaint"),
    [
        (add_twice, "a is there twice"),
        (add_compressed, "a is compressed"),
        (add_link, "a is a symbolic link"),
        (add_folder, "no plain relative path"),
    ],
)
def test_zips_that_are_no_bundle_are_refused(
    fill: Callable[[zipfile.ZipFile], None], complaint: str, tmp_path: Path
) -> None:
    path = zip_with(tmp_path / "odd.edgeslm", fill)
    with pytest.raises(BundleError, match=complaint), open_archive(path):
        pass


def test_links_and_pipes_in_a_folder_are_refused(tmp_path: Path) -> None:
    for name, make in (
        ("link", lambda at: at.symlink_to("/etc/passwd")),
        ("linked_folder", lambda at: at.symlink_to("/etc")),
        ("pipe", os.mkfifo),
        ("na me", lambda at: at.write_bytes(b"")),
    ):
        folder = tmp_path / f"with_{name}"
        folder.mkdir()
        make(folder / name)
        with pytest.raises(BundleError, match=name), open_archive(folder):
            pass


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    path = written(tmp_path, dict.fromkeys("abcd", b""))
    with pytest.raises(BundleError, match="more than 3"), open_archive(path):
        pass


def test_a_member_beyond_its_limit_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": b"12345"})
    with open_archive(path) as opened:
        assert opened.read("a", 5) == b"12345"
        with pytest.raises(BundleError, match="5 bytes, more than the 4"):
            opened.read("a", 4)
        with pytest.raises(BundleError, match="no member b"):
            opened.read("b", 4)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": b"12345"})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # the general purpose flags in the central directory
    path.write_bytes(raw)
    with pytest.raises(BundleError, match="a is encrypted"), open_archive(path):
        pass


def test_sizes_that_lie_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": b"12345"})
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    raw[entry + 20 : entry + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    path.write_bytes(raw)
    with pytest.raises(BundleError, match="claim more bytes than the file has"), open_archive(path):
        pass


@pytest.mark.parametrize("change", [b"", b"123", b"1234567"])
def test_a_file_that_changes_while_it_is_read_is_noticed(change: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    with open_archive(tmp_path) as opened:
        (tmp_path / "a").write_bytes(change)
        with pytest.raises(BundleError, match="a is not as long as it should be"):
            opened.read("a", 100)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere"), open_archive(tmp_path / "nowhere"):
        pass


WHOLE = {"manifest.json": b'{"a": 1}', "model/m.bin": bytes(range(200)), "z": b"end"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written(tmp_path_factory.mktemp("whole"), {**WHOLE}).read_bytes()


CUTS = st.one_of(st.just(0), st.integers(0, 2000))
FLIPS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 7)), max_size=4)


@settings(max_examples=300)
@given(cut=CUTS, flips=FLIPS)
def test_damage_gives_the_same_content_or_a_bundle_error(
    whole: bytes, cut: int, flips: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    read_damaged(whole, cut, flips, tmp_path_factory.getbasetemp() / "damaged.edgeslm")


@pytest.mark.deep
@settings(max_examples=20_000, deadline=None)
@given(cut=CUTS, flips=FLIPS)
def test_much_damage_gives_the_same_content_or_a_bundle_error(
    whole: bytes, cut: int, flips: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    read_damaged(whole, cut, flips, tmp_path_factory.getbasetemp() / "much_damaged.edgeslm")


def read_damaged(whole: bytes, cut: int, flips: list[tuple[int, int]], path: Path) -> None:
    damaged = bytearray(whole[: max(0, len(whole) - cut)])
    for position, bit in flips:
        if damaged:
            damaged[position % len(damaged)] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        found = read_all(path)
    except BundleError:
        return
    # A name is content too; CRC-32 finds every change of a few bits in a member.
    assert set(found.values()) <= set(WHOLE.values())


@settings(max_examples=200)
@given(junk=st.binary(max_size=200), ending=st.booleans())
def test_junk_gives_a_bundle_error(
    whole: bytes, junk: bytes, ending: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.edgeslm"
    path.write_bytes(junk + whole[-22:] if ending else junk)
    try:
        found = read_all(path)
    except BundleError:
        return
    assert found == {}


def write_half(path: Path, end: type[BaseException]) -> None:
    with replacing(path) as partial:
        partial.write_bytes(b"half")
        raise end


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_write_leaves_nothing(end: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "out.edgeslm"
    for before in (None, b"old"):
        if before:
            path.write_bytes(before)
        with pytest.raises(end):
            write_half(path, end)
        assert [file.read_bytes() for file in tmp_path.iterdir()] == ([before] if before else [])


def test_replacing_is_one_rename(tmp_path: Path) -> None:
    path = tmp_path / "out.edgeslm"
    path.write_bytes(b"old")
    with replacing(path) as partial:
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
