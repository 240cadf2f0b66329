"""A bundle of a few kilobytes that really runs: a tiny encoder for one Arm board, as a build would write it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from edgeslm.digest import files_digest
from tests.unit.device_bundles import HIDDEN, LENGTHS, TinyModel, tflite_files, tokenizer_json
from tests.unit.tiny_build import tiny_build


def tiny_bundle(folder: Path, target: str = "rpi5") -> Path:
    build = tiny_build(folder, "tflite", target)
    (content,) = tflite_files(TinyModel("embedding")).values()
    root = build.compiled.root
    (root / "model.tflite").write_bytes(content)
    assert build.checkpoint.root is not None
    (build.checkpoint.root / "tokenizer.json").write_bytes(tokenizer_json())
    compiled = dataclasses.replace(
        build.compiled,
        digest=files_digest(root, build.compiled.files),
        lengths=tuple(LENGTHS),
        signatures={length: f"tokens_{length}" for length in LENGTHS},
    )
    onnx = dataclasses.replace(
        build.onnx,
        lengths=tuple(LENGTHS),
        outputs=(dataclasses.replace(build.onnx.outputs[0], shape=(1, HIDDEN)),),
    )
    plan = dataclasses.replace(build.plan, lengths=tuple(LENGTHS))
    return dataclasses.replace(build, compiled=compiled, onnx=onnx, plan=plan).write(folder / "out").path
