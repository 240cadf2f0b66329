#!/usr/bin/env python3
"""The sample of generated C in firmware_templates/model/sample: a decoder of 2,000 random weights, which babbles.

scripts/sample_model.py           write it anew
scripts/sample_model.py --check   status 1 where the generator writes something else than what is checked in
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from edgeslm.artifacts import GenerationSpec, Parameter, QuantPlan
from edgeslm.backends.cortexm.language import program_language, write_language
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.decoder import Decoder, Layer, Matrix, Norm, Part, Rotary
from edgeslm.quantize.constants import plan_constants
from edgeslm.quantize.plan import choose_precisions
from edgeslm.quantize.schemes import find_scheme
from edgeslm.stages.firmware_graph import step_graph
from edgeslm.stages.firmware_plan import text_bytes_of
from edgeslm.tokenizer.read import read_specification
from edgeslm.tokenizer.table import compile_table

SAMPLE = Path(__file__).parents[1] / "firmware_templates" / "model" / "sample"
LAYERS, WIDTH, HEADS, KV_HEADS, HEAD_DIM, FEED, CONTEXT = 2, 8, 2, 1, 4, 12, 32
TOKENS = ["<s>", "</s>", "Ġ", *map(chr, range(33, 127))]
SCHEME = "fp32"
"""The one whose bytes are the same for every core that has an FPU."""


class RandomWeights:
    """Called with a parameter's name: its values, the same each time."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}

    def __call__(self, name: str) -> NDArray[np.float32]:
        shape = self.shapes[name]
        seed = np.random.default_rng(np.frombuffer(name.encode(), np.uint8))
        values = seed.integers(-64, 64, shape) / 256 + (len(shape) == 1)
        return values.astype(np.float32)

    def matrix(self, rows: int, columns: int, *names: str) -> Matrix:
        for name in names:
            self.shapes[name] = (rows // len(names), columns)
        return Matrix(tuple(Part(name, rows // len(names)) for name in names), columns)

    def norm(self, name: str) -> Norm:
        self.shapes[name] = (WIDTH,)
        return Norm("rms", name, None, 1e-5)


def sample_decoder(weights: RandomWeights) -> Decoder:
    def layer(number: int) -> Layer:
        own = f"model.layers.{number}."
        attention, feed = own + "self_attn.", own + "mlp."
        return Layer(
            norm_attention=weights.norm(own + "input_layernorm.weight"),
            query_key_value=weights.matrix((HEADS + 2 * KV_HEADS) * HEAD_DIM, WIDTH, attention + "qkv_proj.weight"),
            query_norm=None,
            key_norm=None,
            output=weights.matrix(WIDTH, HEADS * HEAD_DIM, attention + "o_proj.weight"),
            after_attention=None,
            norm_feed=weights.norm(own + "post_attention_layernorm.weight"),
            gate=weights.matrix(FEED, WIDTH, feed + "gate_proj.weight"),
            up=weights.matrix(FEED, WIDTH, feed + "up_proj.weight"),
            down=weights.matrix(WIDTH, FEED, feed + "down_proj.weight"),
            after_feed=None,
            rotary=Rotary((1.0, 0.125)),
        )

    table = weights.matrix(len(TOKENS), WIDTH, "model.embed_tokens.weight")
    return Decoder(
        family="sample",
        vocabulary=len(TOKENS),
        width=WIDTH,
        heads=HEADS,
        kv_heads=KV_HEADS,
        head_dim=HEAD_DIM,
        activation="silu",
        positions=CONTEXT,
        attention_scale=0.5,
        embedding=table,
        embedding_scale=1.0,
        learned_positions=None,
        layers=tuple(layer(number) for number in range(LAYERS)),
        norm=weights.norm("model.norm.weight"),
        head=table,
    )


def sample_tokenizer() -> bytes:
    """A token for each printable character of ASCII."""
    tokenizer = Tokenizer(models.BPE(vocab={token: place for place, token in enumerate(TOKENS)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(TOKENS[:2])
    return compile_table(read_specification(tokenizer.to_str().encode()))


def write_sample(out: Path) -> None:
    weights = RandomWeights()
    decoder = sample_decoder(weights)
    parameters = [
        Parameter(name, shape, "linear" if len(shape) == 2 else "other") for name, shape in weights.shapes.items()
    ]
    choices = choose_precisions(parameters, find_scheme(SCHEME))
    plan = QuantPlan("", "cortexm", SCHEME, choices, (), (), (CONTEXT,), 0, 0)
    graph = plan_constants(step_graph(decoder, CONTEXT, weights), choices)
    table = sample_tokenizer()
    program = program_language(graph, plan.kv_cache, Variant(Layout.ROWS), text_bytes=text_bytes_of(table))
    write_language(program, decoder, "sample", plan, GenerationSpec(0, (1,), True), table, out, "")


def main() -> int:
    parser = argparse.ArgumentParser(description="write the sample of generated C")
    parser.add_argument("--check", action="store_true", help="compare with what is checked in")
    if not parser.parse_args().check:
        SAMPLE.mkdir(exist_ok=True)
        write_sample(SAMPLE)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder))
        names = sorted({path.name for where in (Path(folder), SAMPLE) for path in where.iterdir()})
        stale = [name for name in names if _content(Path(folder) / name) != _content(SAMPLE / name)]
    for name in stale:
        print(f"{SAMPLE / name} is not what the generator writes: scripts/sample_model.py", file=sys.stderr)
    return 1 if stale else 0


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
