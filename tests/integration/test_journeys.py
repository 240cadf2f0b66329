"""The command line from checkpoint to answer, and everything that may go wrong on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT, Answer

Edgeslm = Callable[..., Answer]
STAGES = ["export", "lower", "quantize", "scoring", "reference", "score"]


@pytest.fixture(scope="module")
def bert(checkpoint_of: Callable[..., Path]) -> Path:
    return checkpoint_of("bert")


@pytest.fixture(scope="module")
def built(edgeslm: Edgeslm, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """A small BERT in int8 for OpenVINO, built once."""
    out = tmp_path_factory.mktemp("built")
    answer = build(edgeslm, bert, out)
    assert answer.status == 0, answer.stderr
    return answer


def build(edgeslm: Edgeslm, model: Path, out: Path, *flags: str | Path, **env: str) -> Answer:
    command = ["build", "--target", "rpi4", "--backend", "openvino", "--model", model, "-o", out, "--json"]
    return edgeslm(*command, *flags, **env)


def bundles(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_build_prints_one_document_with_all_it_promises(built: Answer) -> None:
    document = built.json
    assert document["backend"] == "openvino"
    assert document["scheme"] == "int8"
    assert Path(document["bundle"]).name == "bert-rpi4-int8.edgeslm"
    assert len(document["digest"]) == 64
    assert 0 < document["model_bytes"] < document["bundle_bytes"]
    assert 0.997 <= document["fidelity"]["cosine_min"] <= 1
    assert document["fidelity"]["max_abs_error"] > 0
    assert {stage["name"] for stage in document["stages"]} >= set(STAGES)
    ran = [stage for stage in document["stages"] if not stage["cached"]]
    assert all(stage["seconds"] > 0 and stage["peak_rss_mib"] > 0 for stage in ran)
    assert any("tflite would be chosen" in warning for warning in document["warnings"])
    assert "warning:" in built.stderr
    beside = Path(document["bundle"]).with_suffix(".report.json")
    assert json.loads(beside.read_text()) == document


def test_an_unchanged_rebuild_runs_no_stage_and_keeps_the_file(edgeslm: Edgeslm, bert: Path, built: Answer) -> None:
    path = Path(built.json["bundle"])
    before = path.read_bytes()
    again = build(edgeslm, bert, path.parent)
    assert again.status == 0, again.stderr
    assert all(stage["cached"] for stage in again.json["stages"])
    assert path.read_bytes() == before
    assert again.json["digest"] == built.json["digest"]


def test_an_unchanged_rebuild_imports_nothing_heavy(bert: Path, built: Answer) -> None:
    """It is to answer in two seconds; each of these takes half of one and more to import."""
    code = (
        "import sys, edgeslm\n"
        f"edgeslm.build('rpi4', {str(bert)!r}, backend='openvino', "
        f"out={str(Path(built.json['bundle']).parent)!r})\n"
        "print(sorted({'onnx', 'onnx_ir', 'sympy', 'torch', 'transformers', 'openvino', 'nncf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_new_scheme_does_not_export_again(edgeslm: Edgeslm, bert: Path, built: Answer, tmp_path: Path) -> None:
    answer = build(edgeslm, bert, tmp_path, "--scheme", "fp16")
    cached = {stage["name"]: stage["cached"] for stage in answer.json["stages"]}
    assert cached["export"]
    assert cached["lower"]
    assert cached["reference"]
    assert not cached["quantize"]


def test_inspect_and_run_agree_with_the_build(edgeslm: Edgeslm, built: Answer, tmp_path: Path) -> None:
    path = built.json["bundle"]
    inspected = edgeslm("inspect", path, "--json")
    assert inspected.json["digest"] == built.json["digest"]
    texts = ["the cat runs", "a slow dog"]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    by_flag = edgeslm("run", path, "--text", texts[0], "--text", texts[1], "--json")
    assert by_flag.status == 0, by_flag.stderr
    by_file = edgeslm("run", path, "--file", tmp_path / "texts.txt", "--json")
    by_stdin = edgeslm("run", path, "--json", stdin="\n".join(texts))
    assert by_flag.json == by_file.json == by_stdin.json
    vectors = np.array([result["embedding"] for result in by_flag.json["results"]])
    assert vectors.shape == (2, 32)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert edgeslm("inspect", tmp_path / "unpacked", "--json").json["digest"] == built.json["digest"]
    assert (
        edgeslm("run", tmp_path / "unpacked", "--text", texts[0], "--json").json["results"][0]
        == (by_flag.json["results"][0])
    )


def test_a_long_text_is_cut_and_says_so(edgeslm: Edgeslm, built: Answer) -> None:
    answer = edgeslm("run", built.json["bundle"], "--text", "cat " * 200, "--json")
    assert answer.json["results"][0]["truncated"] is True
    assert "64" in answer.stderr


def test_the_bundle_runs_by_itself(built: Answer, tmp_path: Path) -> None:
    """As on the device: nothing of edgeslm on the path, only what the bundle carries."""
    with zipfile.ZipFile(built.json["bundle"]) as archive:
        archive.extractall(tmp_path)
    code = (
        "import json, sys; sys.modules['edgeslm'] = None\n"
        "from edgeslm_device import Model\n"
        "print(json.dumps(Model.open('.').embed(['the cat', 'the dog']).shape))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert json.loads(done.stdout) == [2, 32]


def test_the_same_inputs_give_the_same_bytes(edgeslm: Edgeslm, bert: Path, built: Answer, tmp_path: Path) -> None:
    """With nothing cached, in another folder, from a moved checkpoint, three days later, with other hash seeds."""
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n_now = time.time\ntime.time = lambda: _now() + 3 * 86400\n"
        "_local = time.localtime\ntime.localtime = lambda s=None: _local(time.time() if s is None else s)\n"
    )
    elsewhere = shutil.copytree(bert, tmp_path / "models" / "bert")
    answer = build(
        edgeslm, elsewhere, tmp_path / "out", EDGESLM_CACHE=str(tmp_path / "cache"), PYTHONHASHSEED="7",
        PYTHONPATH=f"{tmp_path}:{ROOT}", TZ="Asia/Tokyo",
    )  # fmt: skip
    assert answer.status == 0, answer.stderr
    assert not any(stage["cached"] for stage in answer.json["stages"])
    assert Path(answer.json["bundle"]).read_bytes() == Path(built.json["bundle"]).read_bytes()


def test_a_missed_gate_leaves_a_table_and_no_bundle(edgeslm: Edgeslm, bert: Path, tmp_path: Path) -> None:
    answer = build(edgeslm, bert, tmp_path, "--scheme", "int4", "--min-fidelity", "0.9999999")
    assert answer.status == 7
    assert answer.json["error"]["kind"] == "FidelityError"
    assert "0.9999999" in answer.stderr or "1" in answer.stderr
    assert "encoder.layer" in answer.stderr, "the worst tensors are named"
    assert "--allow-below-gate" in answer.stderr
    assert bundles(tmp_path) == []


def test_a_bundle_below_its_gate_is_marked(edgeslm: Edgeslm, bert: Path, tmp_path: Path) -> None:
    flags = ["--scheme", "int4", "--min-fidelity", "0.9999999", "--allow-below-gate"]
    answer = build(edgeslm, bert, tmp_path, *flags)
    assert answer.status == 0, answer.stderr
    assert answer.json["below_gate"] is True
    assert "below" in answer.stderr
    assert edgeslm("inspect", answer.json["bundle"], "--json").json["manifest"]["below_gate"] is True
    assert "below" in edgeslm("inspect", answer.json["bundle"]).stdout.lower()


def test_an_existing_file_is_not_overwritten(edgeslm: Edgeslm, bert: Path, tmp_path: Path) -> None:
    place = tmp_path / "bert-rpi4-int8.edgeslm"
    place.write_text("something of mine")
    answer = build(edgeslm, bert, tmp_path)
    assert answer.status == 8
    assert "--force" in answer.stderr
    assert place.read_text() == "something of mine"
    assert build(edgeslm, bert, tmp_path, "--force").status == 0
    assert zipfile.is_zipfile(place)


def test_ctrl_c_leaves_nothing_and_the_next_build_goes_on(bert: Path, edgeslm: Edgeslm, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "edgeslm", "build", "-t", "rpi4", "--backend", "openvino", "-m", str(bert)]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "EDGESLM_CACHE": str(cache), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    wait_until(lambda: any(cache.glob("export-*/artifact.json")), process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on" in stderr
    assert "Traceback" not in stderr
    assert bundles(tmp_path / "out") == []
    assert [path.name for path in cache.glob(".*")] == []
    answer = build(edgeslm, bert, tmp_path / "out", EDGESLM_CACHE=str(cache))
    assert answer.status == 0, answer.stderr
    assert next(stage for stage in answer.json["stages"] if stage["name"] == "export")["cached"]


def test_a_killed_build_goes_on_where_it_was(bert: Path, edgeslm: Edgeslm, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "edgeslm", "build", "-t", "rpi4", "--backend", "openvino", "-m", str(bert)]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "out")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "EDGESLM_CACHE": str(cache), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    wait_until(lambda: any(cache.glob("lower-*/artifact.json")), process)
    process.kill()
    process.wait()
    assert not any(name.endswith(".edgeslm") for name in bundles(tmp_path / "out"))
    answer = build(edgeslm, bert, tmp_path / "out", EDGESLM_CACHE=str(cache))
    assert answer.status == 0, answer.stderr
    cached = {stage["name"]: stage["cached"] for stage in answer.json["stages"]}
    assert cached["export"]
    assert cached["lower"]


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    for _ in range(2400):
        if reached():
            return
        assert process.poll() is None, "the build ended before it could be stopped"
        time.sleep(0.05)
    raise AssertionError("the build never got there")


def test_a_full_disk_is_said_plainly(bert: Path, edgeslm: Edgeslm, tmp_path: Path) -> None:
    """A real one: a file system of 256 KiB, where the machine lets us mount it."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small file system needs more rights: {mounted.stderr.strip()}")
    try:
        answer = build(edgeslm, bert, tmp_path / "out", EDGESLM_CACHE=str(small / "cache"))
        assert answer.status == 9, answer.stderr
        assert "no space left" in answer.stderr.lower()
        assert "EDGESLM_CACHE" in answer.stderr
        assert bundles(tmp_path / "out") == []
        answer = build(edgeslm, bert, small / "out")
        assert answer.status == 9, answer.stderr
        assert bundles(small / "out") == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_what_does_not_fit_is_refused_with_its_budget(edgeslm: Edgeslm, tmp_path: Path) -> None:
    target = (ROOT / "targets" / "rpi-zero2w.toml").read_text().replace("ram_kib = 524288", "ram_kib = 180000")
    assert "180000" in target
    (tmp_path / "tiny.toml").write_text(target.replace('name = "rpi-zero2w"', 'name = "tiny"'))
    answer = edgeslm("build", "-t", tmp_path / "tiny.toml", "--scheme", "fp32", "-o", tmp_path / "out", "--json")
    assert answer.status == 4
    assert "does not fit tiny" in answer.stderr
    assert "weights" in answer.stderr
    assert bundles(tmp_path / "out") == []


