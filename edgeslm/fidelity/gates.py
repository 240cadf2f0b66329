"""The promises a build must keep, judged on what was measured."""

from __future__ import annotations

import math

from edgeslm.artifacts import PYTORCH, Checkpoint, Fidelity, Gate, OutputScore
from edgeslm.errors import FidelityError
from edgeslm.fidelity.score import Scores
from edgeslm.quantize.schemes import Scheme

WORST_TENSORS = 8
"""How many tensors a missed gate names."""

LABELS_BY_PRECISION = {"fp32": 1.0, "fp16": 0.99, "int8": 0.95, "int4": 0.90}
LABELS_STATIC = 0.90
"""Least share of equal best labels. Rounding may turn a text whose two best labels were all but equal; with some
forty texts, int8's share allows two of those and int4's four."""

SIZED_BYTES = 10_000_000
SIZED_SHARE = 0.95
"""The size gate holds for models whose float weights are at least this large and, to this share, embeddings and
matrix weights. In a smaller file the graph itself weighs more than the promise leaves room for, and a model made of
other tensors (convolutions, say) was never promised to shrink."""


def judge(
    scores: Scores,
    scheme: Scheme,
    compiled_bytes: int,
    lowered_bytes: int,
    checkpoint: Checkpoint,
    min_fidelity: float | None,
) -> Fidelity:
    """Every gate of the scheme. `min_fidelity` takes the place of the scheme's own cosine threshold."""
    cosine = scheme.cosine_gate if min_fidelity is None else min_fidelity
    single = len(scores.outputs) == 1
    gates = [_at_least(_name("cosine", score, single), score.cosine_min, cosine) for score in scores.outputs]
    labels = LABELS_STATIC if scheme.activations == "static" else LABELS_BY_PRECISION[scheme.linear]
    gates += [
        _at_least(_name("same label", score, single), score.label_agreement, labels)
        for score in scores.outputs
        if score.label_agreement is not None
    ]
    gates += size_gate(scheme, compiled_bytes, lowered_bytes, checkpoint)
    return Fidelity(scores.texts, scores.samples, scores.outputs, tuple(gates))


def size_gate(scheme: Scheme, compiled_bytes: int, float_bytes: int, checkpoint: Checkpoint) -> list[Gate]:
    """The scheme's promise of size, where it holds: see SIZED_BYTES."""
    if scheme.size_gate is None or not _is_sized(checkpoint):
        return []
    share = math.ceil(10_000 * compiled_bytes / float_bytes) / 10_000  # up: not passed by rounding
    return [Gate("size against fp32", share, scheme.size_gate, share <= scheme.size_gate)]


def require_passed(fidelity: Fidelity, *, allow: bool) -> None:
    """Raises FidelityError with the table of gates and the worst tensors, unless all passed or `allow`."""
    if fidelity.passed or allow:
        return
    missed = [gate.name for gate in fidelity.gates if not gate.passed]
    rows = [("gate", "value", "limit", "")]
    rows += [
        (gate.name, f"{gate.value:.6g}", f"{gate.threshold:.6g}", "passed" if gate.passed else "MISSED")
        for gate in fidelity.gates
    ]
    text = f"not faithful enough to {fidelity.reference}, missed: {', '.join(missed)} "
    text += f"({fidelity.samples} samples, {fidelity.texts})"
    text += _table(rows)
    if fidelity.worst_tensors:
        text += "\n         weights furthest from the checkpoint's (relative error):"
        text += _table([(name, f"{error:.4g}", "", "") for name, error in fidelity.worst_tensors])
    if fidelity.reference != PYTORCH:
        raise FidelityError(
            text,
            "the compiled C has a mistake: please report it with the file; --allow-below-gate makes the bundle all the "
            "same and marks it",
        )
    raise FidelityError(
        text,
        "a milder scheme keeps more (--scheme int8-weight-only or fp16); --min-fidelity sets another limit; "
        "--allow-below-gate makes the bundle all the same and marks it",
    )


def _at_least(name: str, value: float, threshold: float) -> Gate:
    return Gate(name, value, threshold, value >= threshold)


def _name(kind: str, score: OutputScore, single: bool) -> str:
    return kind if single else f"{kind}, {score.output}"


def _is_sized(checkpoint: Checkpoint) -> bool:
    shrinking = sum(parameter.elements for parameter in checkpoint.parameters if parameter.role != "other")
    return 4 * checkpoint.elements >= SIZED_BYTES and shrinking >= SIZED_SHARE * checkpoint.elements


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    """Lines of aligned columns, indented as errors are, each with its newline in front."""
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
    return "".join(f"\n         {line}" for line in lines)
