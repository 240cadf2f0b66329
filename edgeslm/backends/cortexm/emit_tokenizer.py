"""A tokenizer's table as C, and the header that says which parts of firmware_templates/tokenizer it needs."""

from __future__ import annotations

from pathlib import Path

from edgeslm.tokenizer.features import features_of

TABLE = "model_tokenizer.c"
HEADER = "model_tokenizer.h"
BYTES_A_LINE = 24


def emit_tokenizer(table: bytes, out: Path) -> None:
    """Write TABLE and HEADER into `out`. Raises UnsupportedError for what the tokenizer in C has not."""
    features = features_of(table)
    macros = [f"#define {name} {value}" for name, value in sorted(features.macros.items())]
    each, more = features.work.each, features.work.more
    worked = f"(bytes) * {each.numerator}u"
    if each.denominator > 1:
        worked = f"({worked} + {each.denominator - 1}u) / {each.denominator}u"
    header = [
        "/* What the tokenizer's table needs of ../tokenizer, and the memory that suffices. Written by edgeslm. */",
        "#ifndef EDGESLM_MODEL_TOKENIZER_H",
        "#define EDGESLM_MODEL_TOKENIZER_H",
        "",
        *macros,
        f"#define EDGESLM_MODEL_TEXT_BYTES {features.out}u /* of one token, with what was held back before it */",
        f"#define EDGESLM_MODEL_WORK_BYTES(bytes) ({worked} + {more}u) /* to make tokens of a text: always enough */",
        "",
        "#endif",
        "",
    ]
    (out / HEADER).write_text("\n".join(header))
    lines = [
        "/* The tokenizer's table: docs/tokenizer.md draws it. Written by edgeslm. */",
        '#include "edgeslm_model.h"',
        "",
        f"_Alignas(8) const uint8_t edgeslm_model_tokenizer[{len(table)}] = {{",
        *(
            "    " + ", ".join(map(str, table[start : start + BYTES_A_LINE])) + ","
            for start in range(0, len(table), BYTES_A_LINE)
        ),
        "};",
        "",
        f"const uint32_t edgeslm_model_tokenizer_bytes = {len(table)}u;",
        "",
    ]
    (out / TABLE).write_text("\n".join(lines))
