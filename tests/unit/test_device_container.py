"""Bundles as the device meets them: damaged, tampered with, newer, or where nothing can be written."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.device import DeviceError, Model
from edgeslm.device.container import open_container
from edgeslm.device.errors import BundleError, StorageError
from edgeslm.device.files import FolderFiles
from tests.unit.device_bundles import TinyModel, members, write_file, write_folder

MODEL_FILE = {"openvino": "model/model.bin", "ai-edge-litert": "model/model.tflite"}


def bundle_of(runtime: str, **changes: Any) -> dict[str, bytes]:
    pytest.importorskip({"openvino": "openvino", "ai-edge-litert": "ai_edge_litert"}[runtime])
    return members(TinyModel("embedding"), runtime, **changes)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A bundle's members; their content is arbitrary where no runtime is asked to read it."""
    made = {"model/model.xml": b"<xml/>" * 9, "model/model.bin": bytes(range(256)) * 3, "tokenizer/t.json": b"{}"}
    described = {name: {"sha256": sha256(content), "bytes": len(content)} for name, content in made.items()}
    model = {"runtime": "openvino", "files": list(made)[:2], "digest": "0", "pad_id": 0, "lengths": [4]}
    model |= {"signatures": {}, "inputs": [], "outputs": []}
    manifest = {"schema_version": 1, "name": "n", "task": "embedding", "labels": [], "model": model, "files": described}
    return {"manifest.json": json.dumps(manifest).encode(), **made}


def sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def contents(path: Path) -> dict[str, bytes]:
    """Everything in a bundle that the device would open, each byte checked."""
    container = open_container(path)
    names = [*container.manifest["model"]["files"], "tokenizer/t.json"]
    read = {name: container.files.read(name) for name in names}
    assert {name: bytes(container.files.view(name)) for name in names} == read
    return {"manifest.json": json.dumps(container.manifest).encode(), **read}


def test_a_file_and_a_folder_hold_the_same(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert contents(write_file(tmp_path / "a.edgeslm", files)) == files
    assert contents(write_folder(tmp_path / "a", files)) == files


def test_members_are_mapped_where_they_lie(tmp_path: Path, files: dict[str, bytes]) -> None:
    """Aligned to 64 bytes, writeable for a runtime that insists, and the file stays as it was."""
    import numpy as np

    path = write_file(tmp_path / "a.edgeslm", files)
    before = path.read_bytes()
    view = open_container(path).files.view("model/model.bin")
    assert np.frombuffer(view, np.uint8).ctypes.data % 64 == 0
    view[0] = 99
    assert path.read_bytes() == before
    assert open_container(path).files.read("model/model.bin") == files["model/model.bin"]


@settings(max_examples=150)
@given(data=st.data())
def test_no_damage_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], data: st.DataObject
) -> None:
    """A flipped bit or a cut end is a DeviceError, or lies where nothing is read."""
    path = write_file(tmp_path_factory.mktemp("damage") / "a.edgeslm", files)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    path.write_bytes(content)
    with contextlib.suppress(DeviceError):
        assert contents(path) == files


