"""Decide, as data, for a microcontroller: scheme per tensor, the cache, flash and RAM by item, and what would fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from edgeslm.artifacts import Checkpoint, KvCache, QuantPlan, TensorChoice
from edgeslm.backends.cortexm.budget import FirmwareBudget, firmware_budget, kib, require_fit
from edgeslm.backends.cortexm.language import LanguageProgram, program_language
from edgeslm.backends.cortexm.quantize import DEFAULT_GROUP
from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.cache import code_digest
from edgeslm.decoder import Decoder
from edgeslm.errors import InternalError, UnsupportedError, UnsupportedSchemeError
from edgeslm.firmware.image import STACK_BYTES
from edgeslm.firmware.qemu import not_run_here
from edgeslm.firmware.wire import MOST_REQUEST
from edgeslm.ir.graph import Graph
from edgeslm.planning import DEFAULT_SCHEME, why_scheme, with_digest
from edgeslm.quantize.constants import plan_constants
from edgeslm.quantize.plan import TensorPlan, choose_precisions
from edgeslm.quantize.schemes import MIXED, Scheme, find_scheme
from edgeslm.stages.firmware_graph import BACKEND, step_graph, with_context
from edgeslm.stages.tokenizer import tokenizer_of
from edgeslm.target import Target, list_targets
from edgeslm.tokenizer.features import features_of
from edgeslm.tokenizer.table import compile_table
from edgeslm.versions import tool_versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMES = ("fp32", "int8", "int8-static", "int4")
SHORTEST_CONTEXT = 32
"""Tokens: a hint proposes none below."""
ROOMS = (
    *(f"backends/{BACKEND}", "chips", "cost", "export", "firmware", "formats", "ir", "quantize", "tokenizer"),
    *("decoder", "stages/firmware_graph", "stages/firmware_plan", "stages/tokenizer"),
)
"""Whose code lays out memory."""
STEP = 8
"""Contexts that hints propose are multiples of it."""


Keep = Callable[[list[object], Callable[[], FirmwareBudget]], FirmwareBudget]
"""keep(key, make): the budget of this key, made where there is none yet."""


@dataclass(frozen=True)
class FirmwarePlan:
    """The decision, and the budget it rests on."""

    plan: QuantPlan
    budget: FirmwareBudget


def decide_firmware(
    target: Target,
    checkpoint: Checkpoint,
    lengths: tuple[int, ...],
    kv_cache: KvCache,
    scheme: str | None = None,
    backend: str | None = None,
    converter: str | None = None,
    given: TensorPlan | None = None,
    keep: Keep | None = None,
) -> FirmwarePlan:
    """The plan for this language model on this microcontroller; nothing is compiled, and no weight read. `lengths` is
    its context. `keep`: where a budget may lie already.

    Raises UnsupportedError, UnsupportedOpError, UnsupportedSchemeError, DoesNotFitError.
    """
    if checkpoint.decoder is None:
        raise UnsupportedError(
            f"{target.name} is a microcontroller: models of text are built for it, and {checkpoint.name} is a plain "
            "module",
            f"targets that run Linux: {', '.join(one.name for one in list_targets() if one.packaging == 'linux')}",
        )
    (context,) = lengths
    chosen = chosen_scheme(target, scheme, backend, converter) if given is None else given.found_scheme
    sizes = FirmwareSizes(checkpoint, context, given)
    budget = _kept(keep, sizes, target, chosen.name, context, kv_cache)
    if not budget.fits:
        require_fit(checkpoint.name, target, budget, _what_would_fit(sizes, target, chosen.name, context, kv_cache))
    choices = firmware_choices(checkpoint, chosen.name, given)
    flash, ram = budget.flash, budget.ram
    reasons = (
        f"scheme {chosen.name} ({_title(chosen)}): {why_scheme(target, scheme, given)}",
        f"backend {BACKEND}: {target.title} runs no system; the model is compiled to C",
        f"kv cache: {context} tokens as {kv_cache}, {kib(ram['kv cache'])} KiB of RAM",
        describe_memory("flash", flash, budget.flash_available),
        describe_memory("RAM", ram, budget.ram_available),
    )
    plan = QuantPlan(
        target=target.name,
        backend=BACKEND,
        scheme=chosen.name,
        choices=choices,
        reasons=reasons,
        warnings=not_run_here(target),
        lengths=(context,),
        weight_bytes=flash["weights"],
        resident_bytes=budget.ram_bytes,
        kv_cache=kv_cache,
        cache_bytes=ram["kv cache"],
    )
    return FirmwarePlan(with_digest(plan), budget)


def _kept(
    keep: Keep | None, sizes: FirmwareSizes, target: Target, scheme: str, context: int, kv_cache: KvCache
) -> FirmwareBudget:
    """To lay out memory, the whole graph is written: an unchanged build need not."""

    def budget() -> FirmwareBudget:
        return sizes.budget(target, scheme, context, kv_cache)

    if keep is None:
        return budget()
    chosen = {name: [one.precision, one.group] for name, one in sizes.choices(scheme).items()}
    asked = [sizes.checkpoint.digest, target.model_dump(mode="json"), scheme, chosen, context, kv_cache]
    return keep([*asked, code_digest(*ROOMS), tool_versions("export")], budget)


def _title(scheme: Scheme) -> str:
    return scheme.title.replace(f"blocks of {scheme.group}", f"blocks of {DEFAULT_GROUP}")


def chosen_scheme(
    target: Target,
    scheme: str | None,
    backend: str | None,
    converter: str | None,
    schemes: tuple[str, ...] = SCHEMES,
) -> Scheme:
    """The scheme of that name, one of `schemes`, or the default. Raises UnsupportedError for flags that a
    microcontroller has no use for, UnsupportedSchemeError."""
    if backend not in (None, BACKEND):
        raise UnsupportedError(
            f"{target.name} is a microcontroller: {backend} cannot be used on it", f"--backend {BACKEND}"
        )
    if converter is not None:
        raise UnsupportedError(f"--converter {converter} is the tflite backend's", "leave out --converter")
    chosen = find_scheme(scheme or DEFAULT_SCHEME)
    if chosen.name not in schemes:
        raise UnsupportedSchemeError(
            f"microcontrollers take {', '.join(schemes)}, not {chosen.name}",
            "int8 computes with int8 activations; int4 takes half the flash",
        )
    return chosen


def describe_memory(kind: str, items: Mapping[str, int], available: int) -> str:
    each = ", ".join(f"{item} {kib(size)}" for item, size in items.items())
    return f"{kind}: {kib(sum(items.values()))} of {kib(available)} KiB ({each})"


def firmware_choices(checkpoint: Checkpoint, scheme: str, given: TensorPlan | None = None) -> dict[str, TensorChoice]:
    """As on other targets, but int4 in the blocks that suit small models; a mixed scheme's are those `given`."""
    if given is not None and scheme == given.scheme:
        return dict(given.choices)
    wanted = find_scheme(scheme)
    if wanted.linear == "int4":
        notation = f"w4a8-g{DEFAULT_GROUP}"
        wanted = dataclasses.replace(wanted, group=DEFAULT_GROUP, notation=notation)
    return choose_precisions(checkpoint.parameters, wanted)


