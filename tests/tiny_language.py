"""A language model's file without the rest of a build."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from edgeslm.artifacts import CompiledModel, KvCache, QuantPlan
from edgeslm.cache import StageCache
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.fidelity.texts import load_texts
from edgeslm.planning import with_digest
from edgeslm.quantize.plan import choose_precisions
from edgeslm.quantize.schemes import find_scheme
from edgeslm.stages.language import LanguageStages


def build_language(
    folder: Path,
    scheme: str,
    context: int,
    out: Path,
    backend: str = "tflite",
    kv_cache: KvCache = "float32",
    cache_writers: bool = False,
) -> CompiledModel:
    """The checkpoint in `folder`, with its stages kept in `out`."""
    checkpoint = open_checkpoint(str(folder))
    choices = choose_precisions(checkpoint.parameters, find_scheme(scheme))
    plan = QuantPlan("rpi4", backend, scheme, choices, (), (), (context,), 0, 0, kv_cache=kv_cache)
    plan = with_digest(replace(plan, cache_writers=cache_writers))
    calibration, scoring = load_texts(None, None)
    cache = StageCache(out, lambda name, cached: contextlib.nullcontext())
    return LanguageStages(cache, checkpoint, plan, calibration, scoring).quantize()
