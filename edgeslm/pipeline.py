"""The story: from a checkpoint to a verified bundle. The only place that joins stages."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.artifacts import (
    BuildReport,
    BuiltModel,
    Bundle,
    Checkpoint,
    CompiledModel,
    Fidelity,
    LoweredModel,
    OnnxModel,
    QuantPlan,
)
from edgeslm.backends import missing_backends
from edgeslm.bundle import linux, store
from edgeslm.cache import MAX_BYTES, StageCache, cache_folder, explain_full_disk, prune
from edgeslm.cost.memory import Budget
from edgeslm.demos import find_demo
from edgeslm.errors import ConfigError, UnsupportedError
from edgeslm.export.checkpoint import context_length, length_buckets, open_checkpoint, reject_language_options
from edgeslm.fidelity import gates, texts
from edgeslm.formats.operator_layers import OperatorLayers
from edgeslm.limits import NO_LIMITS, Limits
from edgeslm.planning import decide, find_converter, plan_budget
from edgeslm.quantize.plan import TensorPlan
from edgeslm.quantize.plan_file import read_plan
from edgeslm.stages.android_plan import decide_android, reject_android_options, reject_linux_options
from edgeslm.stages.encoder import Stages, export_stage
from edgeslm.stages.language import LanguageStages
from edgeslm.stages.language_plan import decide_language, find_kv_cache
from edgeslm.target import Target, load_target

# What builds for microcontrollers is imported where they are: it takes as long as all the rest.
if TYPE_CHECKING:
    from edgeslm.backends.cortexm.budget import FirmwareBudget
    from edgeslm.stages.firmware import FirmwareStages
    from edgeslm.stages.firmware_encoder import EncoderStages

Announce = Callable[[str, bool], contextlib.AbstractContextManager[None]]
"""Called as announce(stage, cached) around every stage: how a command line shows progress."""


@dataclass(frozen=True)
class BuildRequest:
    """Everything a user can ask of `plan` and `build`; the command line's flags, one to one."""

    target: str
    model: str = "demo"
    scheme: str | tuple[str, ...] | None = None  # several for Android alone: a model of each in one bundle
    backend: str | None = None
    max_length: int | None = None
    calibration: Path | None = None
    eval: Path | None = None
    min_fidelity: float | None = None
    allow_below_gate: bool = False
    force: bool = False
    vendor_wheels: bool = False
    out: Path = Path()
    converter: str | None = None
    context: int | None = None
    kv_cache: str | None = None
    litert_aar: tuple[Path, ...] = ()
    plan: Path | TensorPlan | None = None
    """In the place of scheme and backend: a plan file, or what a search found."""
    limits: Limits = NO_LIMITS
    """Carried out by edgeslm.search, which finds a plan for them."""

    @property
    def schemes(self) -> tuple[str, ...]:
        return (self.scheme,) if isinstance(self.scheme, str) else tuple(self.scheme or ())


@dataclass(frozen=True)
class Decision:
    """What `plan` prints and `build` carries out."""

    target: Target
    checkpoint: Checkpoint
    plan: QuantPlan
    calibration: texts.Texts | None
    scoring: texts.Texts | None  # None for a plain module, which is scored on random inputs
    budget: FirmwareBudget | None = None  # of a microcontroller alone
    others: tuple[QuantPlan, ...] = ()  # of further models in a bundle for Android
    min_fidelity: float | None = None  # in the place of the scheme's own gate

    @property
    def memory(self) -> Budget:
        return plan_budget(self.target, self.checkpoint, self.plan) if self.budget is None else self.budget.summary

    @property
    def plans(self) -> tuple[QuantPlan, ...]:
        return (self.plan, *self.others)

    @property
    def language_texts(self) -> tuple[texts.Texts, texts.Texts]:
        """What calibrates a language model, and what scores it."""
        assert self.calibration is not None
        assert self.scoring is not None
        return self.calibration, self.scoring


