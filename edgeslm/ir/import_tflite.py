""".tflite -> Graph: static int8, whoever made it. Nothing is fused here, and weights stay where the file has them."""

from __future__ import annotations

from edgeslm.formats.tflite_file import TfliteFile
from edgeslm.ir.graph import Graph, reject_broken
from edgeslm.ir.rewrite import drop_unread
from edgeslm.ir.tflite_operators import OPERATORS, add_operator
from edgeslm.ir.tflite_reader import TfliteReader


def import_tflite(file: TfliteFile, backend: str) -> Graph:
    """The graph in plain kinds, its tensors with their scales.

    Raises UnsupportedOpError for an operator, or a form of it, that has no kind, and where it computes in anything else
    than int8: with its index, its tensors and how to make such a file, in the name of `backend`. Raises CheckpointError
    where an operator's options are damaged.
    """
    reader = TfliteReader(file, backend)
    if not file.operators or not file.outputs:
        reader.refuse(None, "it has no operators, or no outputs")
    for operator in file.operators:
        if operator.kind not in OPERATORS:
            add_operator(reader, operator)  # which refuses it, before anything else is said of the file
    for operator in file.operators:
        add_operator(reader, operator)
    inputs = tuple(reader.tensor(None, index) for index in file.inputs)
    outputs = tuple(reader.value(None, index) for index in file.outputs)
    graph = Graph(file.name, inputs, (), tuple(reader.constants.values()), tuple(reader.nodes), outputs)
    reject_broken(graph)
    return drop_unread(graph)
