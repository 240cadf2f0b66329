"""Decide, as data, for a text encoder on a microcontroller: scheme per tensor, flash and RAM by item, what would fit.

The graph that the C is written from is the exported one, so a plan exports the model first (the stage is kept).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeslm.artifacts import Checkpoint, OnnxModel, QuantPlan
from edgeslm.backends.cortexm.budget import FirmwareBudget, encoder_budget, kib, require_fit
from edgeslm.backends.cortexm.encoder import PlannedEncoder, program_encoder
from edgeslm.backends.cortexm.encoder_schedule import per_token
from edgeslm.backends.cortexm.token_graph import TokenGraph
from edgeslm.backends.cortexm.variant import Variant, choose_variant
from edgeslm.device.token_content import TokenContent
from edgeslm.errors import EdgeslmError, InternalError
from edgeslm.firmware.image import STACK_BYTES
from edgeslm.firmware.qemu import not_run_here
from edgeslm.planning import why_scheme, with_digest
from edgeslm.quantize.plan import TensorPlan
from edgeslm.quantize.schemes import MIXED, Scheme, find_scheme
from edgeslm.stages.firmware_graph import BACKEND
from edgeslm.stages.firmware_plan import (
    ROOMS as FIRMWARE_ROOMS,
)
from edgeslm.stages.firmware_plan import (
    STEP,
    FirmwarePlan,
    chosen_scheme,
    describe_memory,
    firmware_choices,
    text_bytes_of,
)
from edgeslm.stages.tokenizer import tokenizer_of
from edgeslm.target import Target, list_targets
from edgeslm.tokenizer.table import compile_table

if TYPE_CHECKING:
    from edgeslm.backends import MomentsOf

ROOMS = (*FIRMWARE_ROOMS, "stages/firmware_encoder_plan")
"""Whose code lays out memory."""
SCHEMES = ("fp32", "int8", "int4")
UNICODE = ("CLAS", "COMP", "MAPS", "MARK")
"""Sections of a tokenizer's table that are Unicode's, not the vocabulary's: classes, compositions, maps, marks."""
SHORTEST = 16
"""Tokens: a hint proposes no shorter text."""


def encoder_graph(onnx: OnnxModel) -> TokenGraph:
    """The exported graph of the longest text as what is done for a token.

    Raises UnsupportedOpError, with node and layer, for what no kernel computes.
    """
    from edgeslm.formats.onnx_file import load_onnx
    from edgeslm.ir.import_onnx import import_onnx
    from edgeslm.ir.passes import fuse
    from edgeslm.ir.rewrite import fix_input

    graph = import_onnx(load_onnx(onnx.path(onnx.lengths[-1])).graph, BACKEND, onnx.parameter_of)
    for tensor in graph.inputs:
        if tensor.name == "token_type_ids":  # a board reads single texts: all tokens are of the first type
            graph = fix_input(graph, tensor.name, np.zeros(tensor.shape, np.int32))
    return per_token(fuse(graph))


def decide_encoder(
    target: Target,
    checkpoint: Checkpoint,
    onnx: OnnxModel,
    scheme: str | None = None,
    backend: str | None = None,
    converter: str | None = None,
    given: TensorPlan | None = None,
) -> FirmwarePlan:
    """The plan for this encoder on this microcontroller; nothing is compiled, and no weight read.

    Raises UnsupportedError, UnsupportedOpError, UnsupportedSchemeError, DoesNotFitError.
    """
    chosen = chosen_scheme(target, scheme, backend, converter, SCHEMES) if given is None else given.found_scheme
    sizes = EncoderSizes(checkpoint, encoder_graph(onnx), given)
    longest = sizes.text.tokens
    budget = sizes.budget(target, chosen.name, longest)
    if not budget.fits:
        require_fit(checkpoint.name, target, budget, _what_would_fit(sizes, target, chosen.name))
    reasons = (
        f"scheme {chosen.name} ({chosen.title}): {why_scheme(target, scheme, given)}",
        f"backend {BACKEND}: {target.title} runs no system; the model is compiled to C",
        f"length: one graph for texts of up to {longest} tokens, which does what the tokens there are ask for",
        describe_memory("flash", budget.flash, budget.flash_available),
        describe_memory("RAM", budget.ram, budget.ram_available),
    )
    plan = QuantPlan(
        target=target.name,
        backend=BACKEND,
        scheme=chosen.name,
        choices=firmware_choices(checkpoint, chosen.name, given),
        reasons=reasons,
        warnings=not_run_here(target),
        lengths=(longest,),
        weight_bytes=budget.flash["weights"],
        resident_bytes=budget.ram_bytes,
    )
    return FirmwarePlan(with_digest(plan), budget)