def plan(request: BuildRequest, cache: StageCache | None = None) -> Decision:
    """Decide and do nothing, but that an encoder for a microcontroller is exported to know what it takes. What `cache`
    holds already is not worked out again."""
    target = load_target(request.target)
    if target.is_android:
        reject_linux_options(target, vendor_wheels=request.vendor_wheels)
    else:
        reject_android_options(target, request.schemes, request.litert_aar)
    scheme = next(iter(request.schemes), None)
    checkpoint = open_checkpoint(request.model)
    if checkpoint.net is not None:
        from edgeslm.stages.firmware_net_plan import decide_net, reject_net_options

        reject_net_options(checkpoint, _net_options(request))
        found = decide_net(target, checkpoint, scheme, request.backend, request.converter)
        return Decision(target, checkpoint, found.plan, None, None, found.budget)
    if checkpoint.decoder is None:
        lengths = length_buckets(checkpoint, request.max_length)
        reject_language_options(checkpoint, request.context, request.kv_cache)
    else:
        lengths = (context_length(checkpoint, request.context, request.max_length),)
    if request.min_fidelity is not None and not 0 <= request.min_fidelity <= 1:
        raise ConfigError(
            f"--min-fidelity {request.min_fidelity} is not between 0 and 1", "a share that is to be kept, as in 0.97"
        )
    if request.limits.profile is not None and not request.limits.asked:
        raise ConfigError(
            f"--target-profile {request.limits.profile} says what a run costs, and no limit asks for that",
            "add --max-latency 25ms or --max-instructions 20M, or leave it out",
        )
    if checkpoint.tokenizer is None:
        if request.calibration or request.eval:
            raise ConfigError(
                f"{checkpoint.name} is a plain module: it takes no text",
                "leave out --calibration and --eval; it is scored on random inputs shaped like its example",
            )
        calibration = scoring = None
    else:
        calibration, scoring = _texts(request)
    given = _given(request, target, checkpoint)
    asked = (scheme, request.backend, find_converter(request.converter))
    least = request.min_fidelity if request.min_fidelity is not None or given is None else given.min_fidelity
    decision = functools.partial(
        Decision, target, checkpoint, calibration=calibration, scoring=scoring, min_fidelity=least
    )
    if target.is_firmware and checkpoint.decoder is None and checkpoint.tokenizer is not None:
        from edgeslm.stages.firmware_encoder_plan import decide_encoder
        from edgeslm.stages.firmware_plan import chosen_scheme

        if given is None:
            chosen_scheme(target, *asked)  # what is wrong with the flags is said before the export
        onnx = export_stage(cache or StageCache(cache_folder(), _silent), checkpoint, lengths[-1:])
        found = decide_encoder(target, checkpoint, onnx, *asked, given)
        return decision(plan=found.plan, budget=found.budget)
    if target.is_firmware:
        from edgeslm.stages.firmware_plan import decide_firmware

        if request.vendor_wheels:
            raise UnsupportedError(f"firmware for {target.name} has no Python packages", "leave out --vendor-wheels")
        keep = None
        if cache is not None:
            keep = functools.partial(_keep_budget, cache)
        found = decide_firmware(target, checkpoint, lengths, find_kv_cache(request.kv_cache), *asked, given, keep)
        return decision(plan=found.plan, budget=found.budget)
    decide_as = _decide_as(request, target, checkpoint, lengths, given)
    if target.is_android:
        plans = decide_android(target, checkpoint, request.schemes, request.litert_aar, decide_as)
        return decision(plan=plans[0], others=plans[1:])
    return decision(plan=decide_as(scheme))


