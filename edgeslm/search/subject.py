"""A model on its target as a problem: what each way to store a tensor adds, from the cost model and the sensitivity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgeslm.artifacts import Checkpoint, Parameter, TensorChoice
from edgeslm.cost.kernels import KernelCall
from edgeslm.cost.memory import MIB, ModelRam, model_ram, resident_facts
from edgeslm.cost.predict import Prediction, Task, call_cost, knows, predict
from edgeslm.cost.profile import NO_SLOWER, TargetProfile
from edgeslm.cost.sizes import ModelShape
from edgeslm.quantize.choices import Choice, allowed_choices, stored_together
from edgeslm.quantize.plan import stored_bytes
from edgeslm.search.problem import Metric, Option, Problem, Tensor
from edgeslm.target import Target

FLOAT: Choice = ("fp32", None)
Losses = Mapping[str, Mapping[Choice, float]]
"""Checkpoint parameter -> what the model loses when it alone is stored so, against float32."""


@dataclass(frozen=True)
class Subject:
    """What is chosen for. `shape` and `profile` are None where the backend or the core has none: sizes are then those
    of the tensors alone, and there are no costs. `run` is the signature that is judged, `outputs` the numbers
    it hands out; `firmware_ram` what a microcontroller needs, whose weights stay in flash; `tokens` the length of the
    run, of a decoder the depth of its step; None for a plain module."""

    target: Target
    checkpoint: Checkpoint
    backend: str
    losses: Losses
    shape: ModelShape | None = None
    profile: TargetProfile | None = None
    run: str = ""
    outputs: int = 0
    firmware_ram: int = 0
    tokens: int | None = None
    cache_bytes: int = 0  # a language model's keys and values

    @property
    def task(self) -> Task:
        return "encoder" if self.checkpoint.decoder is None else "decoder"

    @property
    def calls(self) -> Sequence[KernelCall]:
        return () if self.shape is None else self.shape.calls[self.run]

    @property
    def has_costs(self) -> bool:
        return self.profile is not None and self.shape is not None

    def predict(self, choices: Mapping[str, TensorChoice]) -> Prediction | None:
        """The cost of one run, with its error; None where there is no profile."""
        if self.profile is None or self.shape is None:
            return None
        calls = self.calls if self.shape.calls_of is None else self.shape.calls_of(choices)
        return self._predict(calls, choices)

    def _predict(self, calls: Sequence[KernelCall], choices: Mapping[str, TensorChoice]) -> Prediction:
        assert self.profile is not None
        return predict(self.profile, self.backend, calls, choices, self.task, self.outputs)

    def problem(self) -> Problem:
        parameters = {parameter.name: parameter for parameter in self.checkpoint.parameters}
        tensors = tuple(self._tensor([parameters[name] for name in names]) for names in self._together())
        floats = {name: TensorChoice("fp32", "") for name in parameters}
        whole = self._predict(self.calls, floats) if self.has_costs else None
        rest: dict[Metric, float] = {
            "size": 0.0 if self.shape is None else float(self.shape.other_bytes),
            "ram": self._constant_ram(),
            "cost": 0.0 if whole is None else whole.value - sum(self._cost(one.names, FLOAT) or 0.0 for one in tensors),
        }
        return Problem(tensors, rest)

    def _together(self) -> tuple[tuple[str, ...], ...]:
        """Parameters that share a choice: a decoder's own, and those that a kernel reads side by side."""
        joined = [*stored_together(self.checkpoint.parameters, self.checkpoint.decoder)]
        if self.shape is not None:
            joined += [matrix.parameters for matrix in self.shape.matrices]
            joined += [call.parameters for call in self.calls if call.parameters]
        return join_overlapping([parameter.name for parameter in self.checkpoint.parameters], joined)

    def _tensor(self, parameters: Sequence[Parameter]) -> Tensor:
        names = tuple(parameter.name for parameter in parameters)
        language = self.checkpoint.decoder is not None
        allowed = [allowed_choices(parameter, self.backend, language=language) for parameter in parameters]
        common = [choice for choice in allowed[0] if all(choice in other for other in allowed)]
        options = [one for one in (self._option(parameters, names, choice) for choice in common) if one is not None]
        unit = "instructions" if self.profile is None else self.profile.unit
        return Tensor(names, mark_slow(options, NO_SLOWER[unit]))

    def _option(self, parameters: Sequence[Parameter], names: tuple[str, ...], choice: Choice) -> Option | None:
        losses = [0.0 if choice == FLOAT else self.losses.get(name, {}).get(choice) for name in names]
        cost, size = self._cost(names, choice), self._size(parameters, choice)
        if cost is None or size is None or any(loss is None for loss in losses):
            return None
        return Option(choice, size, self._ram(names, choice, size), cost, sum(loss or 0.0 for loss in losses))

    def _ram(self, names: Iterable[str], choice: Choice, size: float) -> float:
        if self.target.is_firmware:
            return 0.0
        known = self.model_ram
        if known is None or not known.knows(choice[0]):
            return size * max(1.0, resident_facts(self.backend, self.target.cpu.arch, choice[0]).factor)
        wanted = set(names)
        matrices = [one for one in known.shape.matrices if wanted & set(one.parameters)]
        return sum(known.of_matrix(one, *choice) for one in matrices)

    @property
    def model_ram(self) -> ModelRam | None:
        """What memory is made of; None where only measured lines are known, and of a microcontroller."""
        if self.target.is_firmware or self.target.is_android:
            return None
        tokenizer = self.checkpoint.tokenizer
        vocabulary = 0 if tokenizer is None else tokenizer.vocab_size
        return model_ram(self.backend, self.task, self.target.cpu.arch, self.shape, vocabulary, self.cache_bytes)

    def ram_doubt(self, choices: Mapping[str, TensorChoice]) -> float | None:
        """By how much the bytes of memory may be wrong."""
        known = self.model_ram
        return None if known is None else known.predict(choices)[1]

    def _size(self, parameters: Sequence[Parameter], choice: Choice) -> float | None:
        """Bytes that are not among the shape's others; None where a matrix cannot be stored so."""
        names = {parameter.name for parameter in parameters}
        stored = TensorChoice(choice[0], "", choice[1])
        if self.shape is None:
            return float(sum(stored_bytes(parameter, stored) for parameter in parameters))
        matrices = [matrix for matrix in self.shape.matrices if names & set(matrix.parameters)]
        found = [self.shape.bytes_of(matrix, *choice) for matrix in matrices]
        if None in found:
            return None
        size = sum(size or 0 for size in found)
        if self.shape.layouts is not None:
            return float(size)
        known = {name for matrix in matrices for name in matrix.parameters}
        floats = TensorChoice("fp32", "")  # as which they are counted there
        size += sum(stored_bytes(p, stored) - stored_bytes(p, floats) for p in parameters if p.name not in known)
        return float(size)

    def _cost(self, names: Iterable[str], choice: Choice) -> float | None:
        """None where the profile does not know a matrix that is stored so."""
        if self.profile is None:
            return 0.0
        wanted = set(names)
        calls = [call for call in self.calls if wanted & set(call.parameters)]
        if any(call.kind != "lookup" for call in calls) and not knows(self.profile, self.backend, *choice):
            return None
        return sum(call_cost(self.profile, self.backend, call, *choice) for call in calls)

    def _constant_ram(self) -> float:
        if self.target.is_firmware:
            return float(self.firmware_ram)
        known = self.model_ram
        if known is not None:
            return known.constant
        others = 0.0 if self.shape is None else float(self.shape.other_bytes)
        return others + MIB * resident_facts(self.backend, self.target.cpu.arch, "int8").constant_mib


def join_overlapping(names: Sequence[str], groups: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Every name once, with all that a chain of groups joins it to; in the order of `names`."""
    group_of = {name: frozenset({name}) for name in names}
    for group in groups:
        joined = frozenset().union(*(group_of[name] for name in group if name in group_of))
        group_of |= dict.fromkeys(joined, joined)
    order = {name: place for place, name in enumerate(names)}
    return tuple(dict.fromkeys(tuple(sorted(group_of[name], key=lambda one: order[one])) for name in names))


def mark_slow(options: Sequence[Option], no_slower: float = NO_SLOWER["instructions"]) -> tuple[Option, ...]:
    """Each with `slow` as it is among these: it takes fewer bytes than another and more than `no_slower` times what
    that costs."""
    return tuple(_marked(one, options, no_slower) for one in options)


def _marked(one: Option, options: Sequence[Option], no_slower: float) -> Option:
    slow = any(other.size > one.size and no_slower * other.cost < one.cost for other in options)
    return Option(one.choice, one.size, one.ram, one.cost, one.loss, slow)
