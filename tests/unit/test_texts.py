"""Texts: both halves, users' files, and that the two never meet."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.errors import TextsError
from edgeslm.fidelity import texts
from edgeslm.fidelity.texts import load_texts, parse_texts


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_built_in_halves_are_large_varied_and_disjoint() -> None:
    calibration, scoring = load_texts(None, None)
    for half in (calibration, scoring):
        assert len(half.lines) >= 40
        assert half.described == f"{len(half.lines)} built-in texts"
        words = [len(line.split()) for line in half.lines]
        assert min(words) == 1
        assert max(words) >= 150
        assert any(ord(letter) > 0x400 for line in half.lines for letter in line), "no other script"
        assert any(letter.isdigit() for line in half.lines for letter in line)
    assert not set(calibration.lines) & set(scoring.lines)
    assert calibration.digest != scoring.digest


def test_a_users_file_takes_the_place_of_one_half(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\n\r\n  two  \n")
    calibration, scoring = load_texts(None, file)
    assert scoring.lines == ("one", "two")
    assert scoring.numbers == (1, 3)
    assert scoring.described.startswith("mine.txt (2 texts, sha256 ")
    assert calibration == load_texts(None, None)[0]
    assert load_texts(file, None)[0].lines == ("one", "two")


def test_digest_is_of_the_texts_alone(tmp_path: Path) -> None:
    one = load_texts(None, write(tmp_path / "a.txt", "first", "second"))[1]
    other = load_texts(None, write(tmp_path / "b.txt", "", "first", "", "second"))[1]
    changed = load_texts(None, write(tmp_path / "c.txt", "first", "third"))[1]
    assert one.digest == other.digest
    assert one.digest != changed.digest


def test_the_same_file_for_both_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.txt", "one", "two")
    (tmp_path / "link.txt").symlink_to(file)
    for other in (file, tmp_path / "link.txt"):
        with pytest.raises(TextsError, match="the calibration text is the scoring text"):
            load_texts(file, other)


def test_a_copy_is_the_same_text(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.txt", "one", "two"), write(tmp_path / "b.txt", "two", "one")
    with pytest.raises(TextsError, match="the calibration text is the scoring text"):
        load_texts(one, other)


def test_shared_lines_are_named_with_both_files(tmp_path: Path) -> None:
    one = write(tmp_path / "a.txt", "alone", "", "Straße  nach Rom", "more")
    other = write(tmp_path / "b.txt", "something", "strasse nach rom", "else")
    with pytest.raises(TextsError) as caught:
        load_texts(one, other)
    message = caught.value.message
    assert "1 of 3 scoring texts also calibrate" in message
    assert "line 3 and line 2: 'strasse nach rom'" in message
    assert str(one) in message
    assert str(other) in message


@pytest.mark.parametrize("use", ["calibration", "eval"])
def test_a_users_text_must_not_be_in_the_other_built_in_half(tmp_path: Path, use: str) -> None:
    built_in = dict(zip(("calibration", "eval"), load_texts(None, None), strict=True))
    other = built_in["eval" if use == "calibration" else "calibration"]
    file = write(tmp_path / "mine.txt", "a text of my own", other.lines[7])
    with pytest.raises(TextsError, match=r"line \d+ and line \d+"):
        load_texts(file if use == "calibration" else None, file if use == "eval" else None)


def test_bad_utf8_is_reported_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes(b"fine\n" + "café\n".encode("latin-1"))
    with pytest.raises(TextsError, match=r"latin\.txt:2: byte 0xe9 at column 4 is not UTF-8"):
        load_texts(None, file)


def test_a_nul_byte_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"abc\nd\0f\n")
    with pytest.raises(TextsError, match=r"x\.bin:2: holds a NUL byte"):
        load_texts(None, tmp_path / "x.bin")


@pytest.mark.parametrize("content", ["", "\n\n  \n\t\n"])
def test_a_file_without_text(tmp_path: Path, content: str) -> None:
    (tmp_path / "empty.txt").write_text(content)
    with pytest.raises(TextsError, match=r"empty\.txt holds no text"):
        load_texts(None, tmp_path / "empty.txt")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.txt", tmp_path):
        with pytest.raises(TextsError, match="cannot be read"):
            load_texts(path, None)


def test_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "many.txt", *(f"text {number}" for number in range(texts.MAX_TEXTS + 1)))
    with pytest.raises(TextsError, match=rf"many\.txt:{texts.MAX_TEXTS + 1}: more than {texts.MAX_TEXTS} texts"):
        load_texts(None, file)
    monkeypatch.setattr(texts, "MAX_BYTES", 100)
    with pytest.raises(TextsError, match="is larger than"):
        load_texts(None, file)


@given(st.binary(max_size=200))
def test_any_bytes_are_texts_or_a_texts_error(raw: bytes) -> None:
    try:
        lines, numbers = parse_texts(raw, "fuzz")
    except TextsError:
        return
    assert len(lines) == len(numbers) >= 1
    assert list(numbers) == sorted(set(numbers))
    rows = raw.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert [rows[number - 1].decode().strip() for number in numbers] == list(lines)
