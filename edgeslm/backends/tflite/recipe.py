"""Treatments as an ai-edge-quantizer recipe, and running it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgeslm.backends.tflite.treatment import Treatment
from edgeslm.errors import InternalError
from edgeslm.quantize.schemes import Activations

Ranges = Mapping[str, Mapping[str, Any]]
"""Tensor -> {"min", "max"}: what calibration found."""


def run_recipe(
    packed: bytearray,
    treatments: Sequence[Treatment],
    ranges: Ranges | None = None,
) -> bytes:
    """The quantized file's bytes; operators without a treatment stay as they are.

    Raises InternalError where the quantizer does not take the model.
    """
    from ai_edge_quantizer import qtyping, quantizer  # type: ignore[import-untyped]  # the package has no types

    worker = quantizer.Quantizer(packed)
    for (kind, precision, group, activations), operators in _grouped(treatments).items():
        config = _config(qtyping, kind, precision, group, activations)
        # The quantizer names an operator by its results, each followed by a semicolon.
        names = "|".join(re.escape(name) for name in operators)
        worker.update_quantization_recipe(f"^({names});$", qtyping.TFLOperationName[kind], config)
    if not worker.get_quantization_recipe():
        return bytes(packed)
    try:
        return bytes(worker.quantize(ranges).quantized_model)
    except (ValueError, RuntimeError, KeyError) as error:
        raise InternalError(f"ai-edge-quantizer refuses the model: {error}") from error


def _grouped(treatments: Sequence[Treatment]) -> dict[tuple[str, str, int | None, Activations], list[str]]:
    groups: dict[tuple[str, str, int | None, Activations], list[str]] = {}
    for treatment in treatments:
        if treatment.precision in ("int8", "int4"):
            key = (treatment.kind, treatment.precision, treatment.group, treatment.activations)
            groups.setdefault(key, []).append(treatment.operator)
    return groups


def _config(qtyping: Any, kind: str, precision: str, group: int | None, activations: Activations) -> Any:
    """Tables are read row by row, so their activations are never quantized and nothing is dequantized ahead."""
    granularity = qtyping.QuantGranularity[f"BLOCKWISE_{group}" if group else "CHANNELWISE"]
    weight = qtyping.TensorQuantizationConfig(
        num_bits={"int8": 8, "int4": 4}[precision], symmetric=True, granularity=granularity
    )
    if kind == "EMBEDDING_LOOKUP" or activations == "dynamic":
        return qtyping.OpQuantizationConfig(
            weight_tensor_config=weight,
            compute_precision=qtyping.ComputePrecision.INTEGER,
            explicit_dequantize=False,
        )
    if activations == "float":
        return qtyping.OpQuantizationConfig(
            weight_tensor_config=weight, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
        )
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8, symmetric=False),
        weight_tensor_config=weight,
        compute_precision=qtyping.ComputePrecision.INTEGER,
        explicit_dequantize=False,
    )
