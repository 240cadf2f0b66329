"""A program as C that a person can follow: sizes, weights, the schedule. edgeslm_model.h says what each file is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeslm.artifacts import Turn
from edgeslm.backends.cortexm import emit_weights
from edgeslm.backends.cortexm.c_text import attention_object, call_lines, comment, guard, literal, places, string
from edgeslm.backends.cortexm.emit_tokenizer import HEADER, TABLE, emit_tokenizer
from edgeslm.backends.cortexm.extents import extent_macros
from edgeslm.backends.cortexm.memory import BEFORE, MemoryPlan, live_bytes
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.program import LOGITS, Call, Part, Program

CONFIG_HEADER = "model_config.h"
SCHEDULE = "model_schedule.c"
FILES = (SCHEDULE, emit_weights.SOURCE, TABLE, CONFIG_HEADER, emit_weights.HEADER, HEADER)
NO_TOKEN = "EDGESLM_NO_TOKEN"


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
    turn: Turn | None = None
    layout: Layout | None = None  # that matrices are packed for; None where it makes no difference
    fixed: bool = False


def emit_model(program: Program, memory: MemoryPlan, config: Configuration, tokenizer: bytes, out: Path) -> None:
    """Write FILES into `out`. Weights are read one array at a time.

    Raises UnsupportedError for a tokenizer's table that the tokenizer in C does not take.
    """
    (out / CONFIG_HEADER).write_text(_config_header(program, memory, config))
    (out / emit_weights.HEADER).write_text(emit_weights.weights_header(program))
    with (out / emit_weights.SOURCE).open("w") as sink:
        for text in emit_weights.weights_lines(program, config.layout, config.fixed):
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
    lines = [f"/* {comment(config.name)}: sizes. Written by edgeslm. */", *guard("EDGESLM_MODEL_CONFIG_H")]
    for name, (value, remark) in sizes.items():
        lines.append(f"#define EDGESLM_MODEL_{name} {value}u" + (f" /* {remark} */" if remark else ""))
    if config.cache_bytes:
        lines.append(f"#define EDGESLM_CACHE {config.cache} /* kernels are compiled for this format alone */")
    if config.turn is not None:
        lines += ["", "/* What the chat template puts around a request. */"]
        lines.append(f"#define EDGESLM_MODEL_TURN_BEFORE {literal(config.turn.before)}")
        lines.append(f"#define EDGESLM_MODEL_TURN_AFTER {literal(config.turn.after)}")
    calls = [call for part in program.parts for call in part.calls]
    macros = extent_macros(calls, program.attention, config.vocabulary)
    if macros:
        lines += ["", "/* What kernels need not provide for; edgeslm_kernels.h explains. */"]
        lines += [f"#define {name} {number}" for name, number in macros.items()]
    return "\n".join([*lines, "", "#endif", ""])


# ---- Schedule --------------------------------------------------------------------------------------------------------


def _schedule(program: Program, memory: MemoryPlan, config: Configuration) -> str:
    lines = [
        f"/* {comment(config.name)} as {config.scheme}: the kernels of one token, in order. Written by edgeslm.",
        " *",
        f" * Arena: {memory.bytes:,} bytes; live set: {live_bytes(memory.buffers):,}. A step below is a call.",
    ]
    for one, start in memory.placed:
        end = start + one.bytes
        when = "before the first" if one.first == BEFORE else f"steps {one.first} to {one.last}"
        lines.append(f" *   {start:6} … {end:6}  {one.name:12} {when}")
    lines += [" */", f'#include "{emit_weights.HEADER}"', "", *_config_object(config), ""]
    lines += ["edgeslm_state edgeslm_model_state;", ""]
    if program.attention is not None:
        lines += attention_object(program.attention, config.cache, config.context)
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
    lines += places(program.activations, memory, "", "  ")
    number = 0
    for place, part in enumerate(program.parts):
        lines.append("")
        if place == len(program.parts) - 1:
            lines += ["  if (logits == NULL) return EDGESLM_OK;", ""]
        lines.append(f"  /* {part.title} */")
        lines += _part(part, places(part.activations, memory, f"{place}/", "    "))
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


def _config_object(config: Configuration) -> list[str]:
    bos = NO_TOKEN if config.bos is None else f"{config.bos}u"
    eos = ", ".join(f"{token}u" for token in config.eos) or "0u"
    return [
        "const edgeslm_config edgeslm_model_config = {",
        f"    .name = {string(config.name)}, .scheme = {string(config.scheme)},",
        f"    .vocabulary = {config.vocabulary}u, .width = {config.width}u, .layers = {config.layers}u,",
        f"    .heads = {config.heads}u, .kv_heads = {config.kv_heads}u, .head_dim = {config.head_dim}u,",
        f"    .feed_forward = {config.feed_forward}u, .context = {config.context}u,",
        f"    .bos = {bos}, .add_bos = {int(config.add_bos)}u, .eos_count = {len(config.eos)}u, .eos = {{{eos}}},",
        "};",
    ]


def _part(part: Part, places: list[str]) -> Iterator[str]:
    layers, struct = part.layers, part.struct
    if layers is None or struct is None:
        yield "  {"
        yield from places
        for call in part.calls:
            yield from call_lines(call, "    ")
        yield "  }"
        return
    yield f"  for (uint32_t l = {layers.start}u; l < {layers.stop}u; l++) {{"
    index = "l" if layers.start == part.start else f"l - {layers.start - part.start}u"
    yield f"    const {struct.name} *layer = &weights->{struct.member}[{index}];"
    yield from places
    for call in part.calls:
        yield from call_lines(call, "    ")
    yield "    mark(state, l + 1u);"
    yield "  }"
