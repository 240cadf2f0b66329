"""Which layer an operator computes, and the file that says so."""

from __future__ import annotations

import json

import pytest

from edgeslm.backends.operator_layers import ConvertedOperator, ExportedLayers, is_matrix, name_layers
from edgeslm.errors import BundleError
from edgeslm.formats.operator_layers import GraphOperator, OperatorLayers, common_layer, parse_layers

ATTENTION = "encoder.layer.0.attention"
EXPORTED = ExportedLayers(
    of_name={
        "linear": f"{ATTENTION}.self.query",
        "softmax": f"{ATTENTION}.self",
        "norm": f"{ATTENTION}.output.LayerNorm",
        "relu": "encoder.layer.0.intermediate.act",
        "logits": "cls.decoder",
        "mean": "",
    },
    of_parameter={
        "encoder.layer.0.attention.self.query.weight": (f"{ATTENTION}.self.query",),
        "encoder.layer.0.intermediate.dense.weight": ("encoder.layer.0.intermediate.dense",),
        "embeddings.word.weight": ("embeddings.word", "cls.decoder"),
        "block.inner.weight": ("block",),
        "table": ("",),
    },
)


def layers_of(*operators: tuple[str, tuple[str, ...], tuple[int, ...]]) -> list[str | None]:
    """Layers of operators given as (name, weights, reads)."""
    converted = [ConvertedOperator("KIND", name, (name,), weights, reads) for name, weights, reads in operators]
    return [operator.layer for operator in name_layers(converted, EXPORTED)]


def test_a_name_of_the_exported_graph_tells_the_module() -> None:
    assert layers_of(("softmax", (), ()), ("mean", (), (0,))) == [f"{ATTENTION}.self", None]


def test_a_weight_tells_it_where_the_name_is_lost() -> None:
    assert layers_of(("MatMul.7", ("encoder.layer.0.attention.self.query.weight",), ())) == [f"{ATTENTION}.self.query"]


def test_a_layer_named_after_the_activation_fused_into_it_is_still_the_layer() -> None:
    assert layers_of(("relu", ("encoder.layer.0.intermediate.dense.weight",), ())) == [
        "encoder.layer.0.intermediate.dense"
    ]


def test_of_the_modules_that_share_a_weight_the_name_tells_which() -> None:
    tied = ("embeddings.word.weight",)
    assert layers_of(("logits", tied, ()), ("lost", tied, ())) == ["cls.decoder", "embeddings.word"]


def test_a_module_that_uses_a_weight_of_one_inside_of_it() -> None:
    assert layers_of(("x", ("block.inner.weight",), ()), ("y", ("table",), ())) == ["block.inner", None]


def test_what_was_added_belongs_to_what_reads_it() -> None:
    found = layers_of(
        ("mean", (), ()),
        ("norm/variance", (), (0,)),
        ("norm/scaled", (), (1,)),
        ("norm", (), (2,)),
        ("norm/smoothed", (), (3,)),
        ("linear", (), (4,)),
        ("softmax", (), (4,)),
        ("left over", (), (6,)),
    )
    norm = f"{ATTENTION}.output.LayerNorm"
    assert found == [None, norm, norm, norm, f"{ATTENTION}.self", f"{ATTENTION}.self.query", f"{ATTENTION}.self", None]


def test_matrices_have_two_extents() -> None:
    assert [is_matrix(shape) for shape in ((3, 4), (1, 3, 4), (5,), (1, 5), ())] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("layers", "common"),
    [
        (["a.b", "a.b"], "a.b"),
        (["a.b", "a.c"], "a"),
        (["a.b", "a.bc"], "a"),
        (["a", "a.b"], "a"),
        (["a", "b"], None),
        (["a", None], None),
        ([], None),
    ],
)
def test_the_common_layer_is_the_innermost(layers: list[str | None], common: str | None) -> None:
    assert common_layer(layers) == common


def test_equal_lists_are_stored_once_and_come_back() -> None:
    operators = (GraphOperator("CAST", "mask", None), GraphOperator("FULLY_CONNECTED", "linear", "a.b", (0,)))
    layers = OperatorLayers({"tokens_16": operators, "tokens_32": tuple(operators), "other": operators[:1]})
    document = json.loads(layers.content)
    assert document["signatures"] == {"tokens_16": 0, "tokens_32": 0, "other": 1}
    assert len(document["graphs"]) == 2
    assert parse_layers(layers.content, "here") == layers
    assert (
        OperatorLayers({"tokens_16": operators, "tokens_32": operators, "other": operators[:1]}).content
        == layers.content
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"schema_version":2,"signatures":{},"graphs":[]}',
        b'{"schema_version":1,"signatures":{"a":1},"graphs":[[]]}',
        b'{"schema_version":1,"signatures":{},"graphs":[[{"operator":"A","name":"a","layer":null,"reads":[0]}]]}',
        b'{"schema_version":1,"signatures":{},"graphs":[[{"operator":"A"}]]}',
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="here"):
        parse_layers(content, "here")
