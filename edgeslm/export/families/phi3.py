"""Phi-3, 3.5 and 4 mini: Llama's block with fused projections, partly rotated heads, and longrope.

Abdin et al. 2024, "Phi-3 Technical Report".
"""

from __future__ import annotations

from edgeslm.decoder import Decoder
from edgeslm.export.families.fields import Fields
from edgeslm.export.families.gated import Kin, read_gated
from edgeslm.export.families.rotary import TRAINED_LENGTH, Scaling, read_rotary, read_scaling, rotary_fields
from edgeslm.export.families.sizes import read_sizes
from edgeslm.export.families.tensors import Tensors
from edgeslm.export.families.windows import read_window

FIRST_NAMES = ("su", "yarn")  # of longrope, in the first releases


def read_phi3(fields: Fields, tensors: Tensors) -> Decoder:
    """Raises CheckpointError where config and weights disagree, UnsupportedError for other scalings than longrope."""
    sizes = read_sizes(fields, positions=4096)
    scaling = _scaling(fields, sizes.positions.value)
    kin = Kin(
        family="phi3",
        activation=fields.activation("hidden_act", "silu"),
        positions=scaling.reach,
        tied=fields.flag("tie_word_embeddings", False),
        epsilon=fields.number("rms_norm_eps", 1e-5),
        windows=[read_window(fields, None)] * sizes.layers.value,
        rotaries=[read_rotary(scaling, sizes.head_dim.value)] * sizes.layers.value,
        fused=True,
    )
    return read_gated(fields, tensors, sizes, kin)


def _scaling(fields: Fields, positions: int) -> Scaling:
    # This family has the field beside its rotary parameters, and a value for it where a config has none.
    fields = Fields({TRAINED_LENGTH: 4096, **fields.values}, fields.where)
    given = rotary_fields(fields)
    scaling = read_scaling(fields, given, positions, share=1.0)
    if scaling.kind in FIRST_NAMES:
        renamed = Fields({**given.values, "rope_type": "longrope"}, given.where, given.title)
        scaling = read_scaling(fields, renamed, positions, share=1.0)
    if scaling.kind not in ("default", "longrope"):
        raise given.unsupported(given.spelled("rope_type", "type"), "Phi-3 has longrope or none")
    return scaling
