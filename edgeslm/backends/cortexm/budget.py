"""What a firmware takes of a microcontroller's flash and RAM, by item, before anything is compiled.

Weights, tokenizer, KV cache and arena are exact; code is what builds for each kind of core took (measured), and the
linker's map is held to the sum.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeslm.artifacts import KvCache, Precision
from edgeslm.backends.cortexm.encoder import PlannedEncoder
from edgeslm.backends.cortexm.extents import FOURS, extent_macros
from edgeslm.backends.cortexm.language import LanguageProgram
from edgeslm.backends.cortexm.memory import Buffer
from edgeslm.backends.cortexm.variant import Variant, choose_variant
from edgeslm.cost.memory import Budget
from edgeslm.errors import DoesNotFitError
from edgeslm.target import Target

KIB = 1024
FIRMWARE_RAM = 1448
"""Receiver, tokenizer, counters: what the firmware keeps besides the model's state and the prompt."""
PROMPT_BYTES = 4
"""Of RAM for each position: the prompt's tokens."""
CALL_BYTES = 32
"""Of code for each call in the schedule."""
CODE_BYTES = {
    ("fixed", "int8"): 10_250,
    ("fixed", "int4"): 11_250,
    ("plain", "fp32"): 8_500,
    ("plain", "int8"): 9_500,
    ("plain", "int4"): 10_100,
    ("dsp", "fp32"): 8_500,
    ("dsp", "int8"): 9_500,
    ("dsp", "int4"): 10_100,
    ("mve", "fp32"): 8_500,
    ("mve", "int8"): 9_350,
    ("mve", "int4"): 9_750,
}
"""Kernels, tokenizer, protocol, start-up, by the kind of kernels and the matrices' precision: stories260k, compiled by
arm-none-eabi-gcc 12.2."""
TAILS_BYTES = 700
"""Of code where rows are not all multiples of 4 (extents.py)."""

INT8_CACHE_BYTES = {"fixed": 0, "plain": 500, "dsp": 850, "mve": 500}
"""Of code for attention over an int8 cache."""

ENCODER_CODE_BYTES = {
    ("fixed", "int8"): 11_600,
    ("fixed", "int4"): 12_300,
    ("plain", "fp32"): 9_900,
    ("plain", "int8"): 11_400,
    ("plain", "int4"): 12_200,
    ("dsp", "fp32"): 9_900,
    ("dsp", "int8"): 11_400,
    ("dsp", "int4"): 12_200,
    ("mve", "fp32"): 9_900,
    ("mve", "int8"): 10_700,
    ("mve", "int4"): 11_500,
}
"""The same for a text encoder with a WordPiece tokenizer: a sentence embedding, by the same compiler."""
ENCODER_RAM = 1_264
"""Receiver, tokenizer, counters: what the firmware keeps besides an encoder's state and the text."""


@dataclass(frozen=True)
class FirmwareBudget:
    """Bytes by item, against what the target has."""

    flash: dict[str, int]
    ram: dict[str, int]
    flash_available: int
    ram_available: int
    arena: tuple[tuple[Buffer, int], ...] = ()  # buffers of activations and their offsets, in order

    @property
    def summary(self) -> Budget:
        """In the words of other targets."""
        flash, cache = self.flash, self.ram.get("kv cache", 0)  # an encoder has none
        return Budget(
            weights=flash["weights"],
            expansion=-flash["weights"],  # they stay in flash
            runtime=self.ram_bytes - cache,
            available=self.ram_available,
            storage=self.flash_bytes,
            storage_available=self.flash_available,
            cache=cache,
        )

    @property
    def flash_bytes(self) -> int:
        return sum(self.flash.values())

    @property
    def ram_bytes(self) -> int:
        return sum(self.ram.values())

    @property
    def fits(self) -> bool:
        return self.flash_bytes <= self.flash_available and self.ram_bytes <= self.ram_available


def firmware_budget(
    target: Target,
    planned: LanguageProgram,
    precision: Precision,
    kv_cache: KvCache,
    tokenizer_bytes: int,
    stack_bytes: int,
) -> FirmwareBudget:
    """`precision` is that of most matrices."""
    program, variant = planned.program, choose_variant(target.cpu.isa)
    calls = [call for part in program.parts for call in part.calls]
    kind = kind_of(variant)
    code = CODE_BYTES[kind, precision] + CALL_BYTES * len(calls)
    if kv_cache == "int8":
        code += INT8_CACHE_BYTES[kind]
    if FOURS not in extent_macros(calls, program.attention):
        code += TAILS_BYTES
    return FirmwareBudget(
        flash={
            "code": code,
            "weights": program.weight_bytes + program.table_bytes,
            "tokenizer": tokenizer_bytes,
        },
        ram={
            "kv cache": planned.all_cache_bytes,
            "activations": planned.memory.bytes,
            "prompt": PROMPT_BYTES * planned.context,
            "stack": stack_bytes,
            "firmware": FIRMWARE_RAM,
        },
        flash_available=target.memory.storage_kib * KIB,
        ram_available=target.memory.ram_kib * KIB,
        arena=tuple(planned.memory.placed),
    )


def encoder_budget(
    target: Target, planned: PlannedEncoder, precision: Precision, tokenizer: dict[str, int], stack_bytes: int
) -> FirmwareBudget:
    """The same for a text encoder. `tokenizer`: bytes of its table by item."""
    program, variant = planned.program, choose_variant(target.cpu.isa)
    calls = sum(len(part.calls) for part in program.parts)
    return FirmwareBudget(
        flash={
            "code": ENCODER_CODE_BYTES[kind_of(variant), precision] + CALL_BYTES * calls,
            "weights": program.weight_bytes + program.table_bytes,
            **tokenizer,
        },
        ram={
            "activations": planned.memory.bytes,
            "text": PROMPT_BYTES * planned.encoder.tokens,
            "stack": stack_bytes,
            "firmware": ENCODER_RAM,
        },
        flash_available=target.memory.storage_kib * KIB,
        ram_available=target.memory.ram_kib * KIB,
        arena=tuple(planned.memory.placed),
    )


def kind_of(variant: Variant) -> str:
    """Which of CODE_BYTES."""
    return "fixed" if variant.fixed else "mve" if variant.mve else "dsp" if variant.dsp else "plain"


def require_fit(name: str, target: Target, budget: FirmwareBudget, hint: str) -> None:
    """Raise DoesNotFitError with the table, and by how much."""
    if budget.fits:
        return
    needs = (
        ("flash", budget.flash, budget.flash_bytes, budget.flash_available),
        ("RAM", budget.ram, budget.ram_bytes, budget.ram_available),
    )
    short = [
        f"{kib(need)} KiB {kind}, has {kib(have)} KiB: {kib(need - have)} KiB too much"
        for kind, _, need, have in needs
        if need > have
    ]
    rows = [
        f"         {kind:5} {kib(need)} of {kib(have)} KiB: "
        + "   ".join(f"{item} {kib(size)}" for item, size in items.items())
        for kind, items, need, have in needs
    ]
    raise DoesNotFitError(
        f"{name} does not fit {target.name}: needs " + "; ".join(short) + "\n" + "\n".join(rows), hint
    )


def kib(count: int) -> str:
    """Tenths below 100."""
    return f"{count / KIB:,.1f}" if count < 100 * KIB else f"{count / KIB:,.0f}"