@dataclass(frozen=True)
class FirmwareSizes:
    """What a checkpoint takes on any microcontroller, built any way with at most `context` tokens."""

    checkpoint: Checkpoint
    context: int
    given: TensorPlan | None = None

    def choices(self, scheme: str) -> dict[str, TensorChoice]:
        return firmware_choices(self.checkpoint, scheme, self.given)

    def scheme(self, name: str) -> Scheme:
        return self.given.found_scheme if self.given is not None and name == MIXED else find_scheme(name)

    @property
    def decoder(self) -> Decoder:
        if self.checkpoint.decoder is None:
            raise InternalError(f"{self.checkpoint.name} is planned as a language model, and is none")
        return self.checkpoint.decoder

    @cached_property
    def graph(self) -> Graph:
        return step_graph(self.decoder, self.context, _no_weights)

    @cached_property
    def table(self) -> bytes:
        return compile_table(tokenizer_of(self.checkpoint))

    @cached_property
    def text_bytes(self) -> int:
        return text_bytes_of(self.table)

    def program(self, target: Target, scheme: str, context: int, kv_cache: KvCache) -> LanguageProgram:
        choices, variant = self.choices(scheme), choose_variant(target.cpu.isa)
        graph = plan_constants(with_context(self.graph, context), choices)
        limits = _any_limit if self.scheme(scheme).activations == "static" else None
        return program_language(graph, kv_cache, variant, limits=limits, text_bytes=self.text_bytes)

    def budget(self, target: Target, scheme: str, context: int, kv_cache: KvCache) -> FirmwareBudget:
        planned = self.program(target, scheme, context, kv_cache)
        return firmware_budget(target, planned, self.scheme(scheme).linear, kv_cache, len(self.table), STACK_BYTES)