@settings(max_examples=60)
@given(
    document=st.recursive(st.none() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s))
)
def test_any_other_document_is_no_manifest(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(BundleError):
        open_container(folder)


@pytest.mark.parametrize("field", ["name", "task", "labels", "model", "files", "schema_version"])
def test_a_manifest_without_a_field_names_it(tmp_path: Path, files: dict[str, bytes], field: str) -> None:
    manifest = json.loads(files["manifest.json"])
    del manifest[field]
    folder = write_folder(tmp_path / "a", {**files, "manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(BundleError, match=field):
        open_container(folder)


def test_a_newer_schema_says_what_reads_it(tmp_path: Path, files: dict[str, bytes]) -> None:
    manifest = {"schema_version": 3, "edgeslm": "7.0"}
    path = write_file(tmp_path / "a.edgeslm", {**files, "manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(BundleError, match="schema version 3; this device package reads 1, 2, 5") as caught:
        open_container(path)
    assert "7.0" in (caught.value.hint or "")
    assert caught.value.exit_code == 8


def test_what_is_no_bundle_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle"):
        open_container(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"has no manifest\.json"):
        open_container(tmp_path)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a", b"b")
    with pytest.raises(BundleError, match=r"has no manifest\.json"):
        open_container(tmp_path / "other.zip")
    (tmp_path / "text").write_text("no zip")
    with pytest.raises(BundleError, match="no zip file"):
        open_container(tmp_path / "text")


def test_a_compressed_member_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(tmp_path / "a.edgeslm", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    container = open_container(tmp_path / "a.edgeslm")
    with pytest.raises(BundleError, match="compressed"):
        container.files.read("model/model.bin")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = write_folder(tmp_path / "a", files)
    (tmp_path / "elsewhere").write_bytes(files["model/model.bin"])
    (folder / "model/model.bin").unlink()
    (folder / "model/model.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="no regular file"):
        open_container(folder).files.read("model/model.bin")
    for name in ("../elsewhere", str(tmp_path / "elsewhere")):
        with pytest.raises(BundleError, match="outside"):
            FolderFiles(folder, None).read(name)


@pytest.mark.parametrize("runtime", sorted(MODEL_FILE))
@pytest.mark.parametrize("victim", ["model", "tokenizer/tokenizer.json"])
def test_a_tampered_file_is_not_opened(tmp_path: Path, runtime: str, victim: str) -> None:
    files = bundle_of(runtime)
    name = MODEL_FILE[runtime] if victim == "model" else victim
    changed = files[name][:-1] + bytes([files[name][-1] ^ 1])
    for path in (
        write_file(tmp_path / "a.edgeslm", {**files, name: changed}),
        write_folder(tmp_path / "a", {**files, name: changed}),
    ):
        with pytest.raises(BundleError, match=f"{name} is not the file that the manifest describes"):
            Model.open(path)


def test_a_manifest_that_lists_no_model_is_refused(tmp_path: Path) -> None:
    files = bundle_of("openvino")
    manifest = json.loads(files["manifest.json"])
    del manifest["files"]["model/model.bin"]
    folder = write_folder(tmp_path / "a", {**files, "manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(BundleError, match=r"does not list model/model\.bin"):
        Model.open(folder)


@pytest.mark.parametrize("runtime", sorted(MODEL_FILE))
def test_a_model_that_its_runtime_cannot_read_is_told(tmp_path: Path, runtime: str) -> None:
    files = bundle_of(runtime)
    name = "model/model.xml" if runtime == "openvino" else MODEL_FILE[runtime]
    manifest = json.loads(files["manifest.json"])
    manifest["files"][name] = {"sha256": sha256(b"nonsense" * 9), "bytes": 72}
    files = {**files, name: b"nonsense" * 9, "manifest.json": json.dumps(manifest).encode()}
    with pytest.raises(BundleError, match=f"cannot open {Path(name).name}|cannot open {name}"):
        Model.open(write_folder(tmp_path / "a", files))


def test_a_runtime_of_the_future_is_named(tmp_path: Path) -> None:
    files = bundle_of("openvino")
    manifest = json.loads(files["manifest.json"])
    manifest["model"]["runtime"] = "abacus"
    with pytest.raises(BundleError, match="abacus"):
        Model.open(write_folder(tmp_path / "a", {**files, "manifest.json": json.dumps(manifest).encode()}))


def test_openvino_copies_nothing_out_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESLM_DEVICE_CACHE", str(tmp_path / "cache"))
    with Model.open(write_file(tmp_path / "a.edgeslm", bundle_of("openvino"))) as model:
        model.embed("a")
    assert not (tmp_path / "cache").exists()


def test_litert_copies_its_model_once_and_mends_a_damaged_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESLM_DEVICE_CACHE", str(tmp_path / "cache"))
    files = bundle_of("ai-edge-litert")
    path = write_file(tmp_path / "a.edgeslm", files)
    with Model.open(path) as model:
        expected = model.embed("a small model")
    [copy] = (tmp_path / "cache").glob("*.tflite")
    stamp = copy.stat().st_ino
    Model.open(path).close()
    assert copy.stat().st_ino == stamp
    copy.write_bytes(b"x" * copy.stat().st_size)
    with Model.open(path) as model:
        assert (model.embed("a small model") == expected).all()
    assert copy.read_bytes() == files["model/model.tflite"]
    assert not list((tmp_path / "cache").glob(".*"))


def test_a_cache_that_cannot_be_written_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGESLM_DEVICE_CACHE", str(tmp_path / "file" / "cache"))
    files = bundle_of("ai-edge-litert")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        Model.open(write_file(tmp_path / "a.edgeslm", files))
    assert "unpacked" in (caught.value.hint or "")
    with Model.open(write_folder(tmp_path / "a", files)) as model:  # needs no copy, and does without packed weights
        assert model.embed("a").shape == (1, 16)


def test_damaged_packed_weights_are_packed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT checks the head of its weight cache only, and computes with whatever follows."""
    monkeypatch.setenv("EDGESLM_DEVICE_CACHE", str(tmp_path / "cache"))
    pytest.importorskip("ai_edge_litert")
    folder = write_folder(tmp_path / "a", members(TinyModel("classification"), "ai-edge-litert"))
    with Model.open(folder) as model:
        expected = model.classify("a small model")
    [packed] = (tmp_path / "cache").iterdir()
    whole = packed.read_bytes()
    packed.write_bytes(whole[:256] + bytes(255 - byte for byte in whole[256:512]) + whole[512:])
    with Model.open(folder) as model:
        assert model.classify("a small model") == expected
    assert packed.read_bytes() == whole


def test_on_a_disk_that_is_nearly_full_weights_are_packed_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XNNPACK ends the program when its weight cache does not fit."""
    monkeypatch.setenv("EDGESLM_DEVICE_CACHE", str(tmp_path / "cache"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1 << 20))
    with Model.open(write_folder(tmp_path / "a", bundle_of("ai-edge-litert"))) as model:
        assert model.embed("a").shape == (1, 16)
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_keeps_what_was_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeslm.device import cache

    monkeypatch.setenv("EDGESLM_DEVICE_CACHE", str(tmp_path / "cache"))
    abandoned = cache.cache_folder() / ".1-x"
    abandoned.touch()
    os.utime(abandoned, (0, 0))
    for number in range(cache.MAX_FILES + 5):
        path, _ = cache.keep(f"{number:02}", ".x", lambda path: path.write_bytes(b"content"))
        os.utime(path, (1000 + number, 1000 + number))
    names = sorted(path.name[:2] for path in cache.cache_folder().iterdir())
    assert names == [f"{number:02}" for number in range(5, cache.MAX_FILES + 5)]

    def interrupted(path: Path) -> None:
        path.write_bytes(b"x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.keep("half", ".x", interrupted)
    assert not [path for path in cache.cache_folder().iterdir() if "half" in path.name]


def test_a_kept_file_that_was_damaged_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeslm.device import cache

    monkeypatch.setenv("EDGESLM_DEVICE_CACHE", str(tmp_path / "cache"))
    path, size = cache.keep("key", ".x", lambda path: path.write_bytes(b"content"))
    assert size == 7
    assert cache.find("key", ".x") == path
    assert cache.find("key", ".y") is None
    path.write_bytes(b"contend")
    assert cache.find("key", ".x") is None
    assert not path.exists()
