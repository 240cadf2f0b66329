"""Which precision each checkpoint parameter gets under a scheme, and the bytes that makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgeslm.artifacts import Parameter, Precision, TensorChoice
from edgeslm.quantize.schemes import MIXED, Scheme, find_scheme, mixed_scheme

BITS: dict[Precision, int] = {"fp32": 32, "fp16": 16, "int8": 8, "int4": 4}


@dataclass(frozen=True)
class TensorPlan:
    """What each tensor is to be stored as, decided beforehand: by a plan file or by a search. `scheme` is "mixed", or
    a scheme whose own choices these are; `origin` says in a plan's reasons where they are from."""

    scheme: str
    backend: str
    choices: Mapping[str, TensorChoice]
    origin: str
    min_fidelity: float | None = None

    @property
    def found_scheme(self) -> Scheme:
        return mixed_scheme(self.choices) if self.scheme == MIXED else find_scheme(self.scheme)


def choose_precisions(parameters: Iterable[Parameter], scheme: Scheme) -> dict[str, TensorChoice]:
    """A choice for every parameter, keyed by its checkpoint name, in the checkpoint's order."""
    return {parameter.name: _choose(parameter, scheme) for parameter in parameters}


def bytes_by_scheme(parameters: Iterable[Parameter], choices: Mapping[str, TensorChoice]) -> dict[str, int]:
    """Bytes as stored, by the scheme that stores weights so: how much of a mixed plan takes memory as that one does."""
    found: dict[str, int] = {}
    for parameter in parameters:
        choice = choices[parameter.name]
        found[choice.precision] = found.get(choice.precision, 0) + stored_bytes(parameter, choice)
    return found


def _choose(parameter: Parameter, scheme: Scheme) -> TensorChoice:
    if parameter.role == "linear":
        return TensorChoice(scheme.linear, f"weight of a matrix product: {scheme.notation}", scheme.group)
    if parameter.role == "embedding":
        return TensorChoice(scheme.embedding, f"looked-up table: a row is read, {scheme.embedding} a row")
    if scheme.name == "fp16":
        return TensorChoice("fp16", "half-precision weights throughout")
    return TensorChoice("fp32", "norm, bias or small tensor: nothing to gain, accuracy to lose")


def stored_bytes(parameter: Parameter, choice: TensorChoice) -> int:
    """Bytes of one parameter as stored: padding of K to the group and scales included.

    Integer rows carry a float32 scale each; blocks carry a float16 scale each.
    """
    bits = BITS[choice.precision]
    if bits >= 16 or len(parameter.shape) < 2:
        return parameter.elements * bits // 8
    rows, columns = parameter.shape[0], parameter.elements // parameter.shape[0]
    if choice.group is None:
        return rows * (-(-columns * bits // 8) + 4)
    groups = -(-columns // choice.group)
    return rows * groups * (choice.group * bits // 8 + 2)
