"""A model on its target as a problem: what each way to store a tensor adds, from the cost model and the sensitivity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgeslm.artifacts import Checkpoint, Parameter, TensorChoice
from edgeslm.cost.kernels import KernelCall
from edgeslm.cost.memory import MIB, resident_facts
from edgeslm.cost.predict import Prediction, Task, call_cost, knows, predict
from edgeslm.cost.profile import NO_SLOWER, TargetProfile
from edgeslm.cost.sizes import ModelShape, matrix_bytes
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
        return predict(self.profile, self.backend, self.calls, choices, self.task, self.outputs)

    def problem(self) -> Problem:
        parameters = {parameter.name: parameter for parameter in self.checkpoint.parameters}
        tensors = tuple(self._tensor([parameters[name] for name in names]) for names in self._together())
        floats = {name: TensorChoice("fp32", "") for name in parameters}
        whole = self.predict(floats)
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
        return Tensor(names, mark_slow(options))

    def _option(self, parameters: Sequence[Parameter], names: tuple[str, ...], choice: Choice) -> Option | None:
        losses = [0.0 if choice == FLOAT else self.losses.get(name, {}).get(choice) for name in names]
        cost = self._cost(names, choice)
        if cost is None or any(loss is None for loss in losses):
            return None
        size = self._size(parameters, choice)
        ram = 0.0
        if not self.target.is_firmware:
            ram = size * max(1.0, resident_facts(self.backend, self.target.cpu.arch, choice[0]).factor)
        return Option(choice, size, ram, cost, sum(loss or 0.0 for loss in losses))

    def _size(self, parameters: Sequence[Parameter], choice: Choice) -> float:
        """Bytes that are not among the shape's others."""
        names = {parameter.name for parameter in parameters}
        stored = TensorChoice(choice[0], "", choice[1])
        if self.shape is None:
            return float(sum(stored_bytes(parameter, stored) for parameter in parameters))
        matrices = [matrix for matrix in self.shape.matrices if names & set(matrix.parameters)]
        size = sum(matrix_bytes(matrix, *choice, self.shape.block_bytes) for matrix in matrices)
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


def mark_slow(options: Sequence[Option]) -> tuple[Option, ...]:
    """Each with `slow` as it is among these: it takes fewer bytes than another and more time, beyond a measurement's
    noise."""
    return tuple(_marked(one, options) for one in options)


def _marked(one: Option, options: Sequence[Option]) -> Option:
    slow = any(other.size > one.size and NO_SLOWER * other.cost < one.cost for other in options)
    return Option(one.choice, one.size, one.ram, one.cost, one.loss, slow)
