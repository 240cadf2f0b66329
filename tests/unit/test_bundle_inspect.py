"""Inspection: a bundle that was tampered with is never taken for a good one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.errors import BundleError
from edgeslm.formats.archive import write_archive
from tests.unit.tiny_build import tiny_build


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return tiny_build(folder / "build", "openvino", "linux-x86_64").write(folder).path


@pytest.fixture
def unpacked(whole: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(whole) as opened:
        opened.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def repacked(folder: Path, path: Path) -> Path:
    write_archive(path, {str(f.relative_to(folder)): f for f in folder.rglob("*") if f.is_file()})
    return path


def edit_manifest(folder: Path, edit: Callable[[dict[str, object]], None]) -> None:
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document, indent=1))


def test_a_bundle_is_the_same_packed_and_unpacked(whole: Path, unpacked: Path, tmp_path: Path) -> None:
    packed, folder = inspect_bundle(whole), inspect_bundle(unpacked)
    assert packed.digest == folder.digest
    assert packed.manifest == folder.manifest
    assert packed.files == folder.files
    assert (packed.unpacked, folder.unpacked) == (False, True)
    assert packed.bytes == whole.stat().st_size
    assert folder.bytes == sum(f.stat().st_size for f in unpacked.rglob("*") if f.is_file())
    assert repacked(unpacked, tmp_path / "again.edgeslm").read_bytes() == whole.read_bytes()


def test_a_reformatted_manifest_has_the_same_digest(whole: Path, unpacked: Path) -> None:
    edit_manifest(unpacked, lambda document: None)
    assert inspect_bundle(unpacked).digest == inspect_bundle(whole).digest


def flip_a_weight(folder: Path) -> None:
    path = folder / "model" / "model.bin"
    path.write_bytes(path.read_bytes().replace(b"the", b"The", 1))


def cut_a_file(folder: Path) -> None:
    path = folder / "model" / "model.xml"
    path.write_bytes(path.read_bytes()[:-1])


def remove_a_file(folder: Path) -> None:
    (folder / "tokenizer" / "tokenizer.json").unlink()


def add_a_file(folder: Path) -> None:
    (folder / "edgeslm_device" / "extra.py").write_text("import os")


def remove_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def unlist_the_model(folder: Path) -> None:
    (folder / "model" / "model.xml").unlink()
    edit_manifest(folder, lambda document: document["files"].pop("model/model.xml"))  # type: ignore[attr-defined]  # JSON


def newer(folder: Path) -> None:
    edit_manifest(folder, lambda document: document.update(schema_version=7, edgeslm="9.9"))


def odd_field(folder: Path) -> None:
    edit_manifest(folder, lambda document: document.update(below_gate="no"))


@pytest.mark.parametrize(
    ("tamper", "complaint"),
    [
        (flip_a_weight, "content of member model/model.bin does not match"),
        (cut_a_file, "member model/model.xml has"),
        (remove_a_file, "member tokenizer/tokenizer.json is missing"),
        (add_a_file, "member edgeslm_device/extra.py is not listed"),
        (remove_the_manifest, "no manifest.json"),
        (unlist_the_model, "speaks of model/model.xml"),
        (newer, "schema version 7"),
        (odd_field, "below_gate"),
    ],
)
def test_tampering_is_found_and_named(
    tamper: Callable[[Path], None], complaint: str, unpacked: Path, tmp_path: Path
) -> None:
    tamper(unpacked)
    for path in (unpacked, repacked(unpacked, tmp_path / "tampered.edgeslm")):
        with pytest.raises(BundleError, match=complaint) as caught:
            inspect_bundle(path)
        assert caught.value.hint
        assert str(path) in caught.value.message


@settings(max_examples=200)
@given(data=st.data())
def test_a_damaged_bundle_is_refused_or_still_the_same(
    whole: Path, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(whole.read_bytes())
    damaged = (
        damaged[: data.draw(st.integers(0, len(damaged)), "length")] if data.draw(st.booleans(), "cut") else damaged
    )
    for _ in range(data.draw(st.integers(1, 3), "flips") if damaged else 0):
        position = data.draw(st.integers(0, len(damaged) - 1), "position")
        damaged[position] ^= 1 << data.draw(st.integers(0, 7), "bit")
    path = tmp_path_factory.getbasetemp() / "damaged_bundle.edgeslm"
    path.write_bytes(damaged)
    try:
        found = inspect_bundle(path)
    except BundleError:
        return
    assert found.manifest == inspect_bundle(whole).manifest


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"#!/bin/sh\n"])
def test_other_files_are_no_bundles(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.edgeslm"
    path.write_bytes(content)
    with pytest.raises(BundleError):
        inspect_bundle(path)


def test_the_command_prints_a_table_or_one_document(whole: Path, unpacked: Path) -> None:
    from edgeslm.cli.inspect import inspect

    shown = CliRunner().invoke(inspect, [str(whole)])
    assert shown.exit_code == 0, shown.exception
    assert "all 2 passed" in shown.stdout
    assert "cosine at least 0.998123 on 32 samples" in shown.stdout
    assert "model/model.bin" in shown.stdout
    assert "digests are right" in shown.stderr
    answered = CliRunner().invoke(inspect, [str(unpacked), "--json"])
    document = json.loads(answered.stdout)
    assert document["digest"] == inspect_bundle(whole).digest
    assert document["unpacked"] is True
    assert document["manifest"]["scheme"] == "int8"


def test_a_bundle_below_its_gate_says_so_first(tmp_path: Path) -> None:
    from edgeslm.cli.inspect import inspect

    bundle = tiny_build(tmp_path / "build").below_gate().write(tmp_path)
    shown = CliRunner().invoke(inspect, [str(bundle.path)])
    assert "BELOW ITS GATES" in shown.stderr.splitlines()[0]
    assert "MISSED: cosine_min" in shown.stdout
    document = json.loads(CliRunner().invoke(inspect, [str(bundle.path), "--json"]).stdout)
    assert document["below_gate"] is True
