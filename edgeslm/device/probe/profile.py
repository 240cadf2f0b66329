"""Which operator takes how long, as far as the runtime tells.

The model is opened once more, as profiling slows it down. LiteRT's profile comes through native interfaces that a wrong
guess about them could crash, so a probe asks for it last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..files import Files

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Operator:
    """One operator of the runtime, which may be several of the graph's, or a part of one.

    `source` says who runs it, and with that what `index` counts: "tflite" (one of the interpreter's own, by its place
    in the graph), "xnnpack" (its place among what XNNPACK made of a part of the graph), "openvino" (its place).
    """

    kind: str  # the runtime's word
    name: str | None
    source: str
    index: int
    microseconds: tuple[float, ...]  # of each run


@dataclass(frozen=True)
class Profile:
    """Operators in the order they run; without any, `why_not` says why."""

    operators: tuple[Operator, ...] = ()
    why_not: str | None = None

    def event(self) -> dict[str, Any]:
        """For JSON."""
        return {"operators": [asdict(operator) for operator in self.operators], "why_not": self.why_not}


class NoProfile(Exception):  # noqa: N818  # no error: a probe goes on without
    """The runtime gives none; the message says why."""


def profile_operators(
    model: Mapping[str, Any],
    files: Files,
    threads: int,
    inputs: Mapping[str, NDArray[Any]],
    signature: str | None,
    runs: int,
    mark: Callable[[], object] | None = None,
) -> Profile:
    """Run `signature` (None: the only one) on `inputs`, which have its shapes, `runs` times and profile each run.

    `mark` is called right before and right after each of them, for an emulator that counts instructions in between;
    the model then runs in one thread. Raises DeviceError where the model cannot be run.
    """
    threads = 1 if mark else threads
    try:
        if model["runtime"] == "openvino":
            from .profile_openvino import profile_openvino

            operators = profile_openvino(model, files, threads, inputs, runs, mark)
        else:
            from .profile_litert import profile_litert

            operators = profile_litert(model, files, threads, inputs, signature, runs, mark)
    except NoProfile as reason:
        return Profile(why_not=str(reason))
    return Profile(tuple(operators))
