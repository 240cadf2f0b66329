"""OpenVINO's profile: its own performance counters, for which the model is compiled once more.

A counter holds the mean of all runs so far, in whole microseconds; what the profiled runs took is the difference of two
readings. A node that never takes a whole microsecond passes for one that does not run, as fused ones are.

Clock reads in one profiled run (2026.4.1): one as the request starts, then two for each node, right before and right
after it, and one at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import DeviceError
from ..files import Files
from ..openvino import compile_graph
from .profile import NoProfile, Operator

if TYPE_CHECKING:
    from numpy.typing import NDArray

WARM_UP = 2


def profile_openvino(
    model: Mapping[str, Any],
    files: Files,
    threads: int,
    inputs: Mapping[str, NDArray[Any]],
    runs: int,
    mark: Callable[[], object] | None,
) -> list[Operator]:
    """Nodes in the order they run, with one mean of all runs. Raises DeviceError where the model does not run."""
    mark = mark or (lambda: None)
    compiled, weights = compile_graph(model, files, threads, {"PERF_COUNT": True})
    request = compiled.create_infer_request()
    try:
        for _ in range(WARM_UP):
            _run(request, inputs)
        before = {node.node_name: _microseconds(node) for node in request.get_profiling_info()}
        for _ in range(runs):
            mark()
            _run(request, inputs)
            mark()
        nodes = request.get_profiling_info()
    except (RuntimeError, ValueError) as error:
        raise DeviceError(f"OpenVINO failed while it was profiled: {error}") from None
    operators = []
    for place, node in enumerate(nodes):
        if _microseconds(node) > 0:
            spent = _microseconds(node) * (WARM_UP + runs) - before.get(node.node_name, 0.0) * WARM_UP
            operators.append(
                Operator(node.node_type, node.node_name, "openvino", place, (max(0.0, round(spent / runs, 3)),))
            )
    del request, compiled, weights  # in this order
    if not operators:
        raise NoProfile("no profile: no operator takes OpenVINO a whole microsecond")
    return operators


def _run(request: Any, inputs: Mapping[str, NDArray[Any]]) -> None:
    request.start_async(dict(inputs), share_inputs=True)
    request.wait()


def _microseconds(node: Any) -> float:
    microseconds: float = node.real_time.total_seconds() * 1e6
    return round(microseconds)
