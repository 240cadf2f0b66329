"""A program as C that a person can follow: sizes, weights, the schedule. edgeslm_model.h says what each file is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm.emit_tokenizer import HEADER, TABLE, emit_tokenizer
from edgeslm.backends.cortexm.extents import extent_macros
from edgeslm.backends.cortexm.memory import BEFORE, MemoryPlan, live_bytes
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.program import (
    LOGITS,
    Activation,
    Argument,
    Array,
    AttentionShape,
    Call,
    Field,
    Part,
    Program,
    Use,
    Weight,
)

CONFIG_HEADER = "model_config.h"
WEIGHTS_HEADER = "model_weights.h"
WEIGHTS = "model_weights.c"
SCHEDULE = "model_schedule.c"
FILES = (SCHEDULE, WEIGHTS, TABLE, CONFIG_HEADER, WEIGHTS_HEADER, HEADER)
NO_TOKEN = "EDGESLM_NO_TOKEN"
WORDS_A_LINE, REALS_A_LINE = 10, 8


@dataclass(frozen=True)
class Configuration:
    """What edgeslm_config is filled with, and the sizes of the state. `cache_bytes`: of one layer's keys, or values."""

    name: str
    scheme: str
    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    context: int
    cache: str  # EDGESLM_CACHE_…
    cache_bytes: int
    bos: int | None = None
    add_bos: bool = False
    eos: tuple[int, ...] = ()
    layout: Layout | None = None  # that matrices are packed for; None where it makes no difference
    fixed: bool = False


def emit_model(program: Program, memory: MemoryPlan, config: Configuration, tokenizer: bytes, out: Path) -> None:
    """Write FILES into `out`. Weights are read one array at a time.

    Raises UnsupportedError for a tokenizer's table that the tokenizer in C does not take.
    """
    (out / CONFIG_HEADER).write_text(_config_header(program, memory, config))
    (out / WEIGHTS_HEADER).write_text(_weights_header(program))
    with (out / WEIGHTS).open("w") as sink:
        for text in _weights(program, config):
            sink.write(text)
    (out / SCHEDULE).write_text(_schedule(program, memory, config))
    emit_tokenizer(tokenizer, out)


# ---- Sizes -----------------------------------------------------------------------------------------------------------


def _config_header(program: Program, memory: MemoryPlan, config: Configuration) -> str:
    sizes = {
        "VOCABULARY": (config.vocabulary, "tokens"),
        "LAYERS": (config.layers, ""),
        "CONTEXT": (config.context, "positions"),
        "CACHE_BYTES": (config.cache_bytes, "keys of a layer, or values"),
        "ARENA_BYTES": (max(memory.bytes, 8), f"live set {live_bytes(memory.buffers):,}"),
    }
    lines = [f"/* {_comment(config.name)}: sizes. Written by edgeslm. */", *_guard("EDGESLM_MODEL_CONFIG_H")]
    for name, (value, comment) in sizes.items():
        lines.append(f"#define EDGESLM_MODEL_{name} {value}u" + (f" /* {comment} */" if comment else ""))
    if config.cache_bytes:
        lines.append(f"#define EDGESLM_CACHE {config.cache} /* kernels are compiled for this format alone */")
    calls = [call for part in program.parts for call in part.calls]
    macros = extent_macros(calls, program.attention, config.vocabulary)
    if macros:
        lines += ["", "/* What kernels need not provide for; edgeslm_kernels.h explains. */"]
        lines += [f"#define {name} {number}" for name, number in macros.items()]
    return "\n".join([*lines, "", "#endif", ""])


# ---- Weights ---------------------------------------------------------------------------------------------------------


def _weights_header(program: Program) -> str:
    lines = ["/* Where the weights are: structs of pointers into flash. Written by edgeslm. */"]
    lines += [*_guard("EDGESLM_MODEL_WEIGHTS_H"), '#include "edgeslm_model.h"', ""]
    for struct in program.structs:
        lines += [f"/* A layer's; {len(struct.values)} of this shape. */", "typedef struct {"]
        lines += [f"  {_declared(one)}" for one in struct.fields]
        lines += [f"}} {struct.name};", ""]
    lines.append("struct edgeslm_weights {")
    lines += [f"  {_declared(one)}" for one in program.fields]
    lines += [f"  {one.name} {one.member}[{len(one.values)}];" for one in program.structs]
    return "\n".join([*lines, "};", "", "#endif", ""])