def text_bytes_of(table: bytes) -> int:
    """What the tokenizer in C works in, for the longest prompt that a board takes. Raises UnsupportedError for a
    tokenizer that is none of its kinds."""
    return features_of(table).work.of(MOST_REQUEST)


def _any_limit(parameter: str) -> float:
    """Sizes do not depend on it."""
    return 1.0


def _no_weights(parameter: str) -> NDArray[np.float32]:
    raise InternalError(f"{parameter} is read, but only sizes were asked for")


def _what_would_fit(sizes: FirmwareSizes, target: Target, scheme: str, context: int, kv_cache: KvCache) -> str:
    """What one flag changes, where it is enough; and the smallest target that takes the model as it is."""

    def fits(on: Target, name: str = scheme, length: int = context, cache: KvCache = kv_cache) -> bool:
        try:
            return sizes.budget(on, name, length, cache).fits
        except UnsupportedError:
            return False

    found = list(_shorter(sizes, target, scheme, context, kv_cache, fits))
    if kv_cache != "int8" and fits(target, cache="int8"):
        cache = sizes.budget(target, scheme, context, "int8").ram["kv cache"]
        found.append(f"--kv-cache int8 makes it {kib(cache)} KiB")
    for name in (one for one in SCHEMES if one != "int8-static"):  # its weights are int8's
        if name != scheme and fits(target, name):
            weights = sizes.budget(target, name, context, kv_cache).flash["weights"]
            found.append(f"--scheme {name} makes the weights {kib(weights)} KiB")
    larger = sorted(
        (one for one in list_targets() if one.is_firmware and one.name != target.name and fits(one)),
        key=lambda one: (one.memory.ram_kib + one.memory.storage_kib, one.name),
    )
    if larger:
        found.append(f"the smallest target that takes it as it is: {larger[0].name}")
    return "\n".join(found) or "no built-in target takes it: a smaller checkpoint is needed"


def _shorter(
    sizes: FirmwareSizes,
    target: Target,
    scheme: str,
    context: int,
    kv_cache: KvCache,
    fits: Callable[..., bool],
) -> Iterator[str]:
    """The longest context that fits, with the cache as it is and with the smallest one."""
    caches: tuple[KvCache, ...] = (kv_cache,) if kv_cache == "int8" else (kv_cache, "int8")
    for cache in caches:
        low, high = SHORTEST_CONTEXT // STEP, (context - 1) // STEP
        if high < low or not fits(target, length=low * STEP, cache=cache):
            continue
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(target, length=middle * STEP, cache=cache) else (low, middle - 1)
        size = kib(sizes.budget(target, scheme, low * STEP, cache).ram["kv cache"])
        with_cache = "" if cache == kv_cache else f" --kv-cache {cache}"
        yield f"--context {low * STEP}{with_cache} makes the kv cache {size} KiB"
