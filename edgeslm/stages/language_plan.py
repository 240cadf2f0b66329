"""Decide, as data, for a language model: backend, scheme per tensor, the cache, memory fit, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from edgeslm.artifacts import Checkpoint, Converter, KvCache, LanguageSpec, QuantPlan
from edgeslm.cost.memory import Budget, memory_budget, mixed_budget, require_fit
from edgeslm.decoder import Decoder
from edgeslm.errors import InternalError, MissingToolError, UnsupportedError, UnsupportedSchemeError
from edgeslm.planning import BACKENDS, WHAT_FITS_MIXED, android_backend, choose_scheme, same_kind, with_digest
from edgeslm.quantize.plan import TensorPlan, bytes_by_scheme, choose_precisions, stored_bytes
from edgeslm.quantize.schemes import MIXED, SCHEMES, Scheme
from edgeslm.target import Target

LANGUAGE_SCHEMES = ("fp32", "int8", "int4")
FASTER_TFLITE = (
    "; --backend tflite decodes faster where there is no VNNI, in less memory (measured, 110M int8, one AVX2 thread "
    "at 64 tokens: 14.2 and 25.0 ms a token, 218 and 557 MB resident; prefill of 128 tokens 861 and 735 ms)"
)
SMALLEST_CONTEXT = 128  # that a hint proposes


def decide_language(
    target: Target,
    checkpoint: Checkpoint,
    context: int,
    kv_cache: KvCache,
    missing: Mapping[str, str | None],
    scheme: str | None = None,
    backend: str | None = None,
    converter: Converter | None = None,
    given: TensorPlan | None = None,
) -> QuantPlan:
    """The plan for this language model on this target; see planning.decide."""
    decoder = checkpoint.decoder
    if decoder is None:
        raise InternalError(f"{checkpoint.name} is planned as a language model, and is none")
    chosen, why_scheme = choose_scheme(target, scheme, LANGUAGE_SCHEMES, decodes=True, given=given)
    if chosen.name not in (*LANGUAGE_SCHEMES, MIXED):
        raise UnsupportedSchemeError(
            f"language models are built as {', '.join(LANGUAGE_SCHEMES)}, not as {chosen.name}",
            "int8 computes with int8 activations and keeps 99.5 % of the perplexity, or the build fails",
        )
    if kv_cache == "float16":
        raise UnsupportedError(
            f"keys and values are kept as float16 on microcontrollers alone, and {target.name} is none",
            "--kv-cache int8 takes less still",
        )
    if converter == "onnx2tf":
        raise UnsupportedError("onnx2tf makes no graphs over a KV cache", "leave out --converter")
    backend, why = _choose_backend(target, missing, backend if given is None else given.backend, converter)
    choices = choose_precisions(checkpoint.parameters, chosen) if given is None else dict(given.choices)
    weight_bytes = sum(stored_bytes(p, choices[p.name]) for p in checkpoint.parameters)
    kept = cache_bytes(decoder, context, kv_cache)
    if chosen.name == MIXED:
        budget = mixed_budget(target, backend, bytes_by_scheme(checkpoint.parameters, choices), kept)
    else:
        budget = memory_budget(target, backend, chosen.name, weight_bytes, kept)
    smaller = (
        WHAT_FITS_MIXED
        if chosen.name == MIXED
        else _what_would_fit(checkpoint, decoder, target, backend, chosen, context, kv_cache)
    )
    require_fit(checkpoint.name, target, budget, smaller)
    reasons = (
        f"scheme {chosen.name} ({chosen.title}): {why_scheme}",
        f"backend {backend}: {why}",
        f"kv cache: {context} tokens, {_mb(kept)} as {kv_cache}; a step pays for the text so far, not for all of it",
        f"memory: {_mb(budget.resident)} resident of {_mb(budget.available)} free on {target.title}",
    )
    return with_digest(
        QuantPlan(
            target=target.name,
            backend=backend,
            scheme=chosen.name,
            choices=choices,
            reasons=reasons,
            warnings=(),
            lengths=(context,),
            weight_bytes=weight_bytes,
            resident_bytes=budget.resident,
            converter="edgeslm" if backend == "tflite" else None,
            kv_cache=kv_cache,
            cache_bytes=kept,
            cache_writers=target.is_android,
        )
    )


def find_kv_cache(name: str | None) -> KvCache:
    """Raises UnsupportedError where there is no such cache."""
    if name is None:
        return "float32"
    kinds: tuple[KvCache, ...] = get_args(KvCache)
    for kind in kinds:
        if kind == name:
            return kind
    raise UnsupportedError(f"no KV cache is of {name}", f"known: {', '.join(kinds)}")


def cache_bytes(decoder: Decoder, context: int, kv_cache: KvCache) -> int:
    shape = (len(decoder.layers), decoder.kv_heads, decoder.head_dim)
    return LanguageSpec(context, decoder.vocabulary, *shape, kv_cache).cache_bytes


def _choose_backend(
    target: Target, missing: Mapping[str, str | None], asked: str | None, converter: Converter | None
) -> tuple[str, str]:
    if asked is None and converter is not None:
        asked = "tflite"
    if target.is_android:
        return android_backend(target, missing, asked)
    if asked is not None:
        if asked not in BACKENDS:
            raise UnsupportedError(f"no backend is named {asked!r}", f"known: {', '.join(BACKENDS)}")
        if missing[asked]:
            raise MissingToolError(f"the {asked} backend cannot be used here: {missing[asked]}")
        return asked, "as asked"
    best, why = (
        ("openvino", f"it keeps compressed weights compressed on x86-64{FASTER_TFLITE}")
        if target.cpu.arch == "x86_64"
        else ("tflite", f"OpenVINO expands compressed weights to floats on {target.cpu.core}")
    )
    other = next(name for name in BACKENDS if name != best)
    if not missing[best]:
        return best, why
    if missing[other]:
        raise MissingToolError(
            "no backend can be used here:\n" + "\n".join(f"         {name}: {missing[name]}" for name in BACKENDS),
            "edgeslm doctor lists what is missing and installs it",
        )
    return other, f"{best} cannot be used here ({missing[best]})"


def _what_would_fit(
    checkpoint: Checkpoint,
    decoder: Decoder,
    target: Target,
    backend: str,
    scheme: Scheme,
    context: int,
    kv_cache: KvCache,
) -> str:
    """A shorter context, another scheme, or the smallest target that takes it as it is."""

    def needs(on: Target, name: str, length: int) -> Budget:
        choices = choose_precisions(checkpoint.parameters, SCHEMES[name])
        size = sum(stored_bytes(p, choices[p.name]) for p in checkpoint.parameters)
        return memory_budget(on, backend, name, size, cache_bytes(decoder, length, kv_cache))

    shorter = context // 2
    while shorter >= SMALLEST_CONTEXT:
        if needs(target, scheme.name, shorter).fits:
            return f"it would fit with --context {shorter}"
        shorter //= 2
    fitting = [name for name in LANGUAGE_SCHEMES if name != scheme.name and needs(target, name, context).fits]
    if fitting:
        return f"it would fit with --scheme {' or '.join(fitting)}"
    larger = [one for one in same_kind(target) if needs(one, scheme.name, context).fits]
    if larger:
        return f"the smallest target that takes it: {larger[0].name}"
    return "no built-in target takes it: a smaller checkpoint is needed"


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
