"""Bundles on the command line: `edgeslm run` here, `python -m edgeslm_device run` where nothing of edgeslm is."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.device_bundles import DEVICE, LABELS, TinyModel, members, write_file, write_folder

Run = Callable[..., Any]
BLOCK = """
import importlib.abc, runpy, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name}}", name=name)
sys.meta_path.insert(0, Block())
runpy.run_module("edgeslm_device", run_name="__main__", alter_sys=True)
"""
NOT_ON_THE_DEVICE = ["edgeslm", "click", "pydantic", "rich", "platformdirs", "torch", "transformers", "onnx", "pytest"]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle per task, for OpenVINO."""
    pytest.importorskip("openvino")
    folder = tmp_path_factory.mktemp("bundles")
    tasks = ["embedding", "classification", "token-classification", "fill-mask"]
    made = {task: write_file(folder / f"{task}.edgeslm", members(TinyModel(task), "openvino")) for task in tasks}
    made["tensors"] = write_file(folder / "tensors.edgeslm", plain_module())
    return made


def plain_module() -> dict[str, bytes]:
    """A bundle of a plain module: the tiny classifier at a fixed length, without a tokenizer."""
    files = members(TinyModel("classification"), "openvino", task="tensors", tokenizer=None, labels=[])
    manifest = json.loads(files["manifest.json"])
    for tensor in manifest["model"]["inputs"]:
        tensor["shape"] = [1, 3]
    manifest["model"]["lengths"] = []
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def device(*arguments: str | Path, path: Path, blocked: list[str] = NOT_ON_THE_DEVICE, stdin: str = "") -> Any:
    """`python -m edgeslm_device` with the bundle on the path and nothing of ours importable."""
    return subprocess.run(
        [sys.executable, "-c", BLOCK.format(blocked=blocked), *map(str, arguments)],
        capture_output=True,
        text=True,
        input=stdin,
        env={**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )


def test_run_answers_each_task(edgeslm: Run, bundles: dict[str, Path]) -> None:
    texts = ["--text", "a small <mask>", "--text", "well <mask>"]
    fields = {"embedding": "embedding", "classification": "labels", "token-classification": "tokens_labelled"}
    for task, field in {**fields, "fill-mask": "fills"}.items():
        done = edgeslm("run", bundles[task], *texts, "--json")
        assert (done.status, done.stderr) == (0, "")
        assert done.json["task"] == task
        assert [result["text"] for result in done.json["results"]] == texts[1::2]
        assert all(result[field] for result in done.json["results"])
        assert [result["tokens"] for result in done.json["results"]] == [5, 4]


def test_run_shows_a_person_what_the_json_holds(edgeslm: Run, bundles: dict[str, Path]) -> None:
    answer = edgeslm("run", bundles["classification"], "--text", "a model", "--json").json["results"][0]
    shown = edgeslm("run", bundles["classification"], "--text", "a model").stdout
    lines = shown.splitlines()
    assert "a model" in lines[0]
    assert [line.split()[1] for line in lines[1:]] == [each["label"] for each in answer["labels"]]
    assert f"{answer['labels'][0]['score']:.4f}" in lines[1]
    assert "<mask>" not in edgeslm("run", bundles["fill-mask"], "--text", "a [MASK]").stdout.splitlines()[0]


def test_texts_come_from_a_file_or_stdin_a_line_each(edgeslm: Run, bundles: dict[str, Path], tmp_path: Path) -> None:
    lines = "a model\n\n  small\r\nwell ?"
    (tmp_path / "texts").write_text(lines)
    from_file = edgeslm("run", bundles["embedding"], "--file", tmp_path / "texts", "--json").json
    assert [result["text"] for result in from_file["results"]] == ["a model", "small", "well ?"]
    assert edgeslm("run", bundles["embedding"], "--json", stdin=lines).json == from_file


def test_truncation_is_a_warning_and_a_flag(edgeslm: Run, bundles: dict[str, Path]) -> None:
    done = edgeslm("run", bundles["embedding"], "--text", "a", "--text", "a " * 40, "--json")
    assert [result["truncated"] for result in done.json["results"]] == [False, True]
    assert "1 of 2 texts cut to 16 tokens" in done.stderr
    assert done.status == 0


def test_a_plain_module_takes_arrays(edgeslm: Run, bundles: dict[str, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", input_ids=np.array([[5, 6, 7]]), attention_mask=np.ones((1, 3), int))
    expected = TinyModel("classification").expected([5, 6, 7])
    done = edgeslm("run", bundles["tensors"], "--file", tmp_path / "x.npz", "--json")
    np.testing.assert_allclose(done.json["outputs"]["logits"], expected[None], atol=1e-5)
    assert "logits  float32[1, 3]" in edgeslm("run", bundles["tensors"], "--file", tmp_path / "x.npz").stdout
    here = device("run", "--file", tmp_path / "x.npz", "--json", path=bundles["tensors"])
    assert json.loads(here.stdout)["outputs"] == done.json["outputs"]


@pytest.mark.parametrize(
    ("task", "arguments", "kind", "told"),
    [
        ("embedding", ["--text", "a", "--file", "x"], "ConfigError", "exclude each other"),
        ("embedding", ["--file", "nowhere"], "ConfigError", "nowhere cannot be read"),
        ("embedding", [], "ConfigError", "all lines are empty"),
        ("fill-mask", ["--text", "a model"], "ConfigError", "no mask token"),
        ("tensors", ["--text", "a"], "ConfigError", "takes arrays, not text"),
        ("tensors", ["--file", __file__], "ConfigError", "is no .npz file"),
    ],
)
def test_wrong_use_is_told(
    edgeslm: Run, bundles: dict[str, Path], task: str, arguments: list[str], kind: str, told: str
) -> None:
    done = edgeslm("run", bundles[task], *arguments, "--json", stdin="")
    assert (done.status, done.json["error"]["kind"]) == (2, kind)
    assert told in done.json["error"]["message"]
    assert "Traceback" not in done.stderr
    here = device("run", bundles[task], *arguments, path=bundles[task])
    assert here.returncode == 2
    assert here.stderr.startswith("error: ")
    assert here.stderr.count("\n") == 1


def test_a_damaged_bundle_is_told(edgeslm: Run, bundles: dict[str, Path], tmp_path: Path) -> None:
    whole = bundles["embedding"].read_bytes()
    (tmp_path / "cut.edgeslm").write_bytes(whole[:-1000])
    done = edgeslm("run", tmp_path / "cut.edgeslm", "--text", "a", "--json")
    assert (done.status, done.json["error"]["kind"]) == (8, "BundleError")
    here = device("run", tmp_path / "cut.edgeslm", "--text", "a", path=bundles["embedding"])
    assert here.returncode == 8
    assert here.stderr.startswith("error: ")


def test_a_missing_runtime_is_told(bundles: dict[str, Path]) -> None:
    for package in ("openvino", "tokenizers", "numpy"):
        here = device("run", "--text", "a", path=bundles["embedding"], blocked=[package])
        assert here.returncode == 5
        assert f"pip install {package}" in here.stderr
        assert here.stderr.count("\n") == 1


@pytest.mark.parametrize("runtime", ["openvino", "ai-edge-litert"])
@pytest.mark.parametrize("write", [write_file, write_folder])
def test_the_device_package_travels_alone(tmp_path: Path, runtime: str, write: Callable[..., Path]) -> None:
    """From inside its bundle, the bundle it lies in, with only what the device has."""
    pytest.importorskip(runtime.replace("-", "_"))
    path = write(tmp_path / "a.edgeslm", members(TinyModel("classification"), runtime))
    done = device("run", "--json", path=path, stdin="a small model\nwell")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["bundle"] == str(path)
    assert [sorted(each["label"] for each in result["labels"]) for result in document["results"]] == [LABELS] * 2


def test_a_bundle_is_left_as_it_was(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    folder = write_folder(tmp_path / "a", members(TinyModel("embedding"), "ai-edge-litert"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert device("run", "--text", "a", path=folder).returncode == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_its_sources_are_python_3_9_and_import_nothing_of_ours() -> None:
    allowed = {"jinja2", "llguidance", "numpy", "tokenizers", *sys.stdlib_module_names}
    serving = allowed | {"starlette", "uvicorn", "prometheus_client"}
    for source in DEVICE.rglob("*.py"):
        known = serving if source.parent.name == "serve" else allowed
        depth = len(source.relative_to(DEVICE).parts)
        for node in ast.walk(ast.parse(source.read_text(), feature_version=(3, 9))):
            if isinstance(node, ast.Import):
                assert {name.name.split(".")[0] for name in node.names} <= known
            elif isinstance(node, ast.ImportFrom):
                assert 1 <= node.level <= depth or (node.module or "").split(".")[0] in known
