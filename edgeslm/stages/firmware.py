"""The stages of a microcontroller's build: the model as C, its score on the host, the image.

Checkpoint (with its Decoder) ──► Graph ──► generated C (CompiledModel) ──► LanguageScores ──► Image
"""

from __future__ import annotations

import dataclasses
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import CompiledModel, Samples
from edgeslm.backends.cortexm.host import HostLanguage
from edgeslm.backends.cortexm.language import program_language, write_language
from edgeslm.backends.cortexm.variant import Variant, choose_variant
from edgeslm.bundle.firmware import IMAGES, UF2_IMAGE, Built, project_files
from edgeslm.cache import StageCache, code_digest
from edgeslm.digest import files_digest
from edgeslm.errors import InternalError, ToolFailedError
from edgeslm.fidelity.language_score import OpenEngine
from edgeslm.firmware.image import STACK_BYTES, build_image
from edgeslm.firmware.presets import presets_text
from edgeslm.firmware.qemu import is_emulated
from edgeslm.firmware.toolchain import find_compiler
from edgeslm.formats.safetensors_weights import SafetensorsWeights
from edgeslm.quantize.constants import plan_constants
from edgeslm.quantize.ranges import static_limit
from edgeslm.quantize.schemes import plan_scheme
from edgeslm.stages.firmware_graph import BACKEND, step_graph
from edgeslm.stages.firmware_plan import ROOMS, text_bytes_of
from edgeslm.stages.firmware_turn import find_turn
from edgeslm.stages.language import LanguageStages, weight_files_of
from edgeslm.stages.tokenizer import tokenizer_of
from edgeslm.target import Target
from edgeslm.template_folder import template_folder
from edgeslm.tokenizer.table import compile_table
from edgeslm.toolchain import last_lines
from edgeslm.versions import tool_versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeslm.backends import LimitsOf, MomentsOf

TEXT_ROOMS = ("device/token_content", "device/token_models", "device/chat", "device/tokenizer")


@dataclass(frozen=True)
class FirmwareStages(LanguageStages):
    """As a language model's, for a microcontroller."""

    target: Target

    @property
    def variant(self) -> Variant:
        return choose_variant(self.target.cpu.isa)

    def quantize(self) -> CompiledModel:
        """The generated C: its weights rounded and packed for this core."""
        scheme = plan_scheme(self.plan)
        moments = self._moments() if scheme.linear == "int4" else None
        magnitudes = self._magnitudes() if scheme.activations == "static" else None
        key = [
            self.checkpoint.digest,
            self.plan.digest,
            moments.digest if moments else None,
            magnitudes.digest if magnitudes else None,
            self.variant.macros,
            code_digest(*ROOMS, *TEXT_ROOMS, "stages/language", "stages/firmware", "stages/firmware_turn"),
            tool_versions("export"),
        ]
        return self.cache.stage("generate", key, CompiledModel, lambda out: self._write_c(moments, magnitudes, out))

    def image(self, compiled: CompiledModel) -> Built:
        """Compiled and linked. Raises MissingToolError, DoesNotFitError, ToolFailedError."""
        return image_stage(self.cache, self.target, self.variant, compiled)

    @property
    def open_engine(self) -> OpenEngine:
        """The same C, compiled for this machine."""
        return self._open

    @property
    def runner_key(self) -> tuple[object, ...]:
        """Kernels are no part of the generated C."""
        return kernels_key(self.variant)

    def _open(self, compiled: CompiledModel) -> HostLanguage:
        described = compiled.language
        if described is None:
            raise InternalError(f"{self.checkpoint.name} was generated as a language model, and is none")
        return HostLanguage(compiled.root, self.variant, described.context, described.vocabulary)

    def _write_c(self, moments: Samples | None, magnitudes: Samples | None, out: Path) -> CompiledModel:
        from edgeslm.formats.moments import open_moments

        generation = self.checkpoint.generation
        if generation is None:
            raise InternalError(f"{self.checkpoint.name} is a language model whose texts have no beginning")
        (context,) = self.plan.lengths
        folder, file_of = weight_files_of(self.checkpoint)
        with ExitStack() as opened:
            weights = opened.enter_context(SafetensorsWeights(folder, file_of))
            known = opened.enter_context(open_moments(moments.path)) if moments else None

            def moments_of(parameter: str) -> NDArray[Any] | None:
                return None if known is None else known(parameter)

            counts = opened.enter_context(open_moments(magnitudes.path)) if magnitudes else None
            limits = None if counts is None else static_limits(counts)
            graph = plan_constants(step_graph(self.decoder, context, weights), self.plan.choices)
            tokenizer = tokenizer_of(self.checkpoint)
            table = compile_table(tokenizer)
            program = program_language(
                graph, self.plan.kv_cache, self.variant, moments_of, limits, text_bytes=text_bytes_of(table)
            )
            if tokenizer.before[:1] == (generation.bos,):
                generation = dataclasses.replace(generation, add_bos=False)
            name, parent = self.checkpoint.name, self.checkpoint.digest
            turn = find_turn(self.checkpoint, generation)
            return write_language(program, self.decoder, name, self.plan, generation, table, out, parent, turn)


def static_limits(counts: MomentsOf) -> LimitsOf:
    """What each layer's inputs are quantized for, from the counts of their magnitudes."""

    def limit(parameter: str) -> float | None:
        found = counts(parameter)
        if found is None:
            raise InternalError(f"nothing was seen of what flows into {parameter}")
        return static_limit(found)

    return limit


def image_stage(cache: StageCache, target: Target, variant: Variant, compiled: CompiledModel) -> Built:
    """The image of the generated C, and what a bundle has beside it. Raises MissingToolError, DoesNotFitError,
    ToolFailedError."""
    templates = template_folder()
    project = [str(path.relative_to(templates)) for path in project_files(target, is_net=compiled.is_net).values()]
    key = [
        compiled.digest,
        target.model_dump(mode="json"),
        variant.macros,
        files_digest(templates, project),
        code_digest("firmware"),
        find_compiler().title,
    ]
    return cache.stage("image", key, Built, lambda out: _link(cache, target, variant, compiled, out))


def _link(cache: StageCache, target: Target, variant: Variant, compiled: CompiledModel, out: Path) -> Built:
    try:
        image = build_image(target, compiled.root, out)
    except ToolFailedError as error:  # its log lies where nothing stays
        log = Path(shutil.copy(error.log, cache.folder / "image.log"))
        raise ToolFailedError(error.command, error.status, log, last_lines(log)) from None
    for path in out.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in (*IMAGES, UF2_IMAGE):
            path.unlink()
    return Built(
        root=out,
        flash=image.memory.flash,
        ram=image.memory.ram,
        stack_bytes=STACK_BYTES,
        compiler=image.compiler,
        digest=image.digest,
        presets=presets_text([target], variant),
        emulated=is_emulated(target),
    )


def kernels_key(variant: Variant) -> tuple[object, ...]:
    """What the host's build of generated C depends on, beside that C."""
    templates = template_folder()
    names = [str(path.relative_to(templates)) for path in sorted((templates / "kernels").glob("*.[ch]"))]
    names += ["model/edgeslm_model.h", "model/edgeslm_encoder.h", "model/edgeslm_net.h", "host/edgeslm_library.c"]
    return (variant.host_macros, files_digest(templates, names), code_digest(f"backends/{BACKEND}"))
