"""ONNX -> ONNX. Each pass keeps the meaning of the graph; the order they run in is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir


def prepare(model: onnx_ir.Model) -> onnx_ir.Model:
    """Everything that holds for every backend and length."""
    from onnx_ir import passes
    from onnx_ir.passes import common

    from edgeslm.passes.clamp_masks import ClampMasks
    from edgeslm.passes.name_length import NameLength
    from edgeslm.passes.strip_metadata import StripMetadata

    sequence = passes.Sequential(
        ClampMasks(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        NameLength(),
        StripMetadata(),
    )
    return sequence(model).model


def specialize(model: onnx_ir.Model, length: int) -> onnx_ir.Model:
    """The graph for texts of exactly `length` tokens, with everything folded that follows from it."""
    from onnx_ir import passes
    from onnx_ir.passes import common

    from edgeslm.passes.fold_constants import FoldConstants
    from edgeslm.passes.specialize_length import SpecializeLength

    sequence = passes.Sequential(
        SpecializeLength(length),
        FoldConstants(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
    )
    return sequence(model).model