def _decide_as(
    request: BuildRequest, target: Target, checkpoint: Checkpoint, lengths: tuple[int, ...], given: TensorPlan | None
) -> Callable[[str | None], QuantPlan]:
    """Scheme, or none -> the plan, for a target that has a runtime."""
    asked = (request.backend, find_converter(request.converter))
    missing = missing_backends(asked[-1])
    if checkpoint.decoder is None:
        return lambda scheme: decide(target, checkpoint, lengths, missing, scheme, *asked, given)
    kv_cache = find_kv_cache(request.kv_cache)
    return lambda scheme: decide_language(target, checkpoint, lengths[0], kv_cache, missing, scheme, *asked, given)


def _given(request: BuildRequest, target: Target, checkpoint: Checkpoint) -> TensorPlan | None:
    """The plan that was decided beforehand. Raises ConfigError where flags or the file contradict each other."""
    if request.plan is None:
        return None
    flags = {"--scheme": request.schemes or None, "--backend": request.backend}
    clashing = [flag for flag, value in flags.items() if value is not None]
    if clashing:
        raise ConfigError(
            f"--plan and {' and '.join(clashing)} exclude each other", "the plan says what each tensor is stored as"
        )
    return request.plan if isinstance(request.plan, TensorPlan) else read_plan(request.plan, target, checkpoint)


def _net_options(request: BuildRequest) -> dict[str, object]:
    """What a net that came quantized has no use for."""
    return {
        "--max-length": request.max_length,
        "--context": request.context,
        "--kv-cache": request.kv_cache,
        "--calibration": request.calibration,
        "--eval": request.eval,
        "--min-fidelity": request.min_fidelity,
        "--vendor-wheels": request.vendor_wheels,
        "--plan": request.plan,
    }


def _keep_budget(cache: StageCache, key: list[object], make: Callable[[], FirmwareBudget]) -> FirmwareBudget:
    from edgeslm.backends.cortexm.budget import FirmwareBudget

    return cache.stage("memory", key, FirmwareBudget, lambda _: make())


def _texts(request: BuildRequest) -> tuple[texts.Texts, texts.Texts]:
    """What the user gave; what a demo brings of its own; the built-in texts."""
    demo = find_demo(request.model)
    own = (demo.calibration, demo.evaluation) if demo else (None, None)
    return texts.load_texts(request.calibration or own[0], request.eval or own[1])


def build(request: BuildRequest, announce: Announce) -> BuildReport:
    """Carry out what `plan` decides for the same request.

    Raises every EdgeslmError there is a name for; leaves no bundle behind when it does.
    """
    cache = StageCache(cache_folder(), announce)
    decision = plan(request, cache)
    checkpoint, decided = decision.checkpoint, decision.plan
    path = store.bundle_path(request.out, checkpoint, *decision.plans)
    store.reject_existing(path, checkpoint, decided, force=request.force)
    others: tuple[BuiltModel, ...] = ()
    if checkpoint.net is not None:
        made = _build_net(request, decision, cache, announce)
    elif decision.target.is_firmware and checkpoint.decoder is None:
        made = _build_firmware_encoder(request, decision, cache, announce)
    elif decision.target.is_firmware:
        made = _build_firmware(request, decision, cache, announce)
    elif decision.target.is_android:
        made, others = _build_android(request, decision, cache, announce)
    elif checkpoint.decoder is not None:
        made = _build_language(request, decision, cache, announce)
    else:
        made = _build_encoder(request, decision, cache, announce)
    bundle, compiled, fidelity = made
    prune(cache_folder(), int(os.environ.get("EDGESLM_CACHE_MAX_BYTES", MAX_BYTES)))
    records = tuple(cache.records)
    below = any(not one.passed for one in (fidelity, *(other.fidelity for other in others)))
    return BuildReport(bundle, decided, checkpoint, compiled, fidelity, records, below, others)


@dataclass(frozen=True)
class Measured:
    """What a plan came to, built and scored, whatever its gates say."""

    decision: Decision
    compiled: CompiledModel
    fidelity: Fidelity


