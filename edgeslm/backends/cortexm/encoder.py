"""A text encoder -> generated C for one kind of core: sizes first, from shapes alone; then the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.artifacts import FIRMWARE, CompiledModel, Precision, QuantPlan, TensorChoice
from edgeslm.backends.cortexm.emit import FILES, Configuration
from edgeslm.backends.cortexm.encoder_emit import EncoderText, emit_encoder
from edgeslm.backends.cortexm.encoder_schedule import EncoderProgram, write_encoder_program
from edgeslm.backends.cortexm.language import stored_tensors
from edgeslm.backends.cortexm.memory import MemoryPlan, plan_memory, text_buffers
from edgeslm.backends.cortexm.program import Program
from edgeslm.backends.cortexm.token_graph import TokenGraph
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.digest import files_digest
from edgeslm.ir.graph import Storage
from edgeslm.quantize.constants import plan_constants

if TYPE_CHECKING:
    from edgeslm.backends import MomentsOf


@dataclass(frozen=True)
class PlannedEncoder:
    """An encoder as calls, with its sizes: all that there is before weights are read."""

    encoder: EncoderProgram
    memory: MemoryPlan
    variant: Variant

    @property
    def program(self) -> Program:
        return self.encoder.program


def program_encoder(
    text: TokenGraph,
    choices: Mapping[str, TensorChoice],
    tables: Precision,
    variant: Variant,
    moments: MomentsOf | None = None,
    text_bytes: int = 0,
) -> PlannedEncoder:
    """Calls and sizes. `choices` are a QuantPlan's, `tables` is how positions are kept. Weights, and the moments of
    what flows into their layers, are read when the C is written. `text_bytes`: what the tokenizer works in, before
    anything else is in the arena.

    Raises UnsupportedOpError for what no kernel computes.
    """
    graph = plan_constants(text.graph, choices)
    kept = tuple(replace(one, storage=Storage(tables)) if one.name in text.tables else one for one in graph.constants)
    planned = replace(text, graph=replace(graph, constants=kept))
    encoder = write_encoder_program(planned, variant, moments or (lambda parameter: None))
    return PlannedEncoder(encoder, plan_memory([*encoder.program.buffers(), *text_buffers(text_bytes)]), variant)


def write_encoder(
    planned: PlannedEncoder, text: EncoderText, name: str, plan: QuantPlan, out: Path, parent: str
) -> CompiledModel:
    """Write the generated C into `out`; weights are read one matrix at a time."""
    encoder, program = planned.encoder, planned.program
    shape = program.attention
    config = Configuration(
        name=name,
        scheme=plan.scheme,
        vocabulary=text.vocabulary,
        width=encoder.width,
        layers=encoder.layers,
        heads=shape.heads if shape else 0,
        kv_heads=shape.kv_heads if shape else 0,
        head_dim=shape.head_dim if shape else 0,
        feed_forward=0,
        context=encoder.tokens,
        cache="",
        cache_bytes=0,
        layout=planned.variant.layout if plan.scheme != "fp32" else None,
        fixed=planned.variant.fixed,
    )
    emit_encoder(encoder, planned.memory, config, text, out)
    return CompiledModel(
        root=out,
        digest=files_digest(out, FILES),
        parent=parent,
        backend="cortexm",
        scheme=plan.scheme,
        runtime=FIRMWARE,
        files=FILES,
        lengths=(encoder.tokens,),
        stored=stored_tensors(program, plan),
        kept_float=(),
    )
