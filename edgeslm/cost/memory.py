"""Does a model fit a target? Resident bytes come from measurements, not from the size of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgeslm.artifacts import Precision, TensorChoice
from edgeslm.cost.kernels import KernelCall, choice_of
from edgeslm.cost.measured import PROCESSES, RESIDENT, Process, Resident
from edgeslm.cost.sizes import ModelShape, StoredMatrix
from edgeslm.errors import DoesNotFitError
from edgeslm.target import Target

MIB = 1 << 20
# Raspberry Pi OS Lite (64-bit, bookworm) with no desktop uses about this much after boot; more where the user
# runs more. It is a reserve, not a promise.
SYSTEM_RESERVE_MIB = 160
# Android keeps more: its own services and the apps that were used last. An estimate, of the same kind.
ANDROID_RESERVE = 0.5  # of the RAM
FLOAT_COPIES: dict[Precision, int] = {"fp32": 1, "fp16": 2}
"""Of a matrix that OpenVINO multiplies by: as its kernels want it, and of halves the floats, too. Integers are packed
as they are."""
DOUBT = 0.01
"""Of a process's memory, beside what is not known of the file: runs differ by as much."""


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
        available=max(0, target.memory.ram_kib * 1024 - system_reserve_mib(target) * MIB),
        # An app has the model among its assets, and once more as a file, which is what LiteRT can map.
        storage=2 * weight_bytes if target.is_android else weight_bytes,
        storage_available=target.memory.storage_kib * 1024,
        cache=cache_bytes,
    )


def system_reserve_mib(target: Target) -> int:
    """What of the RAM the target's system and its other programs take."""
    return round(ANDROID_RESERVE * target.memory.ram_kib / 1024) if target.is_android else SYSTEM_RESERVE_MIB


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


@dataclass(frozen=True)
class ModelRam:
    """What a process takes that runs a model: its own, what the runtime packs, the part of the file that is mapped
    beside that, and what lives at once in the longest run. `vocabulary` is the tokenizer's."""

    backend: str
    process: Process
    shape: ModelShape
    vocabulary: int
    cache_bytes: int = 0

    @property
    def constant(self) -> float:
        """Without the matrices."""
        process = self.process
        own = process.base_mib * MIB + process.token_bytes * self.vocabulary
        longest = max(self.shape.activation_bytes.values(), default=0)
        return own + longest + self.cache_bytes + process.rest_share * self.shape.other_bytes

    def of_matrix(self, matrix: StoredMatrix, precision: Precision, group: int | None) -> float:
        """What it adds, stored so. XNNPACK packs what lies in the file beside, and OpenVINO maps the file as well."""
        size, process = self.shape.bytes_of(matrix, precision, group) or 0, self.process
        if self.backend == "openvino":
            packed = FLOAT_COPIES[precision] * 4 * matrix.rows * matrix.columns if precision in FLOAT_COPIES else size
            return process.rest_share * size + (packed if "linear" in matrix.uses else 0)
        if "linear" not in matrix.uses:
            return process.rest_share * size
        is_layer = matrix.uses == {"linear"}
        again = process.again if precision == "fp32" and is_layer else 0.0
        tied = 0.0 if is_layer and not process.again else process.rest_share
        return (1 + again + tied) * size

    def knows(self, precision: Precision) -> bool:
        """Whether that is foretold: LiteRT expands halves once for each length."""
        return precision != "fp16" or self.backend == "openvino"

    def predict(self, choices: Mapping[str, TensorChoice]) -> tuple[float, float]:
        """Bytes of a plan, and by how much they may be wrong: how much of a file stays mapped depends on what was read
        of it, and on how much the system brings in with a page."""
        total, beside = self.constant, float(self.shape.other_bytes)
        for matrix in self.shape.matrices:
            stored = choice_of(KernelCall("", 1, 1, 1, parameters=matrix.parameters), choices)
            total += self.of_matrix(matrix, *stored)
            if "linear" not in matrix.uses or self.process.again or self.backend == "openvino":
                beside += self.shape.bytes_of(matrix, *stored) or 0
        return total, self.process.rest_doubt * beside + DOUBT * total


def model_ram(
    backend: str, task: str, arch: str, shape: ModelShape | None, vocabulary: int, cache_bytes: int = 0
) -> ModelRam | None:
    """None where only the measured lines are known."""
    process = PROCESSES.get((backend, task, arch))
    return None if process is None or shape is None else ModelRam(backend, process, shape, vocabulary, cache_bytes)


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
        + f"(system reserve {system_reserve_mib(target):,} MiB is taken off)",
        smaller,
    )


def _mib(count: int) -> str:
    return f"{count / MIB:,.0f} MiB"
