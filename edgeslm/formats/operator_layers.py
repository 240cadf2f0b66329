"""layers.json: a compiled model's operators in execution order, each with the checkpoint's layer that it computes.

    {"schema_version": 1, "signatures": {"tokens_16": 0, …}, "graphs": [[{"operator", "name", "layer", "reads"}, …], …]}

Signatures whose lists are equal share one. A model of one graph has the signature "".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeslm.errors import BundleError

SCHEMA_VERSION: Final = 1
MAX_BYTES = 16 << 20
"""Of layers.json; MiniLM's has 40 kB."""


@dataclass(frozen=True)
class GraphOperator:
    """One operator of a compiled graph; `reads` are the operators whose results it takes, by their place."""

    kind: str
    name: str
    layer: str | None
    reads: tuple[int, ...] = ()


@dataclass(frozen=True)
class OperatorLayers:
    """Signature -> its operators in execution order."""

    graphs: dict[str, tuple[GraphOperator, ...]]

    @property
    def content(self) -> bytes:
        """layers.json."""
        lists = list(dict.fromkeys(self.graphs.values()))
        document = {
            "schema_version": SCHEMA_VERSION,
            "signatures": {name: lists.index(operators) for name, operators in self.graphs.items()},
            "graphs": [
                [
                    {"operator": one.kind, "name": one.name, "layer": one.layer, "reads": list(one.reads)}
                    for one in operators
                ]
                for operators in lists
            ],
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class _Operator(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    operator: str
    name: str
    layer: str | None
    reads: tuple[int, ...]


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: int = Field(ge=1, le=SCHEMA_VERSION)
    signatures: dict[str, int]
    graphs: tuple[tuple[_Operator, ...], ...]


def parse_layers(content: bytes, where: str) -> OperatorLayers:
    """Check and read layers.json. Raises BundleError."""
    hint = "it is damaged, or of a newer edgeslm"
    if len(content) > MAX_BYTES:
        raise BundleError(f"{where} has {len(content):,} bytes", hint)
    try:
        document = _Document.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise BundleError(f"{where}: {'.'.join(map(str, first['loc'])) or 'document'}: {first['msg']}", hint) from None
    lists = [
        tuple(GraphOperator(one.operator, one.name, one.layer, one.reads) for one in operators)
        for operators in document.graphs
    ]
    if any(not 0 <= number < len(lists) for number in document.signatures.values()):
        raise BundleError(f"{where}: a signature without a graph", hint)
    if any(not 0 <= read < place for one in lists for place, each in enumerate(one) for read in each.reads):
        raise BundleError(f"{where}: an operator that reads a later one", hint)
    return OperatorLayers({name: lists[number] for name, number in document.signatures.items()})


def common_layer(layers: Iterable[str | None]) -> str | None:
    """The innermost module that all of these lie in; None where that is the whole model, or one is not known."""
    paths = [layer.split(".") if layer else [] for layer in layers]
    if not paths:
        return None
    shared = 0
    while all(len(path) > shared and path[shared] == paths[0][shared] for path in paths):
        shared += 1
    return ".".join(paths[0][:shared]) or None
