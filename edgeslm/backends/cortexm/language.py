"""A decoder -> generated C for one kind of core: sizes first, from shapes alone; then the files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.artifacts import (
    FIRMWARE,
    CompiledModel,
    GenerationSpec,
    KvCache,
    LanguageSpec,
    QuantPlan,
    StoredTensor,
    Turn,
)
from edgeslm.backends.cortexm import packing
from edgeslm.backends.cortexm.emit import FILES, Configuration, emit_model
from edgeslm.backends.cortexm.memory import MemoryPlan, plan_memory, text_buffers
from edgeslm.backends.cortexm.packing import CacheFormat
from edgeslm.backends.cortexm.program import Program
from edgeslm.backends.cortexm.schedule import write_program
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.decoder import Decoder
from edgeslm.digest import files_digest
from edgeslm.errors import InternalError, UnsupportedError

if TYPE_CHECKING:
    from edgeslm.backends import LimitsOf, MomentsOf
    from edgeslm.ir.graph import Graph

CACHES: dict[KvCache, CacheFormat] = {
    "float32": CacheFormat.FLOAT32,
    "float16": CacheFormat.FLOAT16,
    "int8": CacheFormat.INT8,
}


@dataclass(frozen=True)
class LanguageProgram:
    """A decoder as calls, with its sizes: all that there is before weights are read."""

    program: Program
    memory: MemoryPlan
    context: int
    cache_bytes: int  # of one layer's keys, or values
    variant: Variant

    @property
    def all_cache_bytes(self) -> int:
        """Of keys and values of all layers."""
        layers = sum(len(part.layers) for part in self.program.parts if part.layers is not None)
        return 2 * layers * self.cache_bytes


def program_language(
    graph: Graph,
    kv_cache: KvCache,
    variant: Variant,
    moments: MomentsOf | None = None,
    limits: LimitsOf | None = None,
    text_bytes: int = 0,
) -> LanguageProgram:
    """Calls and sizes of a decoder's step. Weights, and the moments of what flows into their layers, are read when the
    C is written. `limits` of what flows into them are given for static ranges. `text_bytes`: what the tokenizer works
    in; cache and arena are free until a prompt is entered, and the arena grows by what is missing.

    Raises UnsupportedError and UnsupportedOpError for what no kernel computes.
    """
    if kv_cache == "float16" and variant.fixed:
        raise UnsupportedError(
            "a core without an FPU keeps keys and values as fixed-point numbers or int8, not as float16",
            "--kv-cache int8, or leave it out",
        )
    program = write_program(graph, variant, moments or _no_moments, limits)
    shape, context = program.attention, cache_rows(graph)
    if shape is None:
        raise InternalError(f"graph {graph.name} is built as a language model's step, and has no attention")
    cache = packing.cache_bytes(shape.kv_heads, context, shape.head_dim, CACHES[kv_cache])
    planned = LanguageProgram(program, MemoryPlan((), {}), context, -(-cache // 8) * 8, variant)
    buffers = [*program.buffers(), *text_buffers(text_bytes - planned.all_cache_bytes)]
    return replace(planned, memory=plan_memory(buffers))


def cache_rows(graph: Graph) -> int:
    """Positions that the states (G, C, E) hold."""
    return max((state.shape[1] for state in graph.states), default=0)


def _no_moments(parameter: str) -> None:
    return None


def write_language(
    planned: LanguageProgram,
    decoder: Decoder,
    name: str,
    plan: QuantPlan,
    generation: GenerationSpec,
    tokenizer: bytes,
    out: Path,
    parent: str,
    turn: Turn | None = None,
) -> CompiledModel:
    """Write the generated C into `out`; weights are read one matrix at a time.

    `add_bos` of `generation` is whether a prompt's ids get a first one beside those that the tokenizer's table gives.
    `turn` is what the board's terminal puts around a line.
    """
    layers = len(decoder.layers)
    config = Configuration(
        name=name,
        scheme=plan.scheme,
        vocabulary=decoder.vocabulary,
        width=decoder.width,
        layers=layers,
        heads=decoder.heads,
        kv_heads=decoder.kv_heads,
        head_dim=decoder.head_dim,
        feed_forward=max(layer.up.rows for layer in decoder.layers),
        context=planned.context,
        cache=f"EDGESLM_CACHE_{CACHES[plan.kv_cache].name}",
        cache_bytes=planned.cache_bytes,
        bos=generation.bos,
        add_bos=generation.add_bos,
        eos=generation.eos,
        turn=turn,
        layout=planned.variant.layout if plan.scheme != "fp32" else None,
        fixed=planned.variant.fixed,
    )
    emit_model(planned.program, planned.memory, config, tokenizer, out)
    return CompiledModel(
        root=out,
        digest=files_digest(out, FILES),
        parent=parent,
        backend="cortexm",
        scheme=plan.scheme,
        runtime=FIRMWARE,
        files=FILES,
        lengths=(),
        stored=stored_tensors(planned.program, plan),
        kept_float=(),
        language=LanguageSpec(
            context=planned.context,
            vocabulary=decoder.vocabulary,
            layers=layers,
            kv_heads=decoder.kv_heads,
            head_dim=decoder.head_dim,
            kv_cache=plan.kv_cache,
        ),
    )


def stored_tensors(program: Program, plan: QuantPlan) -> tuple[StoredTensor, ...]:
    """One entry for each parameter; those side by side share their bytes evenly."""
    sizes: dict[str, int] = {}
    names: dict[str, str] = {}
    for array in program.arrays:
        for parameter in array.parameters:
            sizes[parameter] = sizes.get(parameter, 0) + array.bytes // len(array.parameters)
            names.setdefault(parameter, array.name)
    return tuple(
        StoredTensor(parameter, names[parameter], plan.choices[parameter].precision, size)
        for parameter, size in sizes.items()
    )