def test_calibration_text_may_not_be_the_scoring_text(edgeslm: Edgeslm, bert: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat\nthe dog\n")
    (tmp_path / "b.txt").write_text("a red house\nthe dog\n")
    flags: list[str | Path] = ["--scheme", "int8-static"]
    flags += ["--calibration", tmp_path / "a.txt", "--eval", tmp_path / "b.txt"]
    answer = build(edgeslm, bert, tmp_path / "out", *flags)
    assert answer.status == 2
    assert "the dog" in answer.stderr


def test_plan_takes_every_flag_of_build_and_does_nothing(edgeslm: Edgeslm, bert: Path, tmp_path: Path) -> None:
    flags = ["-t", "rpi4", "-m", bert, "-o", tmp_path / "out", "--scheme", "int4", "--backend", "openvino"]
    flags += ["--max-length", "32", "--min-fidelity", "0.9", "--allow-below-gate", "--force", "--vendor-wheels"]
    answer = edgeslm("plan", *flags, "--json", EDGESLM_CACHE=str(tmp_path / "cache"))
    assert answer.status == 0, answer.stderr
    document = answer.json
    assert document["lengths"] == [16, 32]
    tensors = {tensor["parameter"]: tensor for tensor in document["tensors"]}
    assert tensors["encoder.layer.0.attention.self.query.weight"]["precision"] == "int4"
    assert tensors["embeddings.word_embeddings.weight"]["precision"] == "int8"
    assert all(tensor["reason"] for tensor in document["tensors"])
    assert document["memory"]["resident"] < document["memory"]["available"]
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()


def test_onnx2tf_is_missed_only_where_it_is_asked_for(edgeslm: Edgeslm, bert: Path, tmp_path: Path) -> None:
    """As on a machine where onnx2tf was never installed: its environment would lie in EDGESLM_DATA."""
    flags = ["-t", "rpi4", "-m", bert, "-s", "fp32"]
    planned = edgeslm("plan", *flags, "--json", EDGESLM_DATA=str(tmp_path))
    assert planned.json["backend"] == "tflite"
    assert any(reason.startswith("converter edgeslm: ") for reason in planned.json["reasons"])
    built = edgeslm("build", *flags, "--json", "-o", tmp_path / "out", EDGESLM_DATA=str(tmp_path))
    assert built.status == 0
    with zipfile.ZipFile(built.json["bundle"]) as archive:
        tools = json.loads(archive.read("manifest.json"))["tools"]
    assert "ai-edge-litert" in tools
    assert "onnx2tf" not in tools
    asked = [*flags, "--converter", "onnx2tf"]
    refused = edgeslm("build", *asked, "-o", tmp_path / "other", EDGESLM_DATA=str(tmp_path))
    assert refused.status == 5
    assert "doctor --install onnx2tf" in refused.stderr
    doctor = edgeslm("doctor", "--json", EDGESLM_DATA=str(tmp_path))
    found = next(item for item in doctor.json["found"] if item["name"] == "onnx2tf")
    assert found["problem"]
    assert doctor.json["ok"] == edgeslm("doctor", "--json").json["ok"]


def test_a_tampered_bundle_is_refused_everywhere(edgeslm: Edgeslm, built: Answer, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.json["bundle"]) as archive:
        start = archive.getinfo("model/model.bin").header_offset
    content = bytearray(Path(built.json["bundle"]).read_bytes())
    content[start + 4000] ^= 0xFF
    tampered = tmp_path / "tampered.edgeslm"
    tampered.write_bytes(content)
    for command in (["inspect", tampered], ["run", tampered, "--text", "the cat"]):
        answer = edgeslm(*command)
        assert answer.status == 8, answer.stderr
        assert "model/model.bin" in answer.stderr


@pytest.mark.parametrize(
    ("model_class", "key"),
    [
        ("BertForSequenceClassification", "labels"),
        ("BertForTokenClassification", "tokens_labelled"),
        ("BertForMaskedLM", "fills"),
    ],
)
def test_heads_answer_in_their_own_way(
    edgeslm: Edgeslm, checkpoint_of: Callable[..., Path], tmp_path: Path, model_class: str, key: str
) -> None:
    answer = build(edgeslm, checkpoint_of("bert", model_class), tmp_path, "--scheme", "fp32")
    assert answer.status == 0, answer.stderr
    text = "the [MASK] runs" if key == "fills" else "the cat runs"
    ran = edgeslm("run", answer.json["bundle"], "--text", text, "--json")
    assert ran.status == 0, ran.stderr
    found = ran.json["results"][0][key]
    assert found
    if key != "tokens_labelled":
        scores = [item["score"] for item in found]
        assert scores == sorted(scores, reverse=True)
    if key == "labels":
        assert sum(scores) == pytest.approx(1, abs=1e-5)
        agreement = answer.json["fidelity"]["outputs"][0]["label_agreement"]
        assert agreement == 1


def test_no_model_there_offers_the_nearest(edgeslm: Edgeslm, bert: Path, tmp_path: Path) -> None:
    answer = build(edgeslm, bert.parent / "bort", tmp_path)
    assert answer.status == 2
    assert str(bert) in answer.stderr
