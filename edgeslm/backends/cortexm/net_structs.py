"""Structs of constants, and as C: what a kernel is told beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping

from edgeslm.backends.cortexm.net_program import Object
from edgeslm.ir.fixed_point import Multiplier
from edgeslm.ir.graph import Node
from edgeslm.ir.integer_passes.limits import without_limits
from edgeslm.ir.requantize import zero_of


def struct(type_: str, fields: Mapping[str, object]) -> Object:
    return Object(type_, tuple(fields.items()))


def integers(node: Node) -> Object:
    """Of the node's result."""
    _, low, high = without_limits(node.kind)
    fields = {"zero_point": zero_of(node.output), "low": low, "high": high}
    return struct("edgeslm_integers", fields)


def whole(number: int) -> str:
    """An unsigned constant."""
    return f"{number}u"


def initializer(value: object) -> str:
    """In C."""
    if isinstance(value, Multiplier):
        return f"{{{value.mantissa}, {value.shift}}}"
    if isinstance(value, Object):
        return "{" + ", ".join(f".{name} = {initializer(one)}" for name, one in value.fields) + "}"
    if isinstance(value, tuple):
        return "{" + ", ".join(map(initializer, value)) + "}"
    return str(value)
