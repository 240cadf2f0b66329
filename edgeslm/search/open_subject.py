"""From a build's request to what is chosen for: the stages that a choice rests on, kept like any other."""

from __future__ import annotations

import dataclasses
import platform

from edgeslm.artifacts import Samples
from edgeslm.backends.tflite.language_windows import CHUNKS, cache_segments, language_signatures
from edgeslm.cache import StageCache, cache_folder
from edgeslm.cost.profile import TargetProfile, find_profile
from edgeslm.cost.sizes import ModelShape, size_bytes
from edgeslm.device.probe.language import REFERENCE_TOKENS as DEPTH
from edgeslm.device.probe.sections import reference_length
from edgeslm.errors import ConfigError, UnsupportedError
from edgeslm.limits import NO_LIMITS
from edgeslm.pipeline import Announce, BuildRequest, Decision, encoder_stages, plan
from edgeslm.quantize.choices import allowed_choices
from edgeslm.search.bounds import Bounds
from edgeslm.search.contradictions import reject_contradictions
from edgeslm.search.losses import complete, measured_choices, measured_whole, together
from edgeslm.search.problem import Metric
from edgeslm.search.solve import require_scipy
from edgeslm.search.subject import Losses, Subject
from edgeslm.stages.language import LanguageStages, weight_files_of

PLAIN = "int8"
"""The scheme whose plan says what else is decided: backend, lengths, context."""


def open_bounds(request: BuildRequest, announce: Announce) -> Bounds:
    """The request's limits on its model and target. Raises ConfigError for flags that exclude each other,
    MissingExtraError without the solver, and what the stages raise."""
    require_scipy()
    if request.schemes or request.plan is not None:
        flag = "--scheme" if request.schemes else "--plan"
        raise ConfigError(
            f"{flag} and limits exclude each other: {' '.join(request.limits.flags)} has a plan found",
            f"leave out {flag}, or the limits",
        )
    cache = StageCache(cache_folder(), announce)
    decision = plan(plain_request(request), cache)
    if decision.checkpoint.net is not None:
        raise UnsupportedError(
            f"{decision.checkpoint.name} came quantized: there is nothing to choose", "leave out the limits"
        )
    profile = _usable(find_profile(decision.target, request.limits.profile), decision)
    reject_contradictions(request.limits, request.min_fidelity, decision.target, decision.plan.backend, profile)
    if profile is not None and not _knows_backend(profile, decision.plan.backend):
        profile = None
    subject = _subject(cache, decision, profile)
    return Bounds(subject, request.limits, request.min_fidelity, _room(decision, subject.shape))


def _room(decision: Decision, shape: ModelShape | None) -> dict[Metric, float]:
    """What the target has: of a microcontroller, flash that the rest of its image leaves for parameters."""
    budget = decision.budget
    if budget is None:
        return {"ram": decision.memory.available}
    planned = budget.flash["weights"] if shape is None else size_bytes(shape, decision.plan.choices)
    return {"size": budget.flash_available - budget.flash_bytes + planned}


def plain_request(request: BuildRequest) -> BuildRequest:
    return dataclasses.replace(request, scheme=PLAIN, limits=NO_LIMITS)