def measure(request: BuildRequest, announce: Announce) -> Measured:
    """What `build` would find, by the same stages; no bundle is written."""
    cache = StageCache(cache_folder(), announce)
    decision = plan(request, cache)
    if decision.checkpoint.net is not None:
        raise UnsupportedError(f"{decision.checkpoint.name} came quantized: there is nothing to choose")
    if decision.target.is_firmware and decision.checkpoint.decoder is None:
        return Measured(decision, *_score_firmware_encoder(decision, cache)[2:])
    if decision.target.is_firmware:
        return Measured(decision, *_score_firmware(decision, cache)[1:])
    if decision.checkpoint.decoder is not None:
        return Measured(decision, *_score_language(decision, cache))
    return Measured(decision, *_score_encoder(decision, cache)[3:])


Made = tuple[Bundle, CompiledModel, Fidelity]


def _build_encoder(request: BuildRequest, decision: Decision, cache: StageCache, announce: Announce) -> Made:
    stages, onnx, lowered, compiled, fidelity = _score_encoder(decision, cache)
    gates.require_passed(fidelity, allow=request.allow_below_gate)
    layers = stages.layers(compiled, lowered, onnx)
    return _bundle_linux(request, decision, announce, onnx, compiled, fidelity, layers), compiled, fidelity


def _build_language(request: BuildRequest, decision: Decision, cache: StageCache, announce: Announce) -> Made:
    compiled, fidelity = _score_language(decision, cache)
    gates.require_passed(fidelity, allow=request.allow_below_gate)
    return _bundle_linux(request, decision, announce, None, compiled, fidelity, None), compiled, fidelity


def _build_android(
    request: BuildRequest, decision: Decision, cache: StageCache, announce: Announce
) -> tuple[Made, tuple[BuiltModel, ...]]:
    from edgeslm.bundle.android.write import write_android_bundle
    from edgeslm.stages.android import AndroidStages

    checkpoint, target = decision.checkpoint, decision.target
    models = []
    for one in decision.plans:
        stages = AndroidStages(cache, checkpoint, one, decision.calibration, decision.scoring)
        models.append(stages.model(decision.min_fidelity))
        gates.require_passed(models[-1].fidelity, allow=request.allow_below_gate)
    packed = stages.library(models, target, request.litert_aar)
    with explain_full_disk(request.out), announce("bundle", False):
        bundle = write_android_bundle(checkpoint, models, target, *packed, request.out, force=request.force)
    return (bundle, models[0].compiled, models[0].fidelity), tuple(models[1:])


def _build_firmware(request: BuildRequest, decision: Decision, cache: StageCache, announce: Announce) -> Made:
    from edgeslm.bundle.firmware import write_firmware_bundle

    checkpoint, decided, target = decision.checkpoint, decision.plan, decision.target
    stages, compiled, fidelity = _score_firmware(decision, cache)
    gates.require_passed(fidelity, allow=request.allow_below_gate)
    flags = {"below_gate": not fidelity.passed, "force": request.force}
    built = stages.image(compiled)
    with explain_full_disk(request.out), announce("bundle", False):
        bundle = write_firmware_bundle(
            checkpoint, decided, target, compiled, fidelity, built, request.out, None, **flags
        )
    return bundle, compiled, fidelity


def _build_firmware_encoder(request: BuildRequest, decision: Decision, cache: StageCache, announce: Announce) -> Made:
    from edgeslm.bundle.firmware import write_firmware_bundle

    checkpoint, decided, target = decision.checkpoint, decision.plan, decision.target
    stages, onnx, compiled, fidelity = _score_firmware_encoder(decision, cache)
    gates.require_passed(fidelity, allow=request.allow_below_gate)
    flags = {"below_gate": not fidelity.passed, "force": request.force}
    built = stages.image(compiled)
    with explain_full_disk(request.out), announce("bundle", False):
        bundle = write_firmware_bundle(
            checkpoint, decided, target, compiled, fidelity, built, request.out, onnx, **flags
        )
    return bundle, compiled, fidelity


