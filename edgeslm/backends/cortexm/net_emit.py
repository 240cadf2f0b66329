"""A net's program as C: sizes, numbers in flash, steps. edgeslm_net.h says what each file is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeslm.backends.cortexm.c_text import guard, real, string
from edgeslm.backends.cortexm.memory import BEFORE, MemoryPlan, live_bytes
from edgeslm.backends.cortexm.net_extents import net_macros
from edgeslm.backends.cortexm.net_program import Argument, FlashArray, Known, NetProgram, Object, Place, Port, Step
from edgeslm.backends.cortexm.net_structs import initializer
from edgeslm.backends.cortexm.variant import Variant

CONFIG, SCHEDULE, HEADER, SOURCE, STEPS = (
    "model_config.h",
    "model_schedule.c",
    "model_weights.h",
    "model_weights.c",
    "model_steps.json",
)
FILES = (SCHEDULE, SOURCE, CONFIG, HEADER, STEPS)
UNSAFE = re.compile(r"[^\w .,:;()\[\]+=&×\"'>@#/-]")
WORDS_A_LINE, NUMBERS_A_LINE = 10, 24


def emit_net(program: NetProgram, memory: MemoryPlan, name: str, variant: Variant, out: Path) -> None:
    """Write FILES into `out`."""
    (out / CONFIG).write_text(_config(program, memory, name))
    (out / HEADER).write_text(_header(program))
    with (out / SOURCE).open("w") as sink:
        sink.writelines(_source(program, variant))
    (out / SCHEDULE).write_text("\n".join(_schedule(program, memory, name)) + "\n")
    told = [
        {"kernel": step.kernel.removeprefix("edgeslm_"), "operator": comment(step.origin)} for step in program.steps
    ]
    (out / STEPS).write_text(json.dumps(told, indent=1) + "\n")


def comment(text: str) -> str:
    """Names and operators of a file, which come from outside: none ends a comment, and none has a trigraph."""
    return UNSAFE.sub("?", text).replace("??/", "?./")


# ---- Sizes -----------------------------------------------------------------------------------------------------------


def _config(program: NetProgram, memory: MemoryPlan, name: str) -> str:
    lines = [f"/* {comment(name)}: sizes. Written by edgeslm. */", *guard("EDGESLM_MODEL_CONFIG_H")]
    lines += [
        "#define EDGESLM_MODEL_NET 1u /* edgeslm_net.h */",
        f"#define EDGESLM_NET_INPUTS {len(program.inputs)}u",
        f"#define EDGESLM_NET_OUTPUTS {len(program.outputs)}u",
        f"#define EDGESLM_NET_STEPS {len(program.steps)}u",
        f"#define EDGESLM_NET_ARENA_BYTES {max(memory.bytes, 8)}u /* live set {live_bytes(memory.buffers):,} */",
    ]
    for way, ports in (("INPUT", program.inputs), ("OUTPUT", program.outputs)):
        for number, port in enumerate(ports):
            lines += ["", *_port(f"EDGESLM_NET_{way}_{number}", port)]
    lines += ["", "/* What kernels need not provide for; edgeslm_integers.h explains. */"]
    lines += [f"#define {macro} {number}" for macro, number in net_macros(program.steps).items()]
    return "\n".join([*lines, "", "#endif", ""])


def _port(prefix: str, port: Port) -> list[str]:
    shape = ", ".join(map(str, port.shape))
    ids = f", ids below {port.ids}" if port.ids is not None else ""
    lines = [f"/* {comment(port.name)}: {port.dtype} ({shape}){ids} */", f"#define {prefix}_BYTES {port.bytes}u"]
    if port.scale is not None:
        lines += [
            f"#define {prefix}_SCALE {real(port.scale)} /* real = scale * (integer - zero point) */",
            f"#define {prefix}_ZERO_POINT ({port.zero_point})",
        ]
    return lines


# ---- Numbers ---------------------------------------------------------------------------------------------------------


def _header(program: NetProgram) -> str:
    lines = ["/* What the steps read in flash. Written by edgeslm. */", *guard("EDGESLM_MODEL_WEIGHTS_H")]
    lines += ["#include <stdint.h>", ""]
    lines += [f"extern {_declared(one)};" for one in program.arrays if one.kind == "weights"]
    return "\n".join([*lines, "", "#endif", ""])


def _source(program: NetProgram, variant: Variant) -> Iterator[str]:
    yield "/* Matrices packed for the kernels that read them, and other numbers of the file. Written by edgeslm. */\n"
    yield f'#include "edgeslm_integers.h"\n\n#include "{HEADER}"\n\n'
    yield f"#if EDGESLM_LAYOUT != {int(variant.layout)}\n"
    yield '#error "these weights are packed for another kind of core"\n#endif\n'
    for array in program.arrays:
        if array.kind == "weights":
            yield f"\n/* {comment(array.comment)} */\n"
            yield from _array(array, "")


def _declared(array: FlashArray) -> str:
    return f"const {array.type} {array.name}[{array.values.size}]"


def _array(array: FlashArray, before: str) -> Iterator[str]:
    values = array.values.reshape(-1)
    aligned = "_Alignas(4) " if array.values.itemsize == 1 else ""
    yield f"{before}{aligned}{_declared(array)} = {{\n"
    if array.type == "uint32_t":
        words = [f"0x{word:08x}" for word in values.tolist()]
        yield from _lines(words, WORDS_A_LINE)
    elif array.type == "float":
        yield from _lines([real(value) for value in values], WORDS_A_LINE)
    else:
        yield from _lines([_integer(int(value)) for value in values.tolist()], NUMBERS_A_LINE)
    yield "};\n"


def _integer(value: int) -> str:
    """The least int32 is no literal of C's."""
    return "(-2147483647 - 1)" if value == -(2**31) else str(value)


