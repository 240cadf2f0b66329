"""What a program's extents leave out of its kernels: tails, biases, long rows, groups. Macros of model_config.h.

edgeslm_kernels.h says what each macro means. A kernel that is not known here leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgeslm.backends.cortexm.program import Argument, AttentionShape, Call

FOURS = "EDGESLM_FOURS"
"""Every row is a multiple of 4 long."""
GEMV = (3, 4)
EXTENTS: dict[str, tuple[int, ...]] = {
    "edgeslm_quantize_row": (2,),
    "edgeslm_quantize_static": (3,),
    "edgeslm_gemv_i8": GEMV,
    "edgeslm_gemv_i4": GEMV,
    "edgeslm_gemv_f32": GEMV,
    "edgeslm_row_i8": (),
    "edgeslm_row_i4": (),
    "edgeslm_row_f32": (),
    "edgeslm_rmsnorm": (3,),
    "edgeslm_layernorm": (4,),
    "edgeslm_rope_angles": (2,),
    "edgeslm_rope": (3, 4),
    "edgeslm_cache_store": (),
    "edgeslm_attention": (),
    "edgeslm_capped_attention": (),
    "edgeslm_add": (2,),
    "edgeslm_mul": (2,),
    "edgeslm_scale": (2,),
    "edgeslm_soft_cap": (2,),
    "edgeslm_softmax": (1,),
    "edgeslm_silu_mul": (3,),
    "edgeslm_gelu_tanh_mul": (3,),
    "edgeslm_silu": (1,),
    "edgeslm_gelu_tanh": (1,),
    "edgeslm_gelu_erf": (1,),
    "edgeslm_tanh": (1,),
    "edgeslm_relu": (1,),
}
"""Kernel -> the places of its arguments that say how long rows are."""
MATRICES = {"edgeslm_gemv_i8", "edgeslm_gemv_i4", "edgeslm_gemv_f32"}
COLUMNS = 4
INT4 = {"edgeslm_gemv_i4", "edgeslm_row_i4"}
BIAS = "EDGESLM_BIAS"


def extent_macros(calls: Iterable[Call], attention: AttentionShape | None, *others: int) -> dict[str, int]:
    """Macro -> its number. `others` are extents that no call tells, as a vocabulary is."""
    calls = list(calls)
    if any(call.kernel not in EXTENTS for call in calls):
        return {}
    lengths = [_number(call.arguments[place]) for call in calls for place in EXTENTS[call.kernel]] + list(others)
    macros = {}
    if all(length % 4 == 0 for length in lengths) and (attention is None or attention.head_dim % 4 == 0):
        macros[FOURS] = 1
    if attention is not None:
        macros["EDGESLM_HEAD_DIM"] = attention.head_dim
    columns = [_number(call.arguments[COLUMNS]) for call in calls if call.kernel in MATRICES]
    macros["EDGESLM_LONGEST"] = max(columns, default=0)
    macros["EDGESLM_BIASES"] = int(any(_has_bias(call.arguments) for call in calls))
    macros["EDGESLM_INT4"] = int(any(call.kernel in INT4 for call in calls))
    return macros


def _number(argument: Argument) -> int:
    """Extents are C constants; what is none divides by nothing."""
    text = argument.removesuffix("u") if isinstance(argument, str) else ""
    return int(text) if text.isdecimal() else 1


def _has_bias(arguments: Iterable[Argument]) -> bool:
    return any(isinstance(argument, str) and BIAS in argument for argument in arguments)
