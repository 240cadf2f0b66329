"""A program's weights as C: structs of pointers, and the arrays they point to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm.c_text import comment, guard, real
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.program import Array, Field, Program

HEADER = "model_weights.h"
SOURCE = "model_weights.c"
WORDS_A_LINE, REALS_A_LINE = 10, 8


def weights_header(program: Program) -> str:
    lines = ["/* Where the weights are: structs of pointers into flash. Written by edgeslm. */"]
    lines += [*guard("EDGESLM_MODEL_WEIGHTS_H"), '#include "edgeslm_model.h"', ""]
    for struct in program.structs:
        lines += [f"/* A layer's; {len(struct.values)} of this shape. */", "typedef struct {"]
        lines += [f"  {_declared(one)}" for one in struct.fields]
        lines += [f"}} {struct.name};", ""]
    lines.append("struct edgeslm_weights {")
    lines += [f"  {_declared(one)}" for one in program.fields]
    lines += [f"  {one.name} {one.member}[{len(one.values)}];" for one in program.structs]
    return "\n".join([*lines, "};", "", "#endif", ""])


def weights_lines(program: Program, layout: Layout | None, fixed: bool) -> Iterator[str]:
    yield "/* Weights, packed as edgeslm_kernels.h says, and norms. Written by edgeslm. */\n"
    yield f'#include "{HEADER}"\n\n'
    other = f"EDGESLM_FIXED != {int(fixed)}"
    if layout is not None:
        other += f" || EDGESLM_LAYOUT != {int(layout)}"
    yield f'#if {other}\n#error "these weights are packed for another kind of core"\n#endif\n'
    for array in program.arrays:
        yield f"\n/* {comment(array.comment)} */\n"
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
        yield from _lines([real(value) for value in values.reshape(-1)], REALS_A_LINE)
    yield "};\n"


def _hex_words(values: NDArray[Any]) -> list[str]:
    return [f"0x{word:08x}" for word in values.view("<u4").reshape(-1).tolist()]


def _lines(words: Sequence[str], width: int) -> Iterator[str]:
    for start in range(0, len(words), width):
        yield "    " + ", ".join(words[start : start + width]) + ",\n"


def _declared(one: Field) -> str:
    space = "" if one.type.endswith("*") else " "
    return f"{one.type}{space}{one.name};" + (f" /* {comment(one.comment)} */" if one.comment else "")