def _lines(words: Sequence[str], width: int) -> Iterator[str]:
    for start in range(0, len(words), width):
        yield "    " + ", ".join(words[start : start + width]) + ",\n"


# ---- Steps -----------------------------------------------------------------------------------------------------------


def _schedule(program: NetProgram, memory: MemoryPlan, name: str) -> Iterator[str]:
    yield f"/* {comment(name)} as int8-static: the kernels of one run, in order. Written by edgeslm."
    yield " *"
    yield f" * Arena: {memory.bytes:,} bytes; live set: {live_bytes(memory.buffers):,}."
    for one, start in memory.placed:
        begin = "before" if one.first == BEFORE else str(one.first)
        yield f" *   {start:6} … {start + one.bytes:6}  steps {begin} to {one.last}: {comment(one.name)}"
    yield " */"
    yield '#include "model_config.h" /* first: it says what kernels are compiled for */\n'
    yield '#include "edgeslm_integers.h"\n#include "powers.h"\n'
    yield f'#include "edgeslm_net.h"\n#include "{HEADER}"\n'
    yield f"const char edgeslm_net_name[] = {string(name)};\n"
    yield "static _Alignas(8) uint8_t edgeslm_net_arena[EDGESLM_NET_ARENA_BYTES];"
    yield "#define AT(place) ((void *)(edgeslm_net_arena + (place)))\n"
    yield from _ports(program, memory)
    for array in program.arrays:
        if array.kind == "tables":
            yield f"/* {comment(array.comment)} */"
            yield "".join(_array(array, "static "))
    objects = _objects(program.steps)
    for told, label in objects.items():
        yield f"static const {told.type} {label} = {initializer(told)};"
    yield "\nint edgeslm_net_step(uint32_t step) {\n  switch (step) {"
    for number, step in enumerate(program.steps):
        yield f"    case {number}: /* {comment(step.origin)} */"
        call = f"{step.kernel}({', '.join(_argument(one, memory, objects) for one in step.arguments)})"
        yield f"      if (!{call}) return EDGESLM_NET_NO_SUCH_ID;" if step.holds else f"      {call};"
        yield "      break;"
    yield "    default: return EDGESLM_NET_NO_SUCH_STEP;\n  }\n  return EDGESLM_NET_OK;\n}\n"
    yield "int edgeslm_net_run(void) {\n  int status = EDGESLM_NET_OK;"
    yield "  for (uint32_t step = 0; step < EDGESLM_NET_STEPS && !status; step++) status = edgeslm_net_step(step);"
    yield "  return status;\n}"


def _ports(program: NetProgram, memory: MemoryPlan) -> Iterator[str]:
    yield "typedef struct {\n  uint32_t place, bytes;\n} port;\n"
    for way, type_, ports in (("input", "void *", program.inputs), ("output", "const void *", program.outputs)):
        macro = f"EDGESLM_NET_{way.upper()}S"
        places = ", ".join(f"{{{_offset(one.place, memory)}u, {one.bytes}u}}" for one in ports)
        yield f"static const port {way}s[{macro} + 1u] = {{{places}{', ' if places else ''}{{0, 0}}}};\n"
        yield f"{type_}edgeslm_net_{way}(uint32_t index) {{"
        yield f"  return index < {macro} ? AT({way}s[index].place) : NULL;\n}}\n"
        yield f"uint32_t edgeslm_net_{way}_bytes(uint32_t index) {{"
        yield f"  return {way}s[index < {macro} ? index : {macro}].bytes;\n}}\n"


def _objects(steps: Sequence[Step]) -> dict[Object, str]:
    found = dict.fromkeys(one for step in steps for one in step.arguments if isinstance(one, Object))
    return {one: f"{one.type.removeprefix('edgeslm_')}_{number}" for number, one in enumerate(found)}


def _offset(place: Place, memory: MemoryPlan) -> int:
    return memory.offsets[place.buffer] + place.bytes


def _argument(argument: Argument, memory: MemoryPlan, objects: dict[Object, str]) -> str:
    if isinstance(argument, Place):
        return f"AT({_offset(argument, memory)}u)"
    if isinstance(argument, Known):
        return argument.array + (f" + {argument.start}u" if argument.start else "")
    return f"&{objects[argument]}" if isinstance(argument, Object) else argument