def _weights(program: Program, config: Configuration) -> Iterator[str]:
    yield "/* Weights, packed as edgeslm_kernels.h says, and norms. Written by edgeslm. */\n"
    yield f'#include "{WEIGHTS_HEADER}"\n\n'
    other = f"EDGESLM_FIXED != {int(config.fixed)}"
    if config.layout is not None:
        other += f" || EDGESLM_LAYOUT != {int(config.layout)}"
    yield f'#if {other}\n#error "these weights are packed for another kind of core"\n#endif\n'
    for array in program.arrays:
        yield f"\n/* {_comment(array.comment)} */\n"
        yield from _array(array)
    yield "\nconst edgeslm_weights edgeslm_model_weights = {\n"
    for one, value in zip(program.fields, program.values, strict=True):
        yield f"    .{one.name} = {value},\n"
    for struct in program.structs:
        yield f"    .{struct.member} = {{\n"
        for row in struct.values:
            yield "        {" + ", ".join(row) + "},\n"
        yield "    },\n"
    yield "};\n"


def _array(array: Array) -> Iterator[str]:
    values = array.values()
    count = array.bytes // 4
    yield f"static const {array.type} {array.name}[{count}] = {{\n"
    if array.type == "uint32_t":
        yield from _lines(_hex_words(values), WORDS_A_LINE)
    elif np.issubdtype(values.dtype, np.integer):
        yield from _lines([str(value) for value in values.reshape(-1).tolist()], REALS_A_LINE)
    else:
        yield from _lines([_float(value) for value in values.reshape(-1)], REALS_A_LINE)
    yield "};\n"


def _hex_words(values: NDArray[Any]) -> list[str]:
    return [f"0x{word:08x}" for word in values.view("<u4").reshape(-1).tolist()]


def _lines(words: Sequence[str], width: int) -> Iterator[str]:
    for start in range(0, len(words), width):
        yield "    " + ", ".join(words[start : start + width]) + ",\n"


def _float(value: Any) -> str:
    """The shortest decimal that reads back as the same float32."""
    text = str(np.float32(value))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


# ---- Schedule --------------------------------------------------------------------------------------------------------


def _schedule(program: Program, memory: MemoryPlan, config: Configuration) -> str:
    lines = [
        f"/* {_comment(config.name)} as {config.scheme}: the kernels of one token, in order. Written by edgeslm.",
        " *",
        f" * Arena: {memory.bytes:,} bytes; live set: {live_bytes(memory.buffers):,}. A step below is a call.",
    ]
    for one, start in memory.placed:
        end = start + one.bytes
        when = "before the first" if one.first == BEFORE else f"steps {one.first} to {one.last}"
        lines.append(f" *   {start:6} … {end:6}  {one.name:12} {when}")
    lines += [" */", f'#include "{WEIGHTS_HEADER}"', "", *_config_object(config), ""]
    lines += ["edgeslm_state edgeslm_model_state;", ""]
    if program.attention is not None:
        lines += _attention_object(program.attention, config)
    lines += [
        "edgeslm_real *edgeslm_logits(edgeslm_state *state) {",
        f"  return (edgeslm_real *)(void *)(state->arena + {memory.offsets[LOGITS]}u);",
        "}",
        "",
        "static void mark(const edgeslm_state *state, uint32_t part) {",
        "  if (state->mark) state->mark(part);",
        "}",
        "",
        *_first_seen(program),
        "int edgeslm_step(edgeslm_state *state, uint32_t token, uint32_t position, edgeslm_real *logits) {",
        f"  if (token >= {config.vocabulary}u) return EDGESLM_NO_SUCH_TOKEN;",
        f"  if (position >= {config.context}u) return EDGESLM_CONTEXT_FULL;",
        "  const edgeslm_weights *weights = &edgeslm_model_weights;",
    ]
    lines += _places(program.activations, memory, "", "  ")
    number = 0
    for place, part in enumerate(program.parts):
        lines.append("")
        if place == len(program.parts) - 1:
            lines += ["  if (logits == NULL) return EDGESLM_OK;", ""]
        lines.append(f"  /* {part.title} */")
        lines += _part(part, _places(part.activations, memory, f"{place}/", "    "))
        if part.layers is None:
            lines.append(f"  mark(state, {number}u);")
            number += 1
        else:
            number += len(part.layers)
    return "\n".join([*lines, "  return EDGESLM_OK;", "}", ""])


