"""A model five times the demo's: BERT-base's shape, 110 million parameters. Long: scripts/test --deep."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import edgeslm
from edgeslm.backends import load_backend
from tests.architectures import make_checkpoint

BASE: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, with the demo model's tokenizer."""
    from edgeslm.export.checkpoint import open_checkpoint

    folder = make_checkpoint(tmp_path_factory.mktemp("base") / "bert-base", "bert", **BASE)
    demo = open_checkpoint("demo").root
    assert demo is not None
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(demo / name, folder / name)
    return folder


@pytest.mark.deep
@pytest.mark.parametrize("backend", ["tflite", "openvino"])
def test_bert_base_in_int8(base: Path, tmp_path: Path, backend: str) -> None:
    problem = load_backend(backend).missing()
    if problem:
        pytest.skip(f"{backend}: {problem}")
    report = edgeslm.build(
        "rpi4", str(base), scheme="int8", backend=backend, out=tmp_path, allow_below_gate=True, max_length=128
    )
    size = next(gate for gate in report.fidelity.gates if gate.name.startswith("size"))
    assert size.passed, size
    for stage in report.stages:
        print(f"{backend} {stage.name}: {stage.seconds:.1f} s, {stage.peak_rss_mib:.0f} MiB")
    print(f"{backend}: {report.compiled.bytes / 1e6:.1f} MB, cosine {report.fidelity.cosine_min}")
    assert edgeslm.Model.open(report.bundle.path).embed(["a text", "another"]).shape == (2, 768)
