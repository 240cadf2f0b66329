"""What `--json` prints: one model per command. Their JSON Schemas are published in docs/schema.

A field is added, never renamed or removed, within one major version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from edgeslm.artifacts import PYTORCH
from edgeslm.bundle.manifest import Manifest, perplexity_part
from edgeslm.planning import plan_budget
from edgeslm.target import Target

if TYPE_CHECKING:
    from edgeslm.artifacts import BuildReport, Checkpoint, Fidelity, QuantPlan
    from edgeslm.backends.cortexm.budget import FirmwareBudget
    from edgeslm.bundle.inspect import Inspection
    from edgeslm.cost.memory import Budget
    from edgeslm.pipeline import Decision


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TargetsAnswer(_Answer):
    """`edgeslm targets --json`. `not_run_here`: names of boards and phones that are built for, and not executed."""

    targets: list[Target]
    not_run_here: list[str]


class TargetAnswer(_Answer):
    """`edgeslm targets show NAME --json`"""

    target: Target
    isa: list[str]
    not_run_here: bool


class PlannedTensor(_Answer):
    parameter: str
    shape: tuple[int, ...]
    precision: str
    group: int | None
    reason: str


class MemoryAnswer(_Answer):
    """Bytes the model needs on the target, against what is there."""

    weights: int
    expansion: int
    runtime: int
    resident: int
    available: int
    storage: int
    storage_available: int
    cache: int = 0  # a language model's keys and values


class PlacedAnswer(_Answer):
    """A buffer of activations: its place in the arena, and the first and last call that touch it."""

    name: str
    offset: int
    bytes: int
    first: int
    last: int


class FirmwareMemoryAnswer(_Answer):
    """Bytes of a microcontroller's memories, by item; and the arena's buffers."""

    flash: dict[str, int]
    ram: dict[str, int]
    arena: list[PlacedAnswer]


class OtherPlanAnswer(_Answer):
    """A further model of an Android bundle that holds several schemes."""

    scheme: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    model_bytes: int
    memory: MemoryAnswer
    tensors: list[PlannedTensor]
    digest: str


class PlanAnswer(_Answer):
    """`edgeslm plan --json`"""

    model: str
    checkpoint: str
    task: str
    target: str
    backend: str
    scheme: str
    lengths: tuple[int, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    model_bytes: int
    memory: MemoryAnswer
    tensors: list[PlannedTensor]
    digest: str
    firmware: FirmwareMemoryAnswer | None = None  # microcontrollers only
    others: list[OtherPlanAnswer] = []


class ScoreAnswer(_Answer):
    output: str
    cosine_min: float
    cosine_mean: float
    max_abs_error: float
    label_agreement: float | None
    identical: float | None = None  # of a net: the share of numbers that are the reference's, to the bit


class GateAnswer(_Answer):
    name: str
    value: float
    threshold: float
    passed: bool


class PerplexityAnswer(_Answer):
    """Of PyTorch in float32 and of the built model; `kept` is the first ÷ the second."""

    reference: float
    compiled: float
    kept: float
    tokens: int


class FidelityAnswer(_Answer):
    """The bundle's model against PyTorch. `cosine_min` and `max_abs_error` are the worst of all outputs."""

    cosine_min: float
    max_abs_error: float
    texts: str
    samples: int
    passed: bool
    outputs: list[ScoreAnswer]
    gates: list[GateAnswer]
    worst_tensors: list[tuple[str, float]]
    perplexity: PerplexityAnswer | None = None  # language models only
    reference: str = PYTORCH  # what the scores are against


class StageAnswer(_Answer):
    name: str
    seconds: float
    peak_rss_mib: float
    cached: bool


class OtherModelAnswer(_Answer):
    """A further model of an Android bundle that holds several schemes."""

    scheme: str
    model_bytes: int
    below_gate: bool
    fidelity: FidelityAnswer
    kept_float: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


class FigureAnswer(_Answer):
    """What was predicted of a plan that limits had found, and what was measured of it."""

    name: str  # size, ram, latency, instructions, fidelity
    predicted: float
    measured: float | None
    limit: float | None
    plus_minus: float | None
    held_out: int | None  # kernel shapes that the prediction's laws were held against


class BuildAnswer(_Answer):
    """`edgeslm build --json`, and the report file beside the bundle."""

    bundle: str
    digest: str
    bundle_bytes: int
    model: str
    task: str
    target: str
    backend: str
    scheme: str
    lengths: tuple[int, ...]
    model_bytes: int
    below_gate: bool
    fidelity: FidelityAnswer
    kept_float: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    stages: list[StageAnswer]
    others: list[OtherModelAnswer] = []
    figures: list[FigureAnswer] = []  # builds with limits only


class Found(_Answer):
    name: str
    kind: str  # package, environment, tool
    purpose: str
    version: str | None
    problem: str | None
    install: str | None


class ServeAnswer(_Answer):
    """`edgeslm serve --json`, once it answers"""

    name: str
    task: str
    url: str  # what clients are given as their base
    key: bool  # whether they must send an API key
    local: bool  # whether only this machine reaches it


class DoctorAnswer(_Answer):
    """`edgeslm doctor --json`"""

    ok: bool
    found: list[Found]


class LabelScore(_Answer):
    label: str
    score: float


class TextAnswer(_Answer):
    """One text's result; the fields that its task does not have are null."""

    text: str
    tokens: int
    truncated: bool
    embedding: list[float] | None = None
    labels: list[LabelScore] | None = None
    tokens_labelled: list[dict[str, str | float]] | None = None
    fills: list[LabelScore] | None = None


