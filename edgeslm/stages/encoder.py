"""The stages of an encoder's build, and of a plain module's: from a checkpoint to a model with its score.

Checkpoint ──► OnnxModel ──► LoweredModel ──► CompiledModel ──► Fidelity
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edgeslm.artifacts import Checkpoint, CompiledModel, Fidelity, LoweredModel, OnnxModel, QuantPlan, Samples
from edgeslm.backends import load_backend
from edgeslm.cache import StageCache, code_digest
from edgeslm.fidelity import gates, samples, score, texts
from edgeslm.formats.operator_layers import OperatorLayers
from edgeslm.quantize.schemes import plan_scheme
from edgeslm.versions import tool_versions


def export_stage(cache: StageCache, checkpoint: Checkpoint, lengths: tuple[int, ...]) -> OnnxModel:
    from edgeslm.export.onnx_export import export_onnx

    key = [checkpoint.digest, lengths, code_digest("export", "passes"), tool_versions("export")]
    return cache.stage("export", key, OnnxModel, lambda out: export_onnx(checkpoint, lengths, out))


@dataclass(frozen=True)
class Stages:
    """Each with the key of everything its result depends on."""

    cache: StageCache
    checkpoint: Checkpoint
    plan: QuantPlan
    calibration: texts.Texts | None
    scoring: texts.Texts | None  # None for a plain module, which is scored on random inputs

    def export(self) -> OnnxModel:
        return export_stage(self.cache, self.checkpoint, self.plan.lengths)

    def lower(self, onnx: OnnxModel) -> LoweredModel:
        name, converter = self.plan.backend, self.plan.converter
        tools = tool_versions(name) | (tool_versions(converter) if converter else {})
        key = [onnx.digest, converter, code_digest(f"backends/{name}", "formats"), tools]
        return self.cache.stage("lower", key, LoweredModel, lambda out: load_backend(name).lower(onnx, out, converter))

    def quantize(self, lowered: LoweredModel, onnx: OnnxModel) -> CompiledModel:
        decided = self.plan
        name = decided.backend
        needed = plan_scheme(decided).needs_calibration
        calibration = self.calibration_samples(onnx) if needed else None
        key = [
            lowered.digest,
            decided.digest,
            calibration.digest if calibration else None,
            code_digest(f"backends/{name}", "quantize"),
            tool_versions(name),
        ]
        return self.cache.stage(
            "quantize",
            key,
            CompiledModel,
            lambda out: load_backend(name).quantize(lowered, decided, onnx, calibration, out),
        )

    def layers(self, compiled: CompiledModel, lowered: LoweredModel, onnx: OnnxModel) -> OperatorLayers:
        name = compiled.backend
        key = [compiled.digest, lowered.digest, onnx.digest, code_digest("backends", "formats"), tool_versions(name)]
        return self.cache.stage(
            "layers", key, OperatorLayers, lambda _: load_backend(name).operator_layers(compiled, lowered, onnx)
        )

    def score(
        self,
        compiled: CompiledModel,
        float_bytes: int,
        onnx: OnnxModel,
        min_fidelity: float | None,
        open_engine: score.OpenEngine | None = None,
        runner_key: tuple[object, ...] = (),
    ) -> Fidelity:
        """Scores on texts that did not calibrate; gates are judged anew each time. `open_engine` is what runs the
        model, where that is no runtime, and `runner_key` what it depends on."""
        scoring = self._samples("scoring", self.scoring, onnx)
        reference = self._reference(scoring)
        key = [compiled.digest, scoring.digest, reference.digest, code_digest("fidelity", "device"), *runner_key]
        scores = self.cache.stage(
            "score", key, score.Scores, lambda _: score.score_model(compiled, onnx, scoring, reference, open_engine)
        )
        scheme = plan_scheme(self.plan)
        fidelity = gates.judge(scores, scheme, compiled.bytes, float_bytes, self.checkpoint, min_fidelity)
        if fidelity.passed or open_engine is not None:
            return fidelity
        worst = load_backend(compiled.backend).weight_errors(compiled, onnx)
        return dataclasses.replace(fidelity, worst_tensors=tuple(worst[: gates.WORST_TENSORS]))

    def calibration_samples(self, onnx: OnnxModel) -> Samples:
        return self._samples("calibration", self.calibration, onnx)

    def _samples(self, use: str, chosen: texts.Texts | None, onnx: OnnxModel) -> Samples:
        checkpoint = self.checkpoint
        if chosen is None:
            from edgeslm.export.examples import example_samples

            seed = {"calibration": 1, "scoring": 2}[use]
            key = [checkpoint.digest, seed, code_digest("export")]
            return self.cache.stage(
                use, key, Samples, lambda out: example_samples(checkpoint, samples.EXAMPLES, seed, out)
            )
        key = [checkpoint.digest, chosen.digest, onnx.lengths, code_digest("fidelity", "formats")]
        made = use == "calibration"
        return self.cache.stage(
            use, key, Samples, lambda out: samples.tokenize_texts(checkpoint, onnx, chosen, out, calibrating=made)
        )

    def _reference(self, scoring: Samples) -> Samples:
        from edgeslm.export.reference import reference_outputs

        checkpoint = self.checkpoint
        key = [checkpoint.digest, scoring.digest, code_digest("export"), tool_versions("export")]
        return self.cache.stage("reference", key, Samples, lambda out: reference_outputs(checkpoint, scoring, out))
