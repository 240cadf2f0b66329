"""Small .tflite models by hand, and running them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.tflite.graph import Graph
from edgeslm.formats.tflite import pack_tflite, schema


def a_model() -> Any:
    """One empty subgraph."""
    fbs = schema()
    model = fbs.ModelT()
    model.version = 3
    model.operatorCodes, model.signatureDefs = [], []
    model.buffers = [fbs.BufferT()]
    subgraph = fbs.SubGraphT()
    subgraph.tensors, subgraph.operators, subgraph.name = [], [], b"main"
    subgraph.inputs = subgraph.outputs = np.zeros(0, np.int32)
    model.subgraphs = [subgraph]
    return model


def add_constant(model: Any, name: str, values: NDArray[Any]) -> int:
    return Graph(model).add_constant(name, values)


def add_tensor(model: Any, name: str, shape: list[int], dtype: Any = np.float32) -> int:
    return Graph(model).add_tensor(name, shape, dtype)


def finish(model: Any, operators: list[Any], inputs: list[int], outputs: list[int]) -> Graph:
    """The model with these operators, and a signature "run" that names inputs and outputs like their tensors."""
    fbs = schema()
    graph = Graph(model)
    graph.subgraph.operators = operators
    graph.subgraph.inputs = np.array(inputs, np.int32)
    graph.subgraph.outputs = np.array(outputs, np.int32)
    signature = fbs.SignatureDefT()
    signature.signatureKey = b"run"
    signature.inputs, signature.outputs = [], []
    for tensors, entries in ((inputs, signature.inputs), (outputs, signature.outputs)):
        for tensor in tensors:
            entry = fbs.TensorMapT()
            entry.name, entry.tensorIndex = graph.name(tensor).encode(), tensor
            entries.append(entry)
    model.signatureDefs = [signature]
    return graph


def run(model: Any, inputs: Mapping[str, NDArray[Any]], signature: str = "run") -> dict[str, NDArray[Any]]:
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # the package has no types

    interpreter = Interpreter(model_content=bytes(pack_tflite(model)), num_threads=1)
    results: dict[str, NDArray[Any]] = interpreter.get_signature_runner(signature)(**inputs)
    return results


def kinds(graph: Graph) -> list[str]:
    return [graph.kind(operator) for operator in graph.operators]