def _score_encoder(
    decision: Decision, cache: StageCache
) -> tuple[Stages, OnnxModel, LoweredModel, CompiledModel, Fidelity]:
    stages = encoder_stages(cache, decision)
    onnx = stages.export()
    lowered = stages.lower(onnx)
    compiled = stages.quantize(lowered, onnx)
    fidelity = stages.score(compiled, lowered.bytes, onnx, decision.min_fidelity)
    return stages, onnx, lowered, compiled, fidelity


def _score_language(decision: Decision, cache: StageCache) -> tuple[CompiledModel, Fidelity]:
    stages = LanguageStages(cache, decision.checkpoint, decision.plan, *decision.language_texts)
    compiled = stages.quantize()
    return compiled, stages.score(compiled, decision.min_fidelity)


def _score_firmware(decision: Decision, cache: StageCache) -> tuple[FirmwareStages, CompiledModel, Fidelity]:
    from edgeslm.stages.firmware import FirmwareStages

    _require_compilers()
    stages = FirmwareStages(cache, decision.checkpoint, decision.plan, *decision.language_texts, decision.target)
    compiled = stages.quantize()
    return stages, compiled, stages.score(compiled, decision.min_fidelity)


def _score_firmware_encoder(
    decision: Decision, cache: StageCache
) -> tuple[EncoderStages, OnnxModel, CompiledModel, Fidelity]:
    from edgeslm.stages.firmware_encoder import EncoderStages

    _require_compilers()
    common = encoder_stages(cache, decision)
    onnx = common.export()
    stages = EncoderStages(cache, decision.checkpoint, decision.plan, onnx, decision.target)
    compiled = stages.quantize()
    runs = stages.open_engine, stages.runner_key
    floats = 4 * decision.checkpoint.elements
    return stages, onnx, compiled, common.score(compiled, floats, onnx, decision.min_fidelity, *runs)


def _require_compilers() -> None:
    """What is missing is said at once, not after the score."""
    from edgeslm.backends.cortexm.host_kernels import find_host_compiler
    from edgeslm.firmware.toolchain import find_compiler

    find_compiler()
    find_host_compiler()


def _build_net(request: BuildRequest, decision: Decision, cache: StageCache, announce: Announce) -> Made:
    from edgeslm.bundle.firmware import write_firmware_bundle
    from edgeslm.stages.firmware_net import NetStages

    checkpoint, decided, target = decision.checkpoint, decision.plan, decision.target
    _require_compilers()
    stages = NetStages(cache, checkpoint, decided, target)
    compiled = stages.generate()
    fidelity = stages.score(compiled)
    gates.require_passed(fidelity, allow=request.allow_below_gate)
    flags = {"below_gate": not fidelity.passed, "force": request.force}
    built = stages.image(compiled)
    with explain_full_disk(request.out), announce("bundle", False):
        bundle = write_firmware_bundle(
            checkpoint, decided, target, compiled, fidelity, built, request.out, None, **flags
        )
    return bundle, compiled, fidelity


def encoder_stages(cache: StageCache, decision: Decision) -> Stages:
    return Stages(cache, decision.checkpoint, decision.plan, decision.calibration, decision.scoring)


def _silent(stage: str, cached: bool) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def _bundle_linux(
    request: BuildRequest,
    decision: Decision,
    announce: Announce,
    onnx: OnnxModel | None,
    compiled: CompiledModel,
    fidelity: Fidelity,
    layers: OperatorLayers | None,
) -> Bundle:
    with explain_full_disk(request.out), announce("bundle", False):
        return linux.write_bundle(
            decision.checkpoint,
            decision.plan,
            decision.target,
            onnx,
            compiled,
            fidelity,
            layers,
            request.out,
            below_gate=not fidelity.passed,
            force=request.force,
            vendor_wheels=request.vendor_wheels,
        )
