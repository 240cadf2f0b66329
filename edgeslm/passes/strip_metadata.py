"""Source paths and stack traces that the exporter leaves in a graph: no backend wants them, and they name folders."""

from __future__ import annotations

import onnx_ir
from onnx_ir.passes import InPlacePass, PassResult

LAYER = "edgeslm.layer"
"""Metadata key of a node: the checkpoint's module it comes from, for errors and profiles."""
SCOPES = "pkg.torch.onnx.name_scopes"


class StripMetadata(InPlacePass):
    """Keep one fact of each node's metadata, the layer, and none of the graph's and values'."""

    def call(self, model: onnx_ir.Model) -> PassResult:
        model.metadata_props.clear()
        model.graph.metadata_props.clear()
        model.graph.doc_string = None
        for node in model.graph.all_nodes():
            layer = _layer(node.metadata_props.get(SCOPES, ""))
            node.doc_string = None
            node.metadata_props.clear()
            if layer:
                node.metadata_props[LAYER] = layer
            for value in node.outputs:
                value.metadata_props.clear()
        for value in (*model.graph.inputs, *model.graph.initializers.values()):
            value.metadata_props.clear()
        return PassResult(model, modified=True)


def _layer(scopes: str) -> str:
    """The innermost module of "['', 'model', 'model.encoder', 'model.encoder.layer.0', 'linear_3']"."""
    names = [name.strip(" '\"") for name in scopes.strip("[]").split(",")]
    modules = [name for name in names[:-1] if name and not name.startswith("_empty_nn_module_stack")]
    return modules[-1].removeprefix("model.") if modules else ""
