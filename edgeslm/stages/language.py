"""The stages of a language model's build: shorter than an encoder's, since weights never lie on disk as floats.

Checkpoint (with its Decoder) ──► graphs in memory, lowered with weights rounded one at a time ──► CompiledModel
                                                                                          ──► LanguageScores
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import Checkpoint, CompiledModel, Fidelity, QuantPlan, Samples
from edgeslm.backends import load_backend
from edgeslm.cache import StageCache, code_digest
from edgeslm.decoder import Decoder
from edgeslm.errors import InternalError
from edgeslm.fidelity import language_score, language_texts, texts
from edgeslm.formats.safetensors_weights import SafetensorsWeights
from edgeslm.quantize.schemes import plan_scheme
from edgeslm.versions import tool_versions

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LanguageStages:
    """Each with the key of everything its result depends on."""

    cache: StageCache
    checkpoint: Checkpoint
    plan: QuantPlan
    calibration: texts.Texts
    scoring: texts.Texts

    @property
    def decoder(self) -> Decoder:
        if self.checkpoint.decoder is None:
            raise InternalError(f"{self.checkpoint.name} is built as a language model, and is none")
        return self.checkpoint.decoder

    def quantize(self) -> CompiledModel:
        name = self.plan.backend
        moments = self._moments() if plan_scheme(self.plan).linear == "int4" else None
        key = [
            self.checkpoint.digest,
            self.plan.digest,
            moments.digest if moments else None,
            code_digest(f"backends/{name}", "export", "formats", "quantize", "decoder"),
            tool_versions(name),
        ]
        return self.cache.stage("quantize", key, CompiledModel, lambda out: self._write(moments, out))

    def score(self, compiled: CompiledModel, min_fidelity: float | None) -> Fidelity:
        scoring = self._tokens("scoring", self.scoring)
        reference = self._reference(scoring)
        key = [compiled.digest, scoring.digest, reference.digest, code_digest("fidelity", "device"), *self.runner_key]
        scores = self.cache.stage(
            "score",
            key,
            language_score.LanguageScores,
            lambda _: language_score.score_language(compiled, scoring, reference, self.open_engine),
        )
        scheme = plan_scheme(self.plan)
        return language_score.judge_language(scores, scheme, compiled.bytes, self.checkpoint, min_fidelity)

    @property
    def open_engine(self) -> language_score.OpenEngine | None:
        """What runs the model for its score; None for the runtime it is for."""
        return None

    @property
    def runner_key(self) -> tuple[object, ...]:
        """What else the score depends on."""
        return ()

    def _write(self, moments: Samples | None, out: Path) -> CompiledModel:
        from edgeslm.export.decoder_graph import Window, build_graph
        from edgeslm.formats.moments import open_moments

        folder, file_of = weight_files_of(self.checkpoint)
        with ExitStack() as opened:
            weights = opened.enter_context(SafetensorsWeights(folder, file_of))
            known = opened.enter_context(open_moments(moments.path)) if moments else None

            def moments_of(parameter: str) -> NDArray[Any] | None:
                return None if known is None else known(parameter)

            return load_backend(self.plan.backend).write_language(
                self.decoder,
                weights,
                lambda tokens, segments, places: (
                    build_graph(
                        self.decoder, Window(tokens, tuple(segments), places, self.plan.kv_cache), weights
                    ).graph
                ),
                self.plan,
                moments_of,
                out,
                self.checkpoint.digest,
            )

    def _tokens(self, use: str, chosen: texts.Texts) -> Samples:
        checkpoint, (context,) = self.checkpoint, self.plan.lengths
        key = [checkpoint.digest, chosen.digest, context, code_digest("fidelity", "formats")]
        return self.cache.stage(
            use, key, Samples, lambda out: language_texts.tokenize_language(checkpoint, chosen, context, out)
        )

    def _reference(self, scoring: Samples) -> Samples:
        from edgeslm.export.language_reference import language_reference

        key = [self.checkpoint.digest, scoring.digest, code_digest("export"), tool_versions("export")]
        return self.cache.stage(
            "reference", key, Samples, lambda out: language_reference(self.checkpoint, scoring, out)
        )

    def _moments(self) -> Samples:
        from edgeslm.export.language_reference import input_moments

        return self._measured("moments", input_moments)

    def _magnitudes(self) -> Samples:
        from edgeslm.export.language_reference import input_magnitudes

        return self._measured("magnitudes", input_magnitudes)

    def calibration_tokens(self) -> Samples | None:
        """None for built-in sentences: they are nothing that this model was trained on; what it writes itself is."""
        return None if self.calibration.built_in else self._tokens("calibration", self.calibration)

    def _measured(self, name: str, measure: Callable[[Checkpoint, Samples | None, Path], Samples]) -> Samples:
        tokens = self.calibration_tokens()
        chosen = tokens.digest if tokens else None
        key = [self.checkpoint.digest, chosen, code_digest("export", "quantize/ranges"), tool_versions("export")]
        return self.cache.stage(name, key, Samples, lambda out: measure(self.checkpoint, tokens, out))


def weight_files_of(checkpoint: Checkpoint) -> tuple[Path, dict[str, str]]:
    """The checkpoint's folder, and which of its files holds each tensor."""
    from edgeslm.export.load import body_folder
    from edgeslm.export.weights_file import read_headers, weight_files

    assert checkpoint.root is not None
    folder = body_folder(checkpoint.root)
    return folder, {header.name: header.file for header in read_headers(folder, weight_files(folder))}
