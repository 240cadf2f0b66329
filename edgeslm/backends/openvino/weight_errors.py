"""What rounding did to each weight, measured on the weights as the runtime itself expands them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import CompiledModel, OnnxModel
from edgeslm.backends.openvino.ir import evaluate, read_ir
from edgeslm.formats.weight_index import WeightIndex
from edgeslm.quantize.schemes import MIXED, find_scheme

Floats = NDArray[np.float32]


def weight_errors(compiled: CompiledModel, model: OnnxModel) -> list[tuple[str, float]]:
    """(checkpoint parameter, relative L2 error of its stored values), the worst first."""
    index = WeightIndex.of(model)
    graph = read_ir(compiled.root)
    by_name = {operation.get_friendly_name(): operation for operation in graph.get_ordered_ops()}
    rounded = [tensor for tensor in compiled.stored if tensor.precision != "fp32"]
    smoothed = compiled.scheme != MIXED and find_scheme(compiled.scheme).activations == "static"
    errors = [
        (tensor.parameter, round(_relative_error(index.values(tensor.parameter), values, smoothed), 6))
        for tensor, values in zip(rounded, evaluate(by_name[tensor.tensor] for tensor in rounded), strict=True)
    ]
    return sorted(errors, key=lambda item: (-item[1], item[0]))


def _relative_error(wanted: Floats, got: Floats, smoothed: bool) -> float:
    """`got` may be transposed, or have columns of zeros at the end."""
    got = np.squeeze(got)
    wanted = np.squeeze(wanted)
    if wanted.ndim != 2 or got.ndim != 2:
        return _error(wanted.ravel(), got.ravel()[: wanted.size])
    candidates = [one for one in (wanted, wanted.T) if one.shape[0] == got.shape[0] and one.shape[1] <= got.shape[1]]
    return min(
        _error(one, _unsmoothed(one, got[:, : one.shape[1]]) if smoothed else got[:, : one.shape[1]])
        for one in candidates
    )


def _unsmoothed(wanted: Floats, got: Floats) -> Floats:
    """Without the factors to each input column that nncf moves from the activations into the weights."""
    weight = np.sum(wanted * wanted, axis=0)
    factors = np.sum(wanted * got, axis=0) / np.where(weight > 0, weight, np.float32(1))
    return (got / np.where(factors > 0, factors, 1)).astype(np.float32)


def _error(wanted: Floats, got: Floats) -> float:
    size = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(wanted - got)) / size if size else 0.0
