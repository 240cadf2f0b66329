"""An encoder's program as C: sizes and schedule. Weights and tokenizer are written as a decoder's are (emit.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from edgeslm.backends.cortexm import emit, emit_weights
from edgeslm.backends.cortexm.c_text import attention_object, call_lines, comment, guard, places, string
from edgeslm.backends.cortexm.emit_tokenizer import emit_tokenizer
from edgeslm.backends.cortexm.encoder_schedule import OUT, EncoderProgram
from edgeslm.backends.cortexm.memory import MemoryPlan, live_bytes
from edgeslm.backends.cortexm.packing import CacheFormat
from edgeslm.backends.cortexm.program import Activation, Part

FORMAT = f"EDGESLM_CACHE_{CacheFormat.FLOAT32.name}"
"""Keys and values of a text are reals: one layer's at a time."""


@dataclass(frozen=True)
class EncoderText:
    """What texts become: the tokenizer's table, how many tokens the model knows, those that end every text."""

    table: bytes
    vocabulary: int
    after: tuple[int, ...]


def emit_encoder(
    planned: EncoderProgram, memory: MemoryPlan, config: emit.Configuration, text: EncoderText, out: Path
) -> None:
    """Write emit.FILES into `out`. See emit_model."""
    (out / emit.CONFIG_HEADER).write_text(_config_header(planned, memory, config))
    (out / emit_weights.HEADER).write_text(emit_weights.weights_header(planned.program))
    with (out / emit_weights.SOURCE).open("w") as sink:
        for lines in emit_weights.weights_lines(planned.program, config.layout, config.fixed):
            sink.write(lines)
    (out / emit.SCHEDULE).write_text(_schedule(planned, memory, config, text.after))
    emit_tokenizer(text.table, out)


def _config_header(planned: EncoderProgram, memory: MemoryPlan, config: emit.Configuration) -> str:
    sizes = {
        "ENCODER": (1, "edgeslm_encoder.h"),
        "VOCABULARY": (config.vocabulary, "tokens"),
        "LAYERS": (config.layers, ""),
        "CONTEXT": (config.context, "tokens of a text"),
        "OUTPUTS": (planned.outputs, "of a token" if planned.by_token else "of a text"),
        "OUTPUT_ROWS": (int(planned.by_token), ""),
        "CACHE_BYTES": (0, "nothing is kept from text to text"),
        "ARENA_BYTES": (max(memory.bytes, 8), f"live set {live_bytes(memory.buffers):,}"),
    }
    lines = [f"/* {comment(config.name)}: sizes. Written by edgeslm. */"]
    lines += guard("EDGESLM_MODEL_CONFIG_H")
    for name, (value, remark) in sizes.items():
        lines.append(f"#define EDGESLM_MODEL_{name} {value}u" + (f" /* {remark} */" if remark else ""))
    lines.append(f"#define EDGESLM_CACHE {FORMAT} /* of a layer's keys and values */")
    return "\n".join([*lines, "", "#endif", ""])