def _subject(cache: StageCache, decision: Decision, profile: TargetProfile | None) -> Subject:
    checkpoint, decided = decision.checkpoint, decision.plan
    calibration: Samples | None
    shape, run, outputs, tokens = None, "", 0, None
    if checkpoint.decoder is not None:
        language = LanguageStages(cache, checkpoint, decided, *decision.language_texts)
        calibration = language.calibration_tokens()
        tokens = min(DEPTH, decided.lengths[0])
        if decided.backend == "tflite":
            shape, run = _decoder_shape(decision), language_signatures(decided.lengths[0])[0].name
            outputs = checkpoint.decoder.vocabulary
        elif decision.target.is_firmware:
            from edgeslm.stages.firmware_shape import RUN, step_shape

            shape, run = step_shape(decision.target, checkpoint, decided, tokens), RUN
    else:
        stages = encoder_stages(cache, decision)
        onnx = stages.export()
        calibration = stages.calibration_samples(onnx)
        if decided.backend == "tflite":
            from edgeslm.backends.tflite.lowering import signature_names
            from edgeslm.backends.tflite.model_calls import encoder_shape

            shape = encoder_shape(stages.lower(onnx))
            tokens = reference_length(onnx.lengths or (None,))
            run = signature_names(onnx.lengths)[tokens] if tokens in onnx.lengths else next(iter(shape.calls))
        elif decided.backend == "openvino":
            from edgeslm.backends.openvino.model_shape import encoder_shape as openvino_shape

            tokens = reference_length(onnx.lengths or (None,))
            shape = openvino_shape(stages.lower(onnx), None if profile is None else tokens)
        elif decision.target.is_firmware:
            from edgeslm.stages.firmware_shape import RUN, text_shape

            (tokens,) = decided.lengths
            shape, run = text_shape(decision.target, checkpoint, decided, onnx, tokens), RUN
    losses = _losses(cache, decision, calibration)
    ram = 0 if decision.budget is None else decision.budget.ram_bytes
    cache_bytes = 0 if decision.target.is_firmware else decided.cache_bytes
    return Subject(
        decision.target, checkpoint, decided.backend, losses, shape, profile, run, outputs, ram, tokens, cache_bytes
    )


def _decoder_shape(decision: Decision) -> ModelShape:
    from edgeslm.backends.tflite.model_calls import decoder_shape
    from edgeslm.export.decoder_graph import Window, build_graph
    from edgeslm.formats.safetensors_weights import SafetensorsWeights

    checkpoint, kv_cache = decision.checkpoint, decision.plan.kv_cache
    decoder, (context,) = checkpoint.decoder, decision.plan.lengths
    assert decoder is not None
    signatures = [(one.name, one.tokens, one.segments) for one in language_signatures(context)]
    folder, file_of = weight_files_of(checkpoint)
    with SafetensorsWeights(folder, file_of) as weights:
        return decoder_shape(
            lambda tokens, segments, places: (
                build_graph(decoder, Window(tokens, tuple(segments), places, kv_cache), weights).graph
            ),
            signatures,
            cache_segments(context),
            context + CHUNKS[-1],
        )


def _losses(cache: StageCache, decision: Decision, calibration: Samples | None) -> Losses:
    from edgeslm.stages.sensitivity import sensitivity_stage

    checkpoint, backend = decision.checkpoint, decision.plan.backend
    language = checkpoint.decoder is not None
    allowed = {one.name: allowed_choices(one, backend, language=language) for one in checkpoint.parameters}
    choosing = {name: known for name, known in allowed.items() if len(known) > 1}
    choices = {name: measured_choices(known) for name, known in choosing.items()}
    found = sensitivity_stage(
        cache, checkpoint, backend, calibration, choices, measured_whole(choosing, language=language)
    )
    losses = together(found, worst=not language)
    return {name: complete(by_choice, allowed[name]) for name, by_choice in losses.items()}


def _usable(profile: TargetProfile | None, decision: Decision) -> TargetProfile | None:
    """Without OpenVINO's laws where its calls are not known: of a language model's step, of a plain module, and of
    another kind of machine, whose plugin joins other operators."""
    checkpoint = decision.checkpoint
    known = checkpoint.decoder is None and checkpoint.tokenizer is not None
    if profile is None or (known and decision.target.cpu.arch == platform.machine()):
        return profile
    return profile.model_copy(update={"kernel": tuple(one for one in profile.kernel if one.backend != "openvino")})


def _knows_backend(profile: TargetProfile, backend: str) -> bool:
    return any(law.backend == backend for law in profile.kernel)
