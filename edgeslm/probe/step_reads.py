"""How many bytes one step of a language model reads: counted in its graph, not measured.

Weights are all constants of the graph of one token, each once, with their scales. Of a table that is only looked up in
(embeddings, rotary angles) a step reads one row; a table that is also multiplied with (tied embeddings) counts whole.
Of the cache it reads the rows that its signature has, which may be more than are in use.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeslm.bundle.manifest import LanguagePart, Manifest, ModelPart
from edgeslm.errors import EdgeslmError
from edgeslm.formats.archive import open_archive
from edgeslm.formats.tflite import parse_tflite, schema

MAX_MODEL = 1 << 31
CACHE_BYTES = {"float32": (4, 0), "int8": (1, 4)}
"""Of a number in the cache, and of the scale that a row of a head has."""
LOOKUPS = ("EMBEDDING_LOOKUP", "GATHER")
UNPACKING = frozenset({"Convert", "Subtract", "Multiply", "Reshape", "Transpose", "Unsqueeze", "Squeeze"})
"""OpenVINO's operations between a stored weight and the one that uses it."""


@dataclass(frozen=True)
class StepReads:
    """`weight_bytes` is None where the model's file could not be read here; `why_not` says why."""

    weight_bytes: int | None
    row_bytes: int
    language: LanguagePart
    why_not: str | None = None

    def rows(self, depth: int) -> int:
        """Rows of the cache that the step reads which is at position `depth` - 1."""
        rows = self.language.segments
        sizes = [sum(rows[: one.segments]) for one in self.language.signatures if one.tokens == 1]
        return min((size for size in sizes if size >= depth - 1), default=depth - 1)

    def at(self, depth: int) -> int | None:
        return None if self.weight_bytes is None else self.weight_bytes + self.rows(depth) * self.row_bytes


def step_reads(bundle: Path, manifest: Manifest) -> StepReads | None:
    """What a step of this bundle's model reads; None where it is no language model, or firmware."""
    language = manifest.model.language
    if language is None or manifest.firmware is not None:
        return None
    each, scale = CACHE_BYTES[language.kv_cache]
    row_bytes = 2 * language.layers * language.kv_heads * (language.head_dim * each + scale)
    try:
        return StepReads(_weights(bundle, manifest.model, language), row_bytes, language)
    except (EdgeslmError, ImportError, ElementTree.ParseError, LookupError, ValueError, TypeError) as error:
        return StepReads(None, row_bytes, language, f"{type(error).__name__}: {error}")


def _weights(bundle: Path, model: ModelPart, language: LanguagePart) -> int:
    with open_archive(bundle) as archive:
        content = archive.read(model.files[0], MAX_MODEL)
    if model.runtime == "openvino":
        return openvino_weights(content)
    step = next(one.name for one in language.signatures if one.tokens == 1)
    return tflite_weights(content, step)


def tflite_weights(content: bytes, signature: str) -> int:
    """Bytes of the constants that one run of `signature` reads."""
    model = parse_tflite(content, "the model")
    names = {number: name for name, number in vars(schema().BuiltinOperator).items() if isinstance(number, int)}
    index = {one.signatureKey.decode(): one.subgraphIndex for one in model.signatureDefs}[signature]
    graph = model.subgraphs[index]
    whole: dict[int, int] = {}  # buffer -> bytes
    looked_up: dict[int, int] = {}
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        is_lookup = names[max(code.builtinCode, code.deprecatedBuiltinCode)] in LOOKUPS
        for tensor in (graph.tensors[place] for place in operator.inputs if place >= 0):
            size = _size(model, tensor.buffer)
            if size and is_lookup and len(tensor.shape) > 1:
                looked_up[tensor.buffer] = size // max(1, int(tensor.shape[0]))
            elif size:
                whole[tensor.buffer] = size + _scales(model, graph, tensor)
    return sum(whole.values()) + sum(size for buffer, size in looked_up.items() if buffer not in whole)


def _size(model: Any, buffer: int) -> int:
    data = model.buffers[buffer].data
    return 0 if data is None else len(data)


def _scales(model: Any, graph: Any, tensor: Any) -> int:
    """Bytes of a tensor's scales: in the file's table, or blockwise ones in a tensor of their own."""
    quantization = tensor.quantization
    if quantization is None:
        return 0
    blockwise = getattr(quantization.details, "scales", None)
    if isinstance(blockwise, int):
        return _size(model, graph.tensors[blockwise].buffer)
    return 4 * len(quantization.scale) if quantization.scale is not None else 0


def openvino_weights(content: bytes) -> int:
    """Bytes of the constants in an IR's XML that one run reads."""
    root = ElementTree.fromstring(content)
    layers = {layer.get("id"): layer for layer in root.iterfind("layers/layer")}
    users: dict[str | None, list[str | None]] = {}
    for edge in root.iterfind("edges/edge"):
        users.setdefault(edge.get("from-layer"), []).append(edge.get("to-layer"))

    def used_by(number: str | None) -> Iterator[str]:
        for user in users.get(number, ()):
            kind = layers[user].get("type", "")
            if kind in UNPACKING:
                yield from used_by(user)
            else:
                yield kind

    total = 0
    for number, layer in layers.items():
        described = layer.find("data")
        if layer.get("type") != "Const" or described is None:
            continue
        size, shape = int(described.get("size", 0)), described.get("shape", "")
        rows = int(shape.split(",")[0]) if "," in shape else 1
        total += size // max(1, rows) if set(used_by(number)) == {"Gather"} else size
    return total
