"""The stage cache from outside: what is done once, done again, and never half done."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeslm.artifacts import Samples
from edgeslm.cache import ARTIFACT, StageCache, code_digest, explain_full_disk, prune
from edgeslm.digest import file_digest
from edgeslm.errors import StorageError


@contextlib.contextmanager
def quiet(stage: str, cached: bool) -> Iterator[None]:
    yield


class Maker:
    """A stage that counts how often it runs."""

    def __init__(self, content: bytes = b"content") -> None:
        self.runs = 0
        self.content = content

    def __call__(self, out: Path) -> Samples:
        self.runs += 1
        (out / "samples.npz").write_bytes(self.content)
        return Samples(out, file_digest(out / "samples.npz"), "made in a test", 1)


def test_a_second_run_finds_what_the_first_made(tmp_path: Path) -> None:
    maker = Maker()
    first = StageCache(tmp_path, quiet).stage("s", ["key"], Samples, maker)
    cache = StageCache(tmp_path, quiet)
    second = cache.stage("s", ["key"], Samples, maker)
    assert maker.runs == 1
    assert second == first
    assert second.path.read_bytes() == b"content"
    assert [record.cached for record in cache.records] == [True]


def test_another_key_runs_the_stage_again(tmp_path: Path) -> None:
    maker = Maker()
    cache = StageCache(tmp_path, quiet)
    cache.stage("s", ["key"], Samples, maker)
    cache.stage("s", ["other"], Samples, maker)
    assert maker.runs == 2


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "artifact"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, damage: str) -> None:
    maker = Maker()
    made = StageCache(tmp_path, quiet).stage("s", ["key"], Samples, maker)
    match damage:
        case "truncate":
            made.path.write_bytes(b"cont")
        case "flip":
            made.path.write_bytes(b"Content")
        case "remove":
            made.path.unlink()
        case "artifact":
            (made.root / ARTIFACT).write_text("{")
    again = StageCache(tmp_path, quiet).stage("s", ["key"], Samples, maker)
    assert maker.runs == 2
    assert again.path.read_bytes() == b"content"


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_a_stage_that_ends_midway_leaves_nothing(tmp_path: Path, end: type[BaseException]) -> None:
    def stop(out: Path) -> Samples:
        (out / "half").write_bytes(b"half")
        raise end

    with pytest.raises(end):
        StageCache(tmp_path, quiet).stage("s", ["key"], Samples, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_explained(tmp_path: Path) -> None:
    def full(out: Path) -> Samples:
        raise OSError(errno.ENOSPC, "No space left on device", str(out / "model"))

    with pytest.raises(StorageError, match="No space left"):
        StageCache(tmp_path, quiet).stage("s", ["key"], Samples, full)
    with pytest.raises(OSError, match="boom"), explain_full_disk(tmp_path):
        raise OSError(errno.EIO, "boom")


def test_prune_forgets_the_longest_unused_first(tmp_path: Path) -> None:
    cache = StageCache(tmp_path, quiet)
    old = cache.stage("s", ["old"], Samples, Maker(b"x" * 5000))
    new = cache.stage("s", ["new"], Samples, Maker(b"y" * 5000))
    os.utime(old.root / ARTIFACT, (1, 1))
    assert prune(tmp_path, 100_000) == 0
    assert prune(tmp_path, 7000) > 5000
    assert not old.root.exists()
    assert new.path.exists()
    leftover = tmp_path / ".s-killed"
    leftover.mkdir()
    os.utime(leftover, (1, 1))
    prune(tmp_path, 100_000)
    assert not leftover.exists()


def test_code_digest_follows_the_sources() -> None:
    assert code_digest("passes") != code_digest("quantize")
    assert code_digest("cache") == code_digest("cache")
