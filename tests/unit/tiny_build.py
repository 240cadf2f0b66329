"""A build's nouns of a few bytes each: enough to write a bundle from, no model in sight."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from edgeslm.artifacts import (
    Bundle,
    Checkpoint,
    CompiledModel,
    Fidelity,
    Gate,
    OnnxModel,
    OutputScore,
    Parameter,
    QuantPlan,
    TensorChoice,
    TensorSpec,
    TokenizerSpec,
)
from edgeslm.bundle.linux import write_bundle
from edgeslm.digest import files_digest, json_digest
from edgeslm.formats.operator_layers import GraphOperator, OperatorLayers
from edgeslm.target import Target, load_target


@dataclass(frozen=True)
class TinyBuild:
    checkpoint: Checkpoint
    plan: QuantPlan
    target: Target
    onnx: OnnxModel
    compiled: CompiledModel
    fidelity: Fidelity

    def write(self, out: Path, *, force: bool = False, vendor_wheels: bool = False) -> Bundle:
        return write_bundle(
            self.checkpoint,
            self.plan,
            self.target,
            self.onnx,
            self.compiled,
            self.fidelity,
            OperatorLayers({"run": (GraphOperator("FULLY_CONNECTED", "logits", "layer"),)}),
            out,
            below_gate=not self.fidelity.passed,
            force=force,
            vendor_wheels=vendor_wheels,
        )

    def with_weights(self, weights: bytes) -> TinyBuild:
        """The same build whose backend stored other bytes."""
        (self.compiled.root / self.compiled.files[0]).write_bytes(weights)
        digest = files_digest(self.compiled.root, self.compiled.files)
        return dataclasses.replace(self, compiled=dataclasses.replace(self.compiled, digest=digest))

    def below_gate(self) -> TinyBuild:
        gates = (Gate("cosine_min", 0.5, 0.997, False), *self.fidelity.gates[1:])
        worst = (("layer.weight", 0.25),)
        return dataclasses.replace(self, fidelity=dataclasses.replace(self.fidelity, gates=gates, worst_tensors=worst))


def tiny_build(folder: Path, backend: str = "tflite", target: str = "rpi4") -> TinyBuild:
    """A sentence encoder for one text length, its files written below `folder`."""
    checkpoint = _checkpoint(folder / "checkpoint")
    files = {"tflite": ("model.tflite",), "openvino": ("model.xml", "model.bin")}[backend]
    compiled = folder / "compiled"
    compiled.mkdir(parents=True)
    for name in files:
        (compiled / name).write_bytes(f"the model in {name}".encode() * 20)
    onnx = OnnxModel(
        root=folder / "onnx",
        digest=json_digest("onnx"),
        parent=checkpoint.digest,
        task="embedding",
        inputs=(TensorSpec("input_ids", "int32", (1, -1)), TensorSpec("attention_mask", "int32", (1, -1))),
        outputs=(TensorSpec("sentence_embedding", "float32", (1, 4)),),
        lengths=(16, 32),
        files={0: "model.onnx"},
        weights="weights.bin",
        parameter_of={},
    )
    plan = QuantPlan(
        target=target,
        backend=backend,
        scheme="int8",
        choices={"layer.weight": TensorChoice("int8", "a test")},
        reasons=(),
        warnings=(),
        lengths=(16, 32),
        weight_bytes=100,
        resident_bytes=1000,
        digest=json_digest(["plan", target, backend]),
    )
    return TinyBuild(
        checkpoint,
        plan,
        load_target(target),
        onnx,
        CompiledModel(
            root=compiled,
            digest=files_digest(compiled, files),
            parent=json_digest("lowered"),
            backend=backend,
            scheme="int8",
            runtime={"tflite": "ai-edge-litert", "openvino": "openvino"}[backend],
            files=files,
            lengths=(16, 32) if backend == "tflite" else (),
            stored=(),
            kept_float=("SOFTMAX",),
            signatures={16: "tokens_16", 32: "tokens_32"} if backend == "tflite" else {},
        ),
        Fidelity(
            texts="32 built-in texts",
            samples=32,
            scores=(OutputScore("sentence_embedding", 0.998123, 0.999, 0.0123),),
            gates=(Gate("cosine_min", 0.998123, 0.997, True), Gate("size", 0.26, 0.27, True)),
        ),
    )


def _checkpoint(root: Path) -> Checkpoint:
    root.mkdir(parents=True)
    (root / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    (root / "README.md").write_text("# Tiny\nTrained on nothing.\n")
    return Checkpoint(
        name="Tiny Encoder/v1",
        source=str(root),
        digest=json_digest("checkpoint"),
        task="embedding",
        architecture="bert",
        parameters=(Parameter("layer.weight", (10, 10), "linear"),),
        tokenizer=TokenizerSpec("tokenizer.json", 64, 0, 100, "[MASK]"),
        pooling="mean",
        normalize=True,
        licence="apache-2.0",
        root=root,
    )