def _first_seen(program: Program) -> list[str]:
    """Where layers have windows."""
    if not any("first_seen(" in one for part in program.parts for call in part.calls for one in _texts(call)):
        return []
    return [
        "/* A token sees itself and what lies less than `window` before it. */",
        "static uint32_t first_seen(uint32_t position, uint32_t window) {",
        "  return position >= window ? position - window + 1u : 0u;",
        "}",
        "",
    ]


def _texts(call: Call) -> Iterator[str]:
    return (one for one in call.arguments if isinstance(one, str))


def _attention_object(shape: AttentionShape, config: Configuration) -> list[str]:
    scale = _float(shape.scale * math.log2(math.e))
    cap = [] if shape.cap is None else [f"    .score_cap = EDGESLM_REAL({_float(shape.cap * math.log2(math.e))}),"]
    return [
        "static const edgeslm_attention_shape attention = {",
        f"    .heads = {shape.heads}u, .kv_heads = {shape.kv_heads}u, .head_dim = {shape.head_dim}u,",
        f"    .cache = {config.cache}, .context = {config.context}u,",
        f"    .score_scale = EDGESLM_REAL({scale}), /* with log2(e) */",
        *cap,
        "};",
        "",
    ]


def _config_object(config: Configuration) -> list[str]:
    bos = NO_TOKEN if config.bos is None else f"{config.bos}u"
    eos = ", ".join(f"{token}u" for token in config.eos) or "0u"
    return [
        "const edgeslm_config edgeslm_model_config = {",
        f"    .name = {_string(config.name)}, .scheme = {_string(config.scheme)},",
        f"    .vocabulary = {config.vocabulary}u, .width = {config.width}u, .layers = {config.layers}u,",
        f"    .heads = {config.heads}u, .kv_heads = {config.kv_heads}u, .head_dim = {config.head_dim}u,",
        f"    .feed_forward = {config.feed_forward}u, .context = {config.context}u,",
        f"    .bos = {bos}, .add_bos = {int(config.add_bos)}u, .eos_count = {len(config.eos)}u, .eos = {{{eos}}},",
        "};",
    ]


def _places(activations: Sequence[Activation], memory: MemoryPlan, prefix: str, indent: str) -> list[str]:
    """Pointers into the arena. Logits have a place in it, but the caller says where they go."""
    lines = []
    for one in activations:
        if one.name != LOGITS and prefix + one.name in memory.offsets:
            kind = "edgeslm_real" if one.kind == "real" else "edgeslm_quantized"
            place = f"(void *)(state->arena + {memory.offsets[prefix + one.name]}u)"
            lines.append(f"{indent}{kind} *{one.name} = {place}; /* {one.shape} */")
    return lines


def _part(part: Part, places: list[str]) -> Iterator[str]:
    layers, struct = part.layers, part.struct
    if layers is None or struct is None:
        yield "  {"
        yield from places
        for call in part.calls:
            yield from _call(call, "    ")
        yield "  }"
        return
    yield f"  for (uint32_t l = {layers.start}u; l < {layers.stop}u; l++) {{"
    index = "l" if layers.start == part.start else f"l - {layers.start - part.start}u"
    yield f"    const {struct.name} *layer = &weights->{struct.member}[{index}];"
    yield from places
    for call in part.calls:
        yield from _call(call, "    ")
    yield "    mark(state, l + 1u);"
    yield "  }"


def _call(call: Call, indent: str) -> Iterator[str]:
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


# ---- Text ------------------------------------------------------------------------------------------------------------


def _guard(name: str) -> list[str]:
    return [f"#ifndef {name}", f"#define {name}", ""]


def _declared(one: Field) -> str:
    space = "" if one.type.endswith("*") else " "
    return f"{one.type}{space}{one.name};" + (f" /* {_comment(one.comment)} */" if one.comment else "")


def _comment(text: str) -> str:
    """Checkpoints' names come from outside: none ends a comment."""
    return re.sub(r"[^\w .,:()+=&×-]", "?", text)


def _string(text: str) -> str:
    return '"' + re.sub(r'[^ -~]|["\\]', "?", text) + '"'
