"""Does a model fit a target? Resident bytes come from measurements, not from the size of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgeslm.cost.measured import RESIDENT, Resident
from edgeslm.errors import DoesNotFitError
from edgeslm.target import Target

MIB = 1 << 20
# Raspberry Pi OS Lite (64-bit, bookworm) with no desktop uses about this much after boot; more where the user
# runs more. It is a reserve, not a promise.
SYSTEM_RESERVE_MIB = 160


@dataclass(frozen=True)
class Budget:
    """All in bytes. `needs` by item, against what the target has left for one process."""

    weights: int
    expansion: int  # what the runtime adds by repacking or expanding weights
    runtime: int  # interpreter, Python, tokenizer, activations
    available: int
    storage: int
    storage_available: int
    cache: int = 0  # a language model's keys and values

    @property
    def resident(self) -> int:
        return self.weights + self.expansion + self.runtime + self.cache

    @property
    def fits(self) -> bool:
        return self.resident <= self.available and self.storage <= self.storage_available


def memory_budget(target: Target, backend: str, scheme: str, weight_bytes: int, cache_bytes: int = 0) -> Budget:
    """The budget of a model whose file takes `weight_bytes` on this target, and its KV cache `cache_bytes`."""
    resident = resident_facts(backend, target.cpu.arch, scheme)
    return Budget(
        weights=weight_bytes,
        expansion=round(max(0.0, resident.factor - 1) * weight_bytes),
        runtime=round(resident.constant_mib * MIB),
        available=max(0, target.memory.ram_kib * 1024 - SYSTEM_RESERVE_MIB * MIB),
        storage=weight_bytes,
        storage_available=target.memory.storage_kib * 1024,
        cache=cache_bytes,
    )


def mixed_budget(target: Target, backend: str, parts: Mapping[str, int], cache_bytes: int = 0) -> Budget:
    """The budget of a model of several precisions: `parts` are bytes of its file by the scheme that stores them so."""
    facts = {scheme: resident_facts(backend, target.cpu.arch, scheme) for scheme in parts}
    whole = memory_budget(target, backend, max(parts, key=lambda scheme: parts[scheme]), sum(parts.values()))
    return replace(
        whole,
        expansion=round(sum(max(0.0, facts[scheme].factor - 1) * size for scheme, size in parts.items())),
        runtime=round(max(fact.constant_mib for fact in facts.values()) * MIB),
        cache=cache_bytes,
    )


def resident_facts(backend: str, arch: str, scheme: str) -> Resident:
    """The measurement for this combination, or the backend's worst on that ISA where it was not measured."""
    found = RESIDENT.get((backend, arch, scheme))
    if found is not None:
        return found
    same = [value for (name, isa, _), value in RESIDENT.items() if name == backend and isa == arch]
    return max(same or RESIDENT.values(), key=lambda value: (value.factor, value.constant_mib))


def require_fit(name: str, target: Target, budget: Budget, smaller: str | None) -> None:
    """Raise DoesNotFitError with the budget table. `smaller` is the hint that would make it fit, if any does."""
    if budget.fits:
        return
    if budget.resident > budget.available:
        need, have, kind = budget.resident, budget.available, "RAM"
    else:
        need, have, kind = budget.storage, budget.storage_available, "storage"
    raise DoesNotFitError(
        f"{name} does not fit {target.name}: needs {_mib(need)} {kind}, has {_mib(have)}\n"
        f"         weights {_mib(budget.weights)}   expanded or repacked by the runtime {_mib(budget.expansion)}   "
        f"runtime and activations {_mib(budget.runtime)}   "
        + (f"kv cache {_mib(budget.cache)}   " if budget.cache else "")
        + f"(system reserve {SYSTEM_RESERVE_MIB} MiB is taken off)",
        smaller,
    )


def _mib(count: int) -> str:
    return f"{count / MIB:,.0f} MiB"
