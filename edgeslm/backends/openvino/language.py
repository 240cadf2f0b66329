"""A decoder -> one stateful IR, whose weights go from the checkpoint into the file one matrix at a time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.artifacts import CompiledModel, LanguageSpec, QuantPlan
from edgeslm.backends.openvino.float_operators import float_operators
from edgeslm.backends.openvino.ir import FILES, save_ir
from edgeslm.backends.openvino.language_graph import build_graph
from edgeslm.backends.openvino.language_weights import LanguageWeights
from edgeslm.backends.openvino.quantize import runtime_options
from edgeslm.decoder import Decoder
from edgeslm.digest import files_digest
from edgeslm.errors import UnsupportedError
from edgeslm.quantize.schemes import plan_scheme

if TYPE_CHECKING:
    from edgeslm.backends import MomentsOf, WeightsOf


def write_language(
    decoder: Decoder, weights: WeightsOf, plan: QuantPlan, moments: MomentsOf, out: Path, parent: str
) -> CompiledModel:
    """Write `out`/model.xml and model.bin, for device/openvino_language.py.

    `weights(parameter)` is read when it is needed, and not kept. `moments(parameter)` are the second moments of what
    flows into its layer, or None: int4 is rounded with error feedback where they are known.

    Raises UnsupportedError for an int8 cache where scores are capped (Gemma 2): the runtime has none there.
    """
    if plan.kv_cache == "int8" and decoder.score_cap is not None:
        raise UnsupportedError(
            f"OpenVINO keeps {decoder.family}'s keys and values in float32 alone", "--kv-cache float32"
        )
    (context,) = plan.lengths
    scheme = plan_scheme(plan)
    with tempfile.TemporaryFile(dir=out) as spool:
        made = LanguageWeights(weights, plan.choices, moments, spool)
        graph = build_graph(decoder, made, context)
        kept_float = float_operators(graph, scheme)
        save_ir(graph, out, runtime_options(scheme))
    return CompiledModel(
        root=out,
        digest=files_digest(out, FILES),
        parent=parent,
        backend="openvino",
        scheme=scheme.name,
        runtime="openvino",
        files=FILES,
        lengths=(),
        stored=made.stored,
        kept_float=kept_float,
        language=LanguageSpec(
            context=context,
            vocabulary=decoder.vocabulary,
            layers=len(decoder.layers),
            kv_heads=decoder.kv_heads,
            head_dim=decoder.head_dim,
            kv_cache=plan.kv_cache,
        ),
    )
