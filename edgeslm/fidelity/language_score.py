"""A language model against PyTorch: perplexity and logits, step by step over its cache, by the package that travels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Checkpoint, CompiledModel, Fidelity, Gate, OutputScore, Perplexity, Samples
from edgeslm.device.language import LanguageEngine
from edgeslm.errors import InternalError
from edgeslm.fidelity.gates import size_gate
from edgeslm.fidelity.score import THREADS, cosine, max_abs_error, round_down, round_significant
from edgeslm.formats.description import describe_language
from edgeslm.formats.samples import read_samples
from edgeslm.quantize.schemes import Scheme

KEPT = {"fp32": 0.9999, "fp16": 0.999, "int8": 1 / 1.005, "int4": 1 / 1.10}
"""Precision of the linear layers (halves in mixed plans alone) -> least fp32 perplexity ÷ quantized perplexity."""
COSINES = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.99, "int4": 0.93}
"""Least mean cosine of logits: of a model that never learned anything, perplexity alone does not see that it computes
nonsense."""
CHUNKED = 100
"""Tokens that are entered once more in chunks: enough for several, of every size."""
PREFILL_COSINE = 0.995
"""Between a step's logits and a chunk's for the same text: they round activations alike, but add in another order."""

OpenEngine = Callable[[CompiledModel], LanguageEngine]


@dataclass(frozen=True)
class LanguageScores:
    """What was measured, before any gate judges it."""

    texts: str
    samples: int
    logits: OutputScore
    perplexity: Perplexity


def score_language(
    compiled: CompiledModel, texts: Samples, reference: Samples, open_engine: OpenEngine | None = None
) -> LanguageScores:
    """Every text step by step, in the runtime that the model is for unless `open_engine` gives another.

    Raises InternalError where a prompt entered in chunks gives other logits than steps.
    """
    samples, expected = read_samples(texts.path), read_samples(reference.path)
    engine = (open_engine or _open_runtime)(compiled)
    got: list[dict[str, NDArray[Any]]] = []
    try:
        for sample, known in zip(samples, expected, strict=True):
            got.append(_walk(engine, sample["tokens"], known))
        _require_chunks_agree(engine, max((sample["tokens"] for sample in samples), key=len)[:CHUNKED])
    finally:
        engine.close()
    nll, own = (np.concatenate([one["nll"] for one in each]).astype(np.float64) for each in (expected, got))
    perplexity = Perplexity(
        reference=round_perplexity(float(nll.mean())), compiled=round_perplexity(float(own.mean())), tokens=nll.size
    )
    first, second = (np.concatenate([one["logits"] for one in each]) for each in (expected, got))
    cosines = [cosine(one, other) for one, other in zip(first, second, strict=True)]
    logits = OutputScore(
        output="logits",
        cosine_min=round_down(min(cosines)),
        cosine_mean=round_down(sum(cosines) / len(cosines)),
        max_abs_error=round_significant(max_abs_error(first, second)),
        label_agreement=round_down(float((first.argmax(axis=1) == second.argmax(axis=1)).mean())),
    )
    return LanguageScores(texts.described, texts.count, logits, perplexity)


def _open_runtime(compiled: CompiledModel) -> LanguageEngine:
    from edgeslm.device.open_language import open_language

    return open_language(describe_language(compiled), compiled.root, THREADS)


def judge_language(
    scores: LanguageScores,
    scheme: Scheme,
    compiled_bytes: int,
    checkpoint: Checkpoint,
    min_fidelity: float | None,
) -> Fidelity:
    """The gates of the scheme. `min_fidelity` takes the place of the perplexity's threshold."""
    kept = scores.perplexity.kept
    least = KEPT[scheme.linear] if min_fidelity is None else min_fidelity
    cosines = scores.logits.cosine_mean
    gates = [
        Gate("perplexity, PyTorch ÷ built", kept, least, kept >= least),
        Gate("cosine of logits, mean", cosines, COSINES[scheme.linear], cosines >= COSINES[scheme.linear]),
    ]
    gates += size_gate(scheme, compiled_bytes, 4 * checkpoint.elements, checkpoint)
    return Fidelity(scores.texts, scores.samples, (scores.logits,), tuple(gates), perplexity=scores.perplexity)


def round_perplexity(nll: float) -> float:
    """exp of the mean negative log-likelihood, six significant digits; the largest float where it overflows."""
    if not math.isfinite(nll) or nll > 80:
        return float(np.finfo(np.float32).max)
    return float(f"{math.exp(nll):.6g}")


def _walk(engine: Any, tokens: NDArray[np.int32], known: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    nll = np.empty(tokens.size - 1)
    wanted = set(known["places"].tolist())
    rows = []
    for place in range(tokens.size - 1):
        logits = engine.step(int(tokens[place]), place)
        nll[place] = negative_log_likelihood(logits, int(tokens[place + 1]))
        if place in wanted:
            rows.append(logits.copy())
    return {"nll": nll, "logits": np.array(rows, np.float32).reshape(len(rows), engine.vocabulary)}


def negative_log_likelihood(logits: NDArray[Any], token: int) -> float:
    """In nats; infinite where the logits are no numbers."""
    wide = logits.astype(np.float64)
    peak = wide.max()
    with np.errstate(invalid="ignore"):
        value = float(np.log(np.exp(wide - peak).sum()) + peak - wide[token])
    return value if math.isfinite(value) else math.inf


def _require_chunks_agree(engine: Any, tokens: NDArray[np.int32]) -> None:
    if tokens.size < 2:
        return
    for place, token in enumerate(tokens):
        stepped = engine.step(int(token), place)
    stepped = stepped.copy()
    found = cosine(stepped, engine.prefill(tokens, 0))
    if found < PREFILL_COSINE:
        raise InternalError(f"a prompt of {tokens.size} tokens gives other logits in chunks than in steps: {found:.4f}")
