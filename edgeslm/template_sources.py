"""Which files of firmware_templates an image is made of: a net's has no text in it, a model of text no net.

What is not named here is in both: nobody calls it, so that the linker leaves it out, but it takes time to compile.
"""

from __future__ import annotations

import re

TEXT_ROOMS = frozenset({"tokenizer", "generate"})
TEXT_FILES = {
    "protocol": frozenset(
        {"serve.c", "serve_encoder.c", "serve_encoder.h", "terminal.c", "terminal.h", "paint.h"},
    ),
    "model": frozenset({"edgeslm_model.h", "edgeslm_encoder.h"}),
}
NET_FILES = {"protocol": frozenset({"serve_net.c"}), "model": frozenset({"edgeslm_net.h"})}
TEXT_KERNELS = re.compile(
    r"(dsp_|mve_)?(activations|attention|attention_cores|attention_i8|cache|elementwise|exp2|exp2_table|fixed"
    r"|flush_denormals|gemv_f32|gemv_i4|gemv_i8|matrix_row|norms|pooling|quantize_row|rope|rows|rows_f32|silu_mul|softmax)\.[cS]"
)
NET_KERNELS = re.compile(r".*_s8\.[cS]|(dsp_|mve_)(linear|matmul)_.*\.S|(copy|gather|operands|powers)\.c")


def belongs_to_kernels(room: str, name: str) -> bool:
    """Whether the image that measures a model's kernels is made of the room's file: it has kernels, and no model."""
    others = TEXT_FILES.get(room, frozenset()) | NET_FILES.get(room, frozenset())
    return room not in TEXT_ROOMS and name not in others and belongs(room, name, is_net=False)


def belongs(room: str, name: str, *, is_net: bool) -> bool:
    """Whether an image of that kind is made of the room's file."""
    if room == "kernels":
        return not (TEXT_KERNELS if is_net else NET_KERNELS).fullmatch(name)
    if is_net and room in TEXT_ROOMS:
        return False
    return name not in (TEXT_FILES if is_net else NET_FILES).get(room, frozenset())
