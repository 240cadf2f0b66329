"""The stages of a net's build for a microcontroller: the .tflite file as C, held to its reference, the image.

.tflite file ──► Graph of int8 ──► generated C (CompiledModel) ──► Scores (the same C on the host) ──► Image
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeslm.artifacts import Checkpoint, CompiledModel, Fidelity, QuantPlan
from edgeslm.backends.cortexm.host_net import HostNet
from edgeslm.backends.cortexm.net import write_net
from edgeslm.backends.cortexm.variant import Variant, choose_variant
from edgeslm.bundle.firmware import Built
from edgeslm.cache import StageCache, code_digest
from edgeslm.fidelity.net_score import judge_net, score_net
from edgeslm.fidelity.score import Scores
from edgeslm.ir.interpret_integers import IntegerInterpreter
from edgeslm.stages.firmware import image_stage, kernels_key
from edgeslm.stages.firmware_graph import BACKEND
from edgeslm.stages.firmware_net_plan import net_graph, net_program
from edgeslm.target import Target

ROOMS = (f"backends/{BACKEND}", "formats", "ir", "stages/firmware_net", "stages/firmware_net_plan")


@dataclass(frozen=True)
class NetStages:
    """Each with the key of everything its result depends on."""

    cache: StageCache
    checkpoint: Checkpoint
    plan: QuantPlan
    target: Target

    @property
    def variant(self) -> Variant:
        return choose_variant(self.target.cpu.isa)

    def generate(self) -> CompiledModel:
        """The generated C, its weights packed for this core."""
        key = [self.checkpoint.digest, self.checkpoint.name, self.plan.digest, self.variant.macros, code_digest(*ROOMS)]
        return self.cache.stage("generate", key, CompiledModel, self._write)

    def score(self, compiled: CompiledModel) -> Fidelity:
        """The C, compiled for this machine, against the reference."""
        key = [compiled.digest, self.checkpoint.digest, *kernels_key(self.variant), code_digest("fidelity", "ir")]
        return judge_net(self.cache.stage("bits", key, Scores, lambda _: self._score(compiled)))

    def image(self, compiled: CompiledModel) -> Built:
        """See FirmwareStages.image."""
        return image_stage(self.cache, self.target, self.variant, compiled)

    def _write(self, out: Path) -> CompiledModel:
        planned = net_program(self.checkpoint, self.variant)
        return write_net(planned, self.checkpoint.name, out, self.checkpoint.digest)

    def _score(self, compiled: CompiledModel) -> Scores:
        reference = IntegerInterpreter(net_graph(self.checkpoint))
        host = HostNet(compiled.root, self.variant, compiled.inputs, compiled.outputs)
        try:
            return score_net(compiled.inputs, compiled.outputs, host.run, reference.run)
        finally:
            host.close()
