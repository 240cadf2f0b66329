"""Stored zip files: every member where it was asked to begin, whatever lies before it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeslm.formats.stored_zip import write_stored

NAMES = st.text("abcé/$.", min_size=1, max_size=20).filter(lambda name: not name.startswith("/"))


@given(
    members=st.dictionaries(NAMES, st.binary(max_size=200), min_size=1, max_size=5),
    powers=st.lists(st.integers(0, 15), min_size=5, max_size=5),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_members_begin_at_multiples_of_their_alignment(
    tmp_path: Path, members: dict[str, bytes], powers: list[int]
) -> None:
    alignments = {name: 1 << power for name, power in zip(members, powers, strict=False)}
    path = tmp_path / "a.zip"
    write_stored(path, members, members, alignments.__getitem__)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        assert [member.filename for member in opened.infolist()] == list(members)
        for member in opened.infolist():
            head = whole[member.header_offset : member.header_offset + 30]
            name, extra = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
            start = member.header_offset + 30 + name + extra
            assert start % alignments[member.filename] == 0
            assert whole[start : start + member.file_size] == members[member.filename]


def test_a_member_of_64_bit_sizes_is_aligned_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    path = tmp_path / "a.zip"
    (tmp_path / "large").write_bytes(b"x" * 150)
    write_stored(path, {"a": b"1", "large": tmp_path / "large"}, ["a", "large"], lambda name: 4096)
    assert path.read_bytes().index(b"x" * 150) % 4096 == 0
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