@dataclass(frozen=True)
class EncoderSizes:
    """What a checkpoint takes on any microcontroller, built any way for texts of at most `text.tokens`."""

    checkpoint: Checkpoint
    text: TokenGraph
    given: TensorPlan | None = None

    def scheme(self, name: str) -> Scheme:
        return self.given.found_scheme if self.given is not None and name == MIXED else find_scheme(name)

    @cached_property
    def table(self) -> bytes:
        return compile_table(tokenizer_of(self.checkpoint))

    @cached_property
    def unicode_bytes(self) -> int:
        content = TokenContent(self.table)
        return sum(len(content.bytes_of(tag)) for tag in UNICODE)

    def program(self, variant: Variant, scheme: str, length: int, moments: MomentsOf | None = None) -> PlannedEncoder:
        tables = self.scheme(scheme).embedding
        return program_encoder(
            shortened(self.text, length),
            firmware_choices(self.checkpoint, scheme, self.given),
            tables,
            variant,
            moments,
            text_bytes_of(self.table),
        )

    def budget(self, target: Target, scheme: str, length: int) -> FirmwareBudget:
        planned = self.program(choose_variant(target.cpu.isa), scheme, length)
        tokenizer = {"tokenizer": len(self.table) - self.unicode_bytes, "unicode tables": self.unicode_bytes}
        return encoder_budget(target, planned, self.scheme(scheme).linear, tokenizer, STACK_BYTES)


def shortened(text: TokenGraph, length: int) -> TokenGraph:
    """The same for texts of at most `length` tokens: tables of positions are cut."""
    if length == text.tokens:
        return text

    def cut(constant: Any) -> Any:
        if constant.name not in text.tables:
            return constant
        tensor = dataclasses.replace(constant.tensor, shape=(length, constant.tensor.shape[1]))
        return dataclasses.replace(constant, tensor=tensor, read=lambda: constant.read()[:length])

    graph = dataclasses.replace(text.graph, constants=tuple(cut(one) for one in text.graph.constants))
    return dataclasses.replace(text, graph=graph, tokens=length)


def _what_would_fit(sizes: EncoderSizes, target: Target, scheme: str) -> str:
    """What one flag changes, where it is enough; and the smallest target that takes the model as it is."""
    longest = sizes.text.tokens

    def fits(on: Target, name: str = scheme, length: int = longest) -> bool:
        try:
            return sizes.budget(on, name, length).fits
        except InternalError:
            raise
        except EdgeslmError:
            return False

    found = list(_shorter(sizes, target, scheme, fits))
    for name in SCHEMES:
        if name != scheme and fits(target, name):
            weights = sizes.budget(target, name, longest).flash["weights"]
            found.append(f"--scheme {name} makes the weights {kib(weights)} KiB")
    larger = sorted(
        (one for one in list_targets() if one.is_firmware and one.name != target.name and fits(one)),
        key=lambda one: (one.memory.ram_kib + one.memory.storage_kib, one.name),
    )
    if larger:
        found.append(f"the smallest target that takes it as it is: {larger[0].name}")
    return "; ".join(found) or "no built-in target takes it: a smaller checkpoint is needed"


def _shorter(sizes: EncoderSizes, target: Target, scheme: str, fits: Any) -> Iterator[str]:
    """The longest text that fits."""
    low, high = SHORTEST // STEP, (sizes.text.tokens - 1) // STEP
    if high < low or not fits(target, length=low * STEP):
        return
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(target, length=middle * STEP) else (low, middle - 1)
    size = kib(sizes.budget(target, scheme, low * STEP).ram["activations"])
    yield f"--max-length {low * STEP} makes the activations {size} KiB"