class GenerationAnswer(_Answer):
    """A language model's answer. `tokens` are all that it generated, with the one that ended it, if any did."""

    prompt: str
    text: str
    tokens: list[int]
    finish_reason: Literal["stop", "length", "context", "interrupted"]
    prompt_tokens: int
    generated_tokens: int


class RunAnswer(_Answer):
    """`edgeslm run --json`; `generation` is a language model's answer, and `results` are everybody else's."""

    bundle: str
    task: str
    results: list[TextAnswer]
    outputs: dict[str, list[object]] | None = None
    generation: GenerationAnswer | None = None


class InspectAnswer(_Answer):
    """`edgeslm inspect --json`: a bundle whose every digest was right."""

    bundle: str
    digest: str
    bundle_bytes: int
    unpacked: bool
    below_gate: bool
    files: tuple[str, ...]
    manifest: Manifest


class ErrorDetail(_Answer):
    kind: str
    message: str
    hint: str | None
    exit_code: int


class ErrorAnswer(_Answer):
    """What every command prints with `--json` when it fails."""

    error: ErrorDetail


def plan_answer(decision: Decision) -> PlanAnswer:
    plan, checkpoint = decision.plan, decision.checkpoint
    return PlanAnswer(
        model=checkpoint.name,
        checkpoint=checkpoint.digest,
        task=checkpoint.task,
        target=plan.target,
        backend=plan.backend,
        scheme=plan.scheme,
        lengths=plan.lengths,
        reasons=plan.reasons,
        warnings=plan.warnings,
        notes=checkpoint.notes,
        model_bytes=plan.weight_bytes,
        memory=memory_answer(decision.memory),
        tensors=_planned_tensors(checkpoint, plan),
        digest=plan.digest,
        firmware=None if decision.budget is None else firmware_memory_answer(decision.budget),
        others=[
            OtherPlanAnswer(
                scheme=other.scheme,
                reasons=other.reasons,
                warnings=other.warnings,
                model_bytes=other.weight_bytes,
                memory=memory_answer(plan_budget(decision.target, checkpoint, other)),
                tensors=_planned_tensors(checkpoint, other),
                digest=other.digest,
            )
            for other in decision.others
        ],
    )


def _planned_tensors(checkpoint: Checkpoint, plan: QuantPlan) -> list[PlannedTensor]:
    return [
        PlannedTensor(
            parameter=parameter.name,
            shape=parameter.shape,
            precision=plan.choices[parameter.name].precision,
            group=plan.choices[parameter.name].group,
            reason=plan.choices[parameter.name].reason,
        )
        for parameter in checkpoint.parameters
    ]


def firmware_memory_answer(budget: FirmwareBudget) -> FirmwareMemoryAnswer:
    placed = [
        PlacedAnswer(name=one.name, offset=offset, bytes=one.bytes, first=one.first, last=one.last)
        for one, offset in budget.arena
    ]
    return FirmwareMemoryAnswer(flash=budget.flash, ram=budget.ram, arena=placed)


def memory_answer(budget: Budget) -> MemoryAnswer:
    return MemoryAnswer(
        weights=budget.weights,
        expansion=budget.expansion,
        runtime=budget.runtime,
        resident=budget.resident,
        available=budget.available,
        storage=budget.storage,
        storage_available=budget.storage_available,
        cache=budget.cache,
    )


def build_answer(report: BuildReport) -> BuildAnswer:
    plan = report.plan
    return BuildAnswer(
        bundle=str(report.bundle.path),
        digest=report.bundle.digest,
        bundle_bytes=report.bundle.bytes,
        model=report.checkpoint.name,
        task=report.checkpoint.task,
        target=plan.target,
        backend=plan.backend,
        scheme=plan.scheme,
        lengths=plan.lengths,
        model_bytes=report.compiled.bytes,
        below_gate=report.below_gate,
        fidelity=fidelity_answer(report.fidelity),
        kept_float=report.compiled.kept_float,
        reasons=plan.reasons,
        warnings=plan.warnings,
        notes=report.checkpoint.notes,
        stages=[StageAnswer(**vars(stage)) for stage in report.stages],
        others=[
            OtherModelAnswer(
                scheme=other.plan.scheme,
                model_bytes=other.compiled.bytes,
                below_gate=not other.fidelity.passed,
                fidelity=fidelity_answer(other.fidelity),
                kept_float=other.compiled.kept_float,
                reasons=other.plan.reasons,
                warnings=other.plan.warnings,
            )
            for other in report.others
        ],
        figures=[FigureAnswer(**vars(figure)) for figure in report.figures],
    )


def fidelity_answer(fidelity: Fidelity) -> FidelityAnswer:
    return FidelityAnswer(
        cosine_min=fidelity.cosine_min,
        max_abs_error=fidelity.max_abs_error,
        texts=fidelity.texts,
        samples=fidelity.samples,
        passed=fidelity.passed,
        outputs=[ScoreAnswer(**vars(score)) for score in fidelity.scores],
        gates=[GateAnswer(**vars(gate)) for gate in fidelity.gates],
        worst_tensors=list(fidelity.worst_tensors),
        perplexity=PerplexityAnswer(**vars(perplexity_part(fidelity.perplexity))) if fidelity.perplexity else None,
        reference=fidelity.reference,
    )


def inspect_answer(inspection: Inspection) -> InspectAnswer:
    return InspectAnswer(
        bundle=str(inspection.path),
        digest=inspection.digest,
        bundle_bytes=inspection.bytes,
        unpacked=inspection.unpacked,
        below_gate=inspection.manifest.below_gate,
        files=inspection.files,
        manifest=inspection.manifest,
    )