def _schedule(planned: EncoderProgram, memory: MemoryPlan, config: emit.Configuration, after: Sequence[int]) -> str:
    program, last = planned.program, len(planned.program.parts) - 1
    lines = [
        f"/* {comment(config.name)} as {config.scheme}: the kernels of one text, in order. Written by edgeslm.",
        " *",
        f" * Arena: {memory.bytes:,} bytes; live set: {live_bytes(memory.buffers):,}. A step below is a call.",
    ]
    for one, start in memory.placed:
        end = start + one.bytes
        lines.append(f" *   {start:6} … {end:6}  {one.name:12} steps {one.first} to {one.last}")
    lines += [" */", f'#include "{emit_weights.HEADER}"', "", *_config_object(planned, config, after), ""]
    lines += ["edgeslm_state edgeslm_model_state;", ""]
    if program.attention is not None:
        lines += attention_object(program.attention, FORMAT, config.context)
    lines += [
        "edgeslm_real *edgeslm_outputs(edgeslm_state *state) {",
        f"  return (edgeslm_real *)(void *)(state->arena + {memory.offsets[OUT]}u);",
        "}",
        "",
        "static void mark(const edgeslm_state *state, uint32_t part) {",
        "  if (state->mark) state->mark(part);",
        "}",
        "",
        "int edgeslm_encode(edgeslm_state *state, const uint32_t *ids, uint32_t count) {",
        f"  if (count == 0 || count > {config.context}u) return EDGESLM_CONTEXT_FULL;",
        "  for (uint32_t t = 0; t < count; t++)",
        f"    if (ids[t] >= {config.vocabulary}u) return EDGESLM_NO_SUCH_TOKEN;",
        "  state->ids = ids;",
        "  state->count = count;",
        "  const edgeslm_weights *weights = &edgeslm_model_weights;",
    ]
    lines += _places(program.activations, memory, "", "  ")
    number = 0
    for place, part in enumerate(program.parts[:-1]):
        lines += ["", f"  /* {part.title} */"]
        lines += _part(part, _places(part.activations, memory, f"{place}/", "    "))
        if part.layers is None:
            lines.append(f"  mark(state, {number}u);")
            number += 1
        else:
            number += len(part.layers)
    lines += ["  return EDGESLM_OK;", "}", ""]
    head = program.parts[-1]
    used = {name for call in head.calls for name in call.uses}
    lines += [
        f"int edgeslm_output(edgeslm_state *state, uint32_t t, edgeslm_real *{OUT}) {{",
        f"  if (t >= {'state->count' if planned.by_token else '1u'}) return EDGESLM_CONTEXT_FULL;",
        "  const edgeslm_weights *weights = &edgeslm_model_weights;",
        "  (void)weights;",
    ]
    lines += _places([one for one in program.activations if one.name in used], memory, "", "  ")
    lines += _places(head.activations, memory, f"{last}/", "  ")
    for loop, calls in groupby(head.calls, key=lambda call: call.loop):
        once = loop == 0 or planned.by_token
        if not once:
            lines.append("  for (t = 0; t < state->count; t++) {")
        for call in calls:
            lines += call_lines(call, "  " if once else "    ")
        lines += [] if once else ["  }"]
    lines += [f"  mark(state, {planned.layers + 1}u);", "  return EDGESLM_OK;", "}", ""]
    return "\n".join(lines)


def _config_object(planned: EncoderProgram, config: emit.Configuration, after: Sequence[int]) -> list[str]:
    ends = ", ".join(f"{token}u" for token in after) or "0u"
    return [
        "const edgeslm_config edgeslm_model_config = {",
        f"    .name = {string(config.name)}, .scheme = {string(config.scheme)},",
        f"    .vocabulary = {config.vocabulary}u, .width = {config.width}u, .layers = {config.layers}u,",
        f"    .heads = {config.heads}u, .head_dim = {config.head_dim}u,",
        f"    .context = {config.context}u, .outputs = {planned.outputs}u, .by_token = {int(planned.by_token)}u,",
        f"    .after_count = {len(after)}u, .after = {{{ends}}},",
        "};",
    ]


def _places(activations: Sequence[Activation], memory: MemoryPlan, prefix: str, indent: str) -> list[str]:
    """Pointers into the arena. The caller says where outputs go."""
    return places([one for one in activations if one.name != OUT], memory, prefix, indent)


def _part(part: Part, places: list[str]) -> Iterator[str]:
    layers, struct = part.layers, part.struct
    if layers is None or struct is None:
        yield "  {"
    else:
        yield f"  for (uint32_t l = {layers.start}u; l < {layers.stop}u; l++) {{"
        index = "l" if layers.start == part.start else f"l - {layers.start - part.start}u"
        yield f"    const {struct.name} *layer = &weights->{struct.member}[{index}];"
    yield from places
    for _, calls in groupby(part.calls, key=lambda call: call.loop):
        yield "    for (uint32_t t = 0; t < count; t++) {"
        for call in calls:
            yield from call_lines(call, "      ")
        yield "    }"
    if layers is not None:
        yield "    mark(state, l + 1u);"
    yield "  }"
