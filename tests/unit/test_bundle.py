"""Writing a bundle: its members, the same bytes for the same inputs, and what lies in its way."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import math
import re
import zipfile
from pathlib import Path

import pytest

from edgeslm.artifacts import OutputScore
from edgeslm.bundle import linux, store, wheels
from edgeslm.bundle.host_cpu import host_cpu_features
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.bundle.manifest import Manifest, parse_manifest
from edgeslm.bundle.requirements import CHAT, PINNED, PYTHONS, RUNTIMES, requirements_file
from edgeslm.bundle.store import bundle_path, reject_existing
from edgeslm.errors import BundleError, StorageError, ToolchainError
from tests.unit.tiny_build import TinyBuild, tiny_build

ROOT = Path(__file__).parents[2]


@pytest.fixture
def build(tmp_path: Path) -> TinyBuild:
    return tiny_build(tmp_path / "build")


def member(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as opened:
        return opened.read(name)


def text(path: Path, name: str) -> str:
    return member(path, name).decode()


def reject(path: Path, build: TinyBuild, *, force: bool = False) -> None:
    reject_existing(path, build.checkpoint, build.plan, force=force)


def test_the_members_are_those_of_the_format(build: TinyBuild, tmp_path: Path) -> None:
    bundle = build.write(tmp_path / "out")
    assert bundle.path == tmp_path / "out" / "Tiny-Encoder-v1-rpi4-int8.edgeslm"
    assert bundle.bytes == bundle.path.stat().st_size
    with zipfile.ZipFile(bundle.path) as opened:
        names = set(opened.namelist())
        assert opened.namelist()[0] == "manifest.json"
    device = {f"edgeslm_device/{file.relative_to(linux.DEVICE)}" for file in linux.DEVICE.rglob("*.py")}
    assert names == device | {
        "manifest.json", "README.md", "LICENSE", "MODEL_CARD.md", "requirements.txt", "requirements-serve.txt",
        "model/layers.json", "model/model.tflite", "tokenizer/tokenizer.json",
    }  # fmt: skip
    assert "edgeslm_device/__init__.py" in device


def test_the_manifest_says_what_was_built(build: TinyBuild, tmp_path: Path) -> None:
    bundle = build.write(tmp_path)
    content = member(bundle.path, "manifest.json")
    assert hashlib.sha256(content).hexdigest() == bundle.digest
    document = json.loads(content)
    assert document["schema_version"] == 2
    assert document["model"]["files"] == ["model/model.tflite"]
    assert document["model"]["signatures"] == {"16": "tokens_16", "32": "tokens_32"}
    assert document["model"]["inputs"][0] == {"name": "input_ids", "dtype": "int32", "shape": [1, -1]}
    assert document["tokenizer"] == {
        "file": "tokenizer/tokenizer.json", "max_length": 32, "pad_id": 0, "mask_token": "[MASK]"
    }  # fmt: skip
    assert document["parents"] == {
        "checkpoint": build.checkpoint.digest,
        "onnx": build.onnx.digest,
        "plan": build.plan.digest,
        "lowered": build.compiled.parent,
        "compiled": build.compiled.digest,
    }
    assert document["fidelity"]["cosine_min"] == 0.998123
    assert {"torch", "ai-edge-quantizer"} <= set(document["tools"])
    assert document["below_gate"] is False
    for name, part in document["files"].items():
        assert hashlib.sha256(member(bundle.path, name)).hexdigest() == part["sha256"]
        assert len(member(bundle.path, name)) == part["bytes"]


def test_the_same_inputs_give_the_same_bytes_in_two_folders_on_two_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny_build(tmp_path / "one").write(tmp_path / "out1")
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    two = tiny_build(tmp_path / "two").write(tmp_path / "elsewhere" / "out2")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.digest == two.digest


def test_an_unchanged_rebuild_is_no_conflict(build: TinyBuild, tmp_path: Path) -> None:
    first = build.write(tmp_path)
    reject(first.path, build)
    assert build.write(tmp_path) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.path.name, "build"]


def test_other_bytes_need_force(build: TinyBuild, tmp_path: Path) -> None:
    first = build.write(tmp_path)
    before = first.path.read_bytes()
    changed = build.with_weights(b"other")
    with pytest.raises(BundleError, match="other content") as caught:
        changed.write(tmp_path)
    assert "--force" in (caught.value.hint or "")
    assert first.path.read_bytes() == before
    assert changed.write(tmp_path, force=True).digest != first.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.path.name, "build"]


def test_what_lies_in_the_way_is_said_before_the_build(build: TinyBuild, tmp_path: Path) -> None:
    path = bundle_path(tmp_path, build.checkpoint, build.plan)
    reject(path, build)
    path.write_bytes(b"somebody's notes")
    with pytest.raises(BundleError, match="no bundle") as caught:
        reject(path, build)
    assert caught.value.exit_code == 8
    assert "--force" in (caught.value.hint or "")
    reject(path, build, force=True)
    build.write(tmp_path, force=True)
    for field, why in (("checkpoint", "another checkpoint"), ("plan", "another plan")):
        other = dataclasses.replace(getattr(build, field), digest="f" * 64)
        with pytest.raises(BundleError, match=why):
            reject(path, dataclasses.replace(build, **{field: other}))
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BundleError):
        reject(path, build)


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_in_the_way_is_never_removed(build: TinyBuild, tmp_path: Path, force: bool) -> None:
    path = bundle_path(tmp_path, build.checkpoint, build.plan)
    (path / "precious").mkdir(parents=True)
    with pytest.raises(BundleError, match="folder"):
        reject(path, build, force=force)
    with pytest.raises(BundleError, match="folder"):
        build.write(tmp_path, force=force)
    assert (path / "precious").is_dir()
    with pytest.raises(StorageError, match="no folder"):
        reject(tmp_path / "build" / "compiled" / "model.tflite" / "x.edgeslm", build)


@pytest.mark.parametrize("end", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_write_that_ends_midway_leaves_nothing(
    build: TinyBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    def half(path: Path, members: object) -> None:
        path.write_bytes(b"half")
        raise end

    monkeypatch.setattr(store, "write_archive", half)
    with pytest.raises(type(end)):
        build.write(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("../../etc/passwd", "etc-passwd"),
        ("модель", "model"),
        ("a b", "a-b"),
        (".", "model"),
        ("x" * 500, "x" * 100),
    ],
)
def test_names_are_made_safe(build: TinyBuild, name: str, stem: str) -> None:
    checkpoint = dataclasses.replace(build.checkpoint, name=name)
    assert bundle_path(Path("out"), checkpoint, build.plan) == Path("out") / f"{stem}-rpi4-int8.edgeslm"


def test_a_missed_gate_is_written_everywhere(build: TinyBuild, tmp_path: Path) -> None:
    bundle = build.below_gate().write(tmp_path)
    assert json.loads(member(bundle.path, "manifest.json"))["below_gate"] is True
    assert "BELOW ITS GATE" in text(bundle.path, "README.md")
    card = text(bundle.path, "MODEL_CARD.md")
    assert "Below its gate" in card
    assert "MISSED" in card
    assert "layer.weight: relative error 0.2500" in card


def test_a_model_that_gives_no_numbers_has_null_scores(build: TinyBuild, tmp_path: Path) -> None:
    scores = (OutputScore("sentence_embedding", math.nan, math.nan, math.inf),)
    broken = dataclasses.replace(build, fidelity=dataclasses.replace(build.fidelity, scores=scores))
    bundle = broken.write(tmp_path)
    fidelity = inspect_bundle(bundle.path).manifest.fidelity
    assert (fidelity.cosine_min, fidelity.max_abs_error) == (None, None)


def test_the_readme_has_ten_lines(build: TinyBuild, tmp_path: Path) -> None:
    readme = text(build.write(tmp_path).path, "README.md")
    assert len(readme.splitlines()) == 10
    assert "python3 -m zipfile -e Tiny-Encoder-v1-rpi4-int8.edgeslm" in readme
    assert max(map(len, readme.splitlines())) <= 160


def test_the_licence_is_the_checkpoints_own_where_it_has_one(build: TinyBuild, tmp_path: Path) -> None:
    assert "apache-2.0 (SPDX)" in text(build.write(tmp_path / "1").path, "LICENSE")
    unnamed = dataclasses.replace(build, checkpoint=dataclasses.replace(build.checkpoint, licence=None))
    assert "names no licence" in text(unnamed.write(tmp_path / "2").path, "LICENSE")
    assert build.checkpoint.root
    (build.checkpoint.root / "LICENSE").write_bytes(b"Do as you please \xff")
    licence = text(build.write(tmp_path / "3").path, "LICENSE")
    assert licence.startswith("Do as you please")
    assert "edgeslm_device" in licence


def test_a_link_out_of_the_checkpoint_is_not_followed(build: TinyBuild, tmp_path: Path) -> None:
    root = build.checkpoint.root
    assert root
    (tmp_path / "secret").write_text("the user's own")
    (root / "LICENSE").symlink_to(tmp_path / "secret")
    assert "the user's own" not in text(build.write(tmp_path / "out").path, "LICENSE")
    snapshot = tmp_path / "models--a--b" / "snapshots" / "abc"
    blob = tmp_path / "models--a--b" / "blobs" / "1234"
    for path in (snapshot, blob):
        path.parent.mkdir(parents=True)
    blob.write_text("Hugging Face's cache")
    (root / "LICENSE").unlink()
    (root / "LICENSE").symlink_to(blob)
    root.rename(snapshot)
    cached = dataclasses.replace(build, checkpoint=dataclasses.replace(build.checkpoint, root=snapshot))
    assert "Hugging Face's cache" in text(cached.write(tmp_path / "cached").path, "LICENSE")


def test_the_model_card_holds_scores_and_the_checkpoints_card(build: TinyBuild, tmp_path: Path) -> None:
    card = text(build.write(tmp_path).path, "MODEL_CARD.md")
    assert "0.998123" in card
    assert "SOFTMAX" in card
    assert "Trained on nothing." in card


def test_a_plain_module_has_no_tokenizer(build: TinyBuild, tmp_path: Path) -> None:
    checkpoint = dataclasses.replace(build.checkpoint, tokenizer=None, root=None, task="tensors", licence=None)
    bundle = dataclasses.replace(build, checkpoint=checkpoint).write(tmp_path)
    inspected = inspect_bundle(bundle.path)
    assert inspected.manifest.tokenizer is None
    assert "tokenizer/tokenizer.json" not in inspected.files
    assert len(text(bundle.path, "README.md").splitlines()) == 10


@pytest.mark.parametrize("runtime", PINNED)
@pytest.mark.parametrize("arch", ["aarch64", "x86_64"])
def test_requirements_pin_every_package_by_hash(runtime: str, arch: str) -> None:
    requirements = requirements_file(runtime, arch).read_text()
    packages = re.findall(
        r"^([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", requirements, re.MULTILINE
    )
    assert len(packages) == sum(1 for line in requirements.splitlines() if line[0] not in " #")
    versions = {name: version for name, version, _ in packages}
    assert set(PINNED[runtime]) <= set(versions)
    if runtime in RUNTIMES or runtime == CHAT:
        compiled = {"chat": "markupsafe"}.get(runtime, runtime)  # a wheel for each Python
        assert len(next(hashes for name, _, hashes in packages if name == compiled).split("\\\n")) == len(PYTHONS) + 1
    assert "://" not in requirements
    constraints = dict(
        line.split("==") for line in (ROOT / "scripts" / "constraints.txt").read_text().lower().split() if "==" in line
    )
    for name in PINNED[runtime]:
        assert versions[name] == constraints[name], f"scripts/pins.py must be run again: {name}"


def test_optional_features_are_pinned_beside_the_runtime(build: TinyBuild, tmp_path: Path) -> None:
    """For the tasks they are for: a model of plain arrays has none of them."""
    found = {}
    for task in ("embedding", "generation", "classification", "tensors"):
        checkpoint = dataclasses.replace(build.checkpoint, task=task)
        path = dataclasses.replace(build, checkpoint=checkpoint).write(tmp_path / task).path
        names = inspect_bundle(path).manifest.files
        found[task] = {name for name in names if name.startswith("requirements-")}
        for name in found[task]:
            assert member(path, name) == requirements_file(name[13:-4], "aarch64").read_bytes()
    serve, constrain = "requirements-serve.txt", "requirements-constrain.txt"
    assert found == {
        "embedding": {serve}, "generation": {serve, constrain}, "classification": set(), "tensors": set()
    }  # fmt: skip


def wheel_files() -> tuple[list[bytes], dict[str, bytes]]:
    """A line of requirements for each of the wheels."""
    contents = {f"{name}-1-py3-none-any.whl": f"wheel {name}".encode() for name in "abc"}
    return [
        f"{n[0]}==1 --hash=sha256:{hashlib.sha256(c).hexdigest()}\n".encode() for n, c in contents.items()
    ], contents


def test_vendored_wheels_are_downloaded_once_and_checked(
    build: TinyBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, contents = wheel_files()
    runs: list[list[str]] = []

    def pip(command: list[str], log: Path, **_: object) -> None:
        runs.append(command)
        listed = Path(command[command.index("-r") + 1]).read_text()
        for name, content in contents.items():
            if f"{name[0]}==" in listed:
                Path(command[command.index("-d") + 1], name).write_bytes(content)

    monkeypatch.setenv("EDGESLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(wheels, "run_tool", pip)
    monkeypatch.setattr(linux, "read_requirements", lambda *_, **__: lines[0] + lines[1])
    # What a feature needs as well: a device without network may want it later.
    monkeypatch.setattr(linux, "read_optional_requirements", lambda *_: {"requirements-more.txt": lines[2]})
    bundle = build.write(tmp_path / "out", vendor_wheels=True)
    assert len(runs) == 2 * len(PYTHONS)
    assert "--require-hashes" in runs[0]
    assert f"manylinux2014_{build.target.cpu.arch}" in runs[0]
    assert {n for n in inspect_bundle(bundle.path).files if n.startswith("wheels/")} == {
        f"wheels/{n}" for n in contents
    }
    assert "--no-index --find-links Tiny-Encoder-v1-rpi4-int8/wheels -r" in text(bundle.path, "README.md")
    build.write(tmp_path / "again", vendor_wheels=True)
    assert len(runs) == 2 * len(PYTHONS)

    contents["a-1-py3-none-any.whl"] = b"another wheel"
    monkeypatch.setenv("EDGESLM_CACHE", str(tmp_path / "other_cache"))
    with pytest.raises(ToolchainError, match="not download all"):
        build.write(tmp_path / "bad", vendor_wheels=True)
    assert list((tmp_path / "other_cache").iterdir()) == []


def test_cpu_features_are_the_ones_kernels_are_chosen_by(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx2 sse4_2 avx512f nopl smep fma\n")
    assert host_cpu_features(cpuinfo) == ("avx2", "avx512f", "fma", "sse4_2")
    cpuinfo.write_text("Features\t: fp asimd asimddp crc32\n")
    assert host_cpu_features(cpuinfo) == ("asimd", "asimddp")
    assert host_cpu_features(tmp_path / "none") == ()


def test_a_manifest_of_version_1_keeps_its_digest(build: TinyBuild, tmp_path: Path) -> None:
    document = json.loads(member(build.write(tmp_path).path, "manifest.json")) | {"schema_version": 1}
    del document["generation"], document["model"]["language"], document["fidelity"]["perplexity"]
    content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    manifest = parse_manifest(content, "here")
    assert manifest.content == content
    assert manifest.digest == hashlib.sha256(content).hexdigest()


def test_a_manifest_of_another_version_says_what_reads_it(build: TinyBuild, tmp_path: Path) -> None:
    content = member(build.write(tmp_path).path, "manifest.json")
    manifest = parse_manifest(content, "here")
    assert isinstance(manifest, Manifest)
    assert manifest.content == content
    document = json.loads(content) | {"schema_version": 6, "edgeslm": "3.1.4", "novelty": 1}
    with pytest.raises(BundleError, match="schema version 6; this edgeslm reads up to 5") as caught:
        parse_manifest(json.dumps(document).encode(), "here")
    assert "3.1.4" in (caught.value.hint or "")
    assert "upgrade" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "document"),
        (b"{}", "schema_version"),
        (b'{"schema_version": "1"}', "schema_version"),
        (b'{"schema_version": 1e999}', "schema_version"),
    ],
)
def test_a_manifest_that_is_none_is_named(content: bytes, complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint):
        parse_manifest(content, "here")
