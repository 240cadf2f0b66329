"""The stages of a text encoder's build for a microcontroller, behind its export: the model as C, the image.

OnnxModel ──► Graph of one token ──► generated C (CompiledModel) ──► Scores (the same C on the host) ──► Image
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeslm.artifacts import Checkpoint, CompiledModel, OnnxModel, QuantPlan
from edgeslm.backends.cortexm.encoder import write_encoder
from edgeslm.backends.cortexm.encoder_emit import EncoderText
from edgeslm.backends.cortexm.host_encoder import HostEncoder
from edgeslm.backends.cortexm.variant import Variant, choose_variant
from edgeslm.bundle.firmware import Built
from edgeslm.cache import StageCache, code_digest
from edgeslm.device.runner import Engine
from edgeslm.quantize.plan import TensorPlan
from edgeslm.stages.firmware import image_stage, kernels_key
from edgeslm.stages.firmware_encoder_plan import ROOMS, EncoderSizes, encoder_graph
from edgeslm.stages.tokenizer import tokenizer_of
from edgeslm.target import Target
from edgeslm.versions import tool_versions


@dataclass(frozen=True)
class EncoderStages:
    """Each with the key of everything its result depends on."""

    cache: StageCache
    checkpoint: Checkpoint
    plan: QuantPlan
    onnx: OnnxModel
    target: Target

    @property
    def variant(self) -> Variant:
        return choose_variant(self.target.cpu.isa)

    def quantize(self) -> CompiledModel:
        """The generated C: its weights rounded and packed for this core."""
        key = [
            self.onnx.digest,
            self.checkpoint.digest,
            self.plan.digest,
            self.variant.macros,
            code_digest(*ROOMS, "device/token_content", "device/token_models", "stages/firmware_encoder"),
            tool_versions("export"),
        ]
        return self.cache.stage("generate", key, CompiledModel, self._write)

    def image(self, compiled: CompiledModel) -> Built:
        """See FirmwareStages.image."""
        return image_stage(self.cache, self.target, self.variant, compiled)

    def open_engine(self, compiled: CompiledModel) -> Engine:
        """The same C, compiled for this machine."""
        return HostEncoder(compiled.root, self.variant, self.onnx.outputs)

    @property
    def runner_key(self) -> tuple[object, ...]:
        """Kernels are no part of the generated C."""
        return kernels_key(self.variant)

    def _write(self, out: Path) -> CompiledModel:
        given = TensorPlan(self.plan.scheme, self.plan.backend, self.plan.choices, "")
        sizes = EncoderSizes(self.checkpoint, encoder_graph(self.onnx), given)
        planned = sizes.program(self.variant, self.plan.scheme, sizes.text.tokens)
        text = EncoderText(sizes.table, sizes.text.vocabulary, tokenizer_of(self.checkpoint).after)
        return write_encoder(planned, text, self.checkpoint.name, self.plan, out, self.onnx.digest)
