"""The stages of a build for Android: each scheme's model as for Linux, then the library that holds them all.

Checkpoint ──► BuiltModel (LiteRT's file and its score), one a scheme ──► AndroidLibrary (.aar) ──► Bundle
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeslm.artifacts import BuiltModel, Checkpoint, QuantPlan, Turn
from edgeslm.bundle.android.assets import asset_members
from edgeslm.bundle.android.library import AndroidLibrary, library_members, write_library
from edgeslm.bundle.android.litert import LiteRtFiles, read_litert
from edgeslm.bundle.store import file_part
from edgeslm.cache import StageCache, code_digest
from edgeslm.digest import file_digest, json_digest
from edgeslm.errors import InternalError
from edgeslm.fidelity import texts
from edgeslm.stages.encoder import Stages
from edgeslm.stages.firmware_turn import find_turn
from edgeslm.stages.language import LanguageStages
from edgeslm.stages.tokenizer import tokenizer_of
from edgeslm.target import Target
from edgeslm.tokenizer.specification import Specification
from edgeslm.tokenizer.table import compile_table

Packed = tuple[Mapping[str, bytes | Path], LiteRtFiles, AndroidLibrary]
"""Assets by name, what is merged of LiteRT, and the library with all of it."""


@dataclass(frozen=True)
class AndroidStages:
    """Of one scheme's model; the library is made once, of all of them."""

    cache: StageCache
    checkpoint: Checkpoint
    plan: QuantPlan
    calibration: texts.Texts | None
    scoring: texts.Texts | None

    def model(self, min_fidelity: float | None) -> BuiltModel:
        """Compiled and scored; its gates are not judged yet."""
        if self.checkpoint.decoder is not None:
            if self.calibration is None or self.scoring is None:
                raise InternalError(f"{self.checkpoint.name} is a language model, and is planned without texts")
            language = LanguageStages(self.cache, self.checkpoint, self.plan, self.calibration, self.scoring)
            compiled = language.quantize()
            return BuiltModel(self.plan, None, compiled, language.score(compiled, min_fidelity))
        stages = Stages(self.cache, self.checkpoint, self.plan, self.calibration, self.scoring)
        onnx = stages.export()
        lowered = stages.lower(onnx)
        compiled = stages.quantize(lowered, onnx)
        return BuiltModel(self.plan, onnx, compiled, stages.score(compiled, lowered.bytes, onnx, min_fidelity))

    def library(self, models: Sequence[BuiltModel], target: Target, litert: Sequence[Path]) -> Packed:
        """The .aar of all models, with LiteRT's files in it where they are given."""
        assert target.android is not None
        tokenizer = tokenizer_of(self.checkpoint)
        assets = asset_members(self.checkpoint, models, compile_table(tokenizer), self._turn(tokenizer))
        files = read_litert(litert, target.android.abi, target.cpu.arch)
        members = library_members(assets, files, target.android.abi, target.android.min_sdk)
        parent = json_digest({name: file_part(content).sha256 for name, content in members.items()})

        def make(out: Path) -> AndroidLibrary:
            library = AndroidLibrary(out, "", parent)
            write_library(library.path, members)
            return dataclasses.replace(library, digest=file_digest(library.path))

        key = [parent, code_digest("bundle/android", "formats")]
        return assets, files, self.cache.stage("library", key, AndroidLibrary, make)

    def _turn(self, tokenizer: Specification) -> Turn | None:
        """What an app puts around a message of a chat."""
        generation = self.checkpoint.generation
        if generation is None:
            return None
        if tokenizer.before[:1] == (generation.bos,):
            generation = dataclasses.replace(generation, add_bos=False)
        return find_turn(self.checkpoint, generation, most_bytes=None)
