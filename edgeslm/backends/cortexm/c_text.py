"""Words of generated C: calls, places in the arena, numbers and names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgeslm.backends.cortexm.memory import MemoryPlan
from edgeslm.backends.cortexm.program import LOGITS, Activation, Argument, AttentionShape, Call, Use, Weight


def places(activations: Sequence[Activation], memory: MemoryPlan, prefix: str, indent: str) -> list[str]:
    """Pointers into the arena. Logits have a place in it, but the caller says where they go."""
    lines = []
    for one in activations:
        if one.name != LOGITS and prefix + one.name in memory.offsets:
            kind = "edgeslm_real" if one.kind == "real" else "edgeslm_quantized"
            place = f"(void *)(state->arena + {memory.offsets[prefix + one.name]}u)"
            lines.append(f"{indent}{kind} *{one.name} = {place}; /* {one.shape} */")
    return lines


def call_lines(call: Call, indent: str) -> Iterator[str]:
    if call.comment:
        yield f"{indent}/* {call.comment} */"
    if call.repeats > 1:
        yield f"{indent}for (uint32_t i = 0; i < {call.repeats}u; i++)"
        indent += "  "
    yield f"{indent}{call.kernel}({', '.join(_argument(one) for one in call.arguments)});"


def _argument(argument: Argument) -> str:
    if isinstance(argument, Weight):
        return f"{'weights' if argument.shared else 'layer'}->{argument.name}"
    if not isinstance(argument, Use):
        return argument
    text = argument.name
    if argument.offset:
        text += f" + {argument.offset}u"
    if argument.row:
        text += f" + t * {argument.row}u"
    if argument.stride:
        text += f" + i * {argument.stride}u"
    return text


def attention_object(shape: AttentionShape, cache: str, context: int) -> list[str]:
    scale = real(shape.scale * math.log2(math.e))
    cap = [] if shape.cap is None else [f"    .score_cap = EDGESLM_REAL({real(shape.cap * math.log2(math.e))}),"]
    return [
        "static const edgeslm_attention_shape attention = {",
        f"    .heads = {shape.heads}u, .kv_heads = {shape.kv_heads}u, .head_dim = {shape.head_dim}u,",
        f"    .cache = {cache}, .context = {context}u,",
        f"    .score_scale = EDGESLM_REAL({scale}), /* with log2(e) */",
        *cap,
        "};",
        "",
    ]


def real(value: Any) -> str:
    """The shortest decimal that reads back as the same float32."""
    text = str(np.float32(value))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def guard(name: str) -> list[str]:
    return [f"#ifndef {name}", f"#define {name}", ""]


def comment(text: str) -> str:
    """Checkpoints' names come from outside: none ends a comment."""
    return re.sub(r"[^\w .,:()+=&×-]", "?", text)


def string(text: str) -> str:
    return '"' + re.sub(r'[^ -~]|["\\]', "?", text) + '"'


def literal(text: str) -> str:
    """A string of C with exactly these bytes of UTF-8, whatever they are."""
    return '"' + "".join(_escaped(byte) for byte in text.encode()) + '"'


def _escaped(byte: int) -> str:
    """Octal where the letter itself would mean something else: it ends after three digits, as hexadecimal does not."""
    letter = chr(byte)
    return letter if letter.isascii() and letter.isprintable() and letter not in '"\\?' else f"\\{byte:03o}"
