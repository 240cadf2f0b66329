"""Gemma, Gemma 2 and the text model of Gemma 3: scaled embeddings, norms that store weight - 1, a head_dim of its own.

Gemma Team 2024, "Gemma: Open Models Based on Gemini Research and Technology"; 2024, "Gemma 2: Improving Open Language
Models at a Practical Size"; 2025, "Gemma 3 Technical Report".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgeslm.decoder import Activation, Decoder
from edgeslm.export.families.fields import Fields
from edgeslm.export.families.gated import Kin, read_gated
from edgeslm.export.families.rotary import BASE, Scaling, read_rotary, read_scaling, rotary_fields
from edgeslm.export.families.sizes import Sizes, read_sizes
from edgeslm.export.families.tensors import Tensors
from edgeslm.export.families.windows import FULL, SLIDING, read_layer_types, read_window, windows

TANH = "gelu_pytorch_tanh"
GLOBAL_BASE = 1_000_000.0  # of Gemma 3's layers that see the whole text


def read_gemma(fields: Fields, tensors: Tensors) -> Decoder:
    """Raises CheckpointError where config and weights disagree."""
    sizes = read_sizes(fields, positions=8192, kv_heads=16, head_dim=256)
    # The first configs said "gelu", and the models were trained with its approximation.
    legacy = fields.values.get("hidden_act") == "gelu"
    activation: Activation = "gelu_tanh" if legacy else fields.activation("hidden_act", TANH)
    scaling = read_scaling(fields, rotary_fields(fields), sizes.positions.value)
    kin = _kin(fields, sizes, activation, [FULL] * sizes.layers.value, {FULL: scaling})
    return read_gated(fields, tensors, sizes, kin)


def read_gemma2(fields: Fields, tensors: Tensors) -> Decoder:
    """Every other layer slides, the first one does; norms after each branch, and caps on scores and logits."""
    sizes = read_sizes(fields, positions=8192, kv_heads=4, head_dim=256)
    scaling = read_scaling(fields, rotary_fields(fields), sizes.positions.value)
    kin = replace(
        _later_kin(fields, sizes, _layer_types(fields, sizes, 2), {FULL: scaling, SLIDING: scaling}),
        score_cap=_cap(fields, "attn_logit_softcapping", 50.0),
        logit_cap=_cap(fields, "final_logit_softcapping", 30.0),
    )
    return read_gated(fields, tensors, sizes, kin)


def read_gemma3(fields: Fields, tensors: Tensors) -> Decoder:
    """Five layers slide for one that does not, with frequencies of their own; queries and keys are normalized.

    Raises UnsupportedError for attn_logit_softcapping, which transformers reads and does not apply.
    """
    if fields.has("attn_logit_softcapping"):
        raise fields.unsupported("attn_logit_softcapping", "Gemma 3 has q/k norms in its place")
    sizes = read_sizes(fields, positions=131_072, kv_heads=4, head_dim=256)
    types = _layer_types(fields, sizes, fields.integer("sliding_window_pattern", 6))
    scalings = {
        kind: read_scaling(fields, given, sizes.positions.value, base=base)
        for kind, (given, base) in _rotary_fields_by_kind(fields).items()
    }
    kin = replace(
        _later_kin(fields, sizes, types, scalings),
        head_norms=True,
        logit_cap=_cap(fields, "final_logit_softcapping", None),
    )
    return read_gated(fields, tensors, sizes, kin)


def _layer_types(fields: Fields, sizes: Sizes, pattern: int) -> list[str]:
    """Each `pattern`th layer sees the whole text, the others slide, where the config has no layer_types."""
    count = sizes.layers.value
    return read_layer_types(fields, [SLIDING if (layer + 1) % pattern else FULL for layer in range(count)])


def _rotary_fields_by_kind(fields: Fields) -> dict[str, tuple[Fields, float]]:
    """Rotary parameters and base of each kind of layer. Old configs scale only the layers that see the whole text."""
    nested, old = fields.object("rope_parameters"), fields.object("rope_scaling")
    whole = nested.object(FULL)
    return {
        FULL: (
            Fields({**whole.values, **old.values}, fields.where, (old if old.values else whole).title),
            fields.number("rope_theta", GLOBAL_BASE),
        ),
        SLIDING: (nested.object(SLIDING), fields.number("rope_local_base_freq", BASE)),
    }


def _cap(fields: Fields, name: str, default: float | None) -> float | None:
    return None if fields.off(name, default) else fields.number(name, default)


def _later_kin(fields: Fields, sizes: Sizes, types: Sequence[str], scalings: Mapping[str, Scaling]) -> Kin:
    """What Gemma 2 and 3 have."""
    return replace(
        _kin(fields, sizes, fields.activation("hidden_activation", TANH), types, scalings),
        branch_norms=True,
        attention_scale=fields.number("query_pre_attn_scalar", 256) ** -0.5,
    )


def _kin(
    fields: Fields, sizes: Sizes, activation: Activation, types: Sequence[str], scalings: Mapping[str, Scaling]
) -> Kin:
    """What all have. `types` says of each layer which kind it is, `scalings` how each kind is rotated."""
    bias = fields.flag("attention_bias", False)
    rotaries = {kind: read_rotary(scaling, sizes.head_dim.value) for kind, scaling in scalings.items()}
    return Kin(
        family=fields.text("model_type"),
        activation=activation,
        positions=min(scaling.reach for scaling in scalings.values()),
        tied=fields.flag("tie_word_embeddings", True),
        epsilon=fields.number("rms_norm_eps", 1e-6),
        windows=windows(fields, types, read_window(fields, 4096)),
        rotaries=[rotaries[kind] for kind in types],
        query_bias=bias,
        output_bias=bias,
        norm_offset=1.0,
        embedding_scale=sizes.width.value**0.5,
    )
