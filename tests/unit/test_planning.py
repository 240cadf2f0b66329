"""The plan: bytes, memory fit, and refusing what does not fit."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.artifacts import Checkpoint, Parameter, QuantPlan
from edgeslm.cost.memory import MIB, memory_budget
from edgeslm.errors import ConfigError, DoesNotFitError, MissingToolError, UnsupportedError, UnsupportedSchemeError
from edgeslm.planning import decide, find_converter
from edgeslm.quantize.plan import choose_precisions, stored_bytes
from edgeslm.quantize.schemes import SCHEMES, find_scheme
from edgeslm.target import load_target

HERE: dict[str, str | None] = {"tflite": None, "openvino": None}


def checkpoint(scale: int = 1) -> Checkpoint:
    parameters = (
        Parameter("embeddings.word.weight", (30522 * scale, 384), "embedding"),
        Parameter("layer.0.query.weight", (384 * scale, 384), "linear"),
        Parameter("layer.0.query.bias", (384 * scale,), "other"),
        Parameter("norm.weight", (384,), "other"),
    )
    return Checkpoint("tiny", "tiny", "0" * 64, "embedding", "bert", parameters)


def test_integer_and_block_schemes_differ_by_role() -> None:
    choices = choose_precisions(checkpoint().parameters, SCHEMES["int4"])
    assert [c.precision for c in choices.values()] == ["int8", "int4", "fp32", "fp32"]
    assert choices["layer.0.query.weight"].group == 32
    assert {c.precision for c in choose_precisions(checkpoint().parameters, SCHEMES["fp16"]).values()} == {"fp16"}


@given(rows=st.integers(1, 300), columns=st.integers(1, 300))
def test_blocks_count_their_padding_and_scales(rows: int, columns: int) -> None:
    weight = Parameter("w", (rows, columns), "linear")
    choice = choose_precisions([weight], SCHEMES["int4"])["w"]
    blocks = -(-columns // 32)
    assert stored_bytes(weight, choice) == rows * blocks * (16 + 2)
    int8 = choose_precisions([weight], SCHEMES["int8"])["w"]
    assert stored_bytes(weight, int8) == rows * columns + 4 * rows


@pytest.mark.parametrize("notation", [s.notation for s in SCHEMES.values()])
def test_notations_are_names_too(notation: str) -> None:
    assert find_scheme(notation).notation == notation


def test_an_unknown_scheme_lists_the_known() -> None:
    with pytest.raises(UnsupportedSchemeError) as caught:
        find_scheme("int5")
    assert "int4" in (caught.value.hint or "")


def test_tflite_is_chosen_on_arm_and_openvino_on_x86_with_both_numbers() -> None:
    arm = decide(load_target("rpi4"), checkpoint(), (16,), HERE)
    assert (arm.backend, arm.scheme) == ("tflite", "int8")
    assert "openvino" in arm.reasons[1]
    assert decide(load_target("linux-x86_64"), checkpoint(), (16,), HERE).backend == "openvino"


def test_an_explicit_backend_is_obeyed_with_a_warning() -> None:
    plan = decide(load_target("rpi4"), checkpoint(), (16,), HERE, backend="openvino")
    assert plan.backend == "openvino"
    assert "tflite would be chosen" in plan.warnings[0]


def test_the_converter_is_the_tflite_backends_and_says_why() -> None:
    def decided(**asked: Any) -> QuantPlan:
        return decide(load_target("rpi4"), checkpoint(), (16,), HERE, **asked)

    ours, theirs = decided(), decided(converter=find_converter("onnx2tf"))
    assert (ours.converter, theirs.converter) == ("edgeslm", "onnx2tf")
    assert "converter onnx2tf: as asked" in theirs.reasons
    assert any(reason.startswith("converter edgeslm: ") and "measured" in reason for reason in ours.reasons)
    assert ours.digest != theirs.digest
    assert decided(backend="openvino").converter is None
    with pytest.raises(ConfigError, match="the tflite backend's"):
        decided(backend="openvino", converter="onnx2tf")
    with pytest.raises(UnsupportedError, match="no converter is named 'tf2onnx'"):
        find_converter("tf2onnx")


def test_without_tflite_openvino_is_taken_and_says_why() -> None:
    missing = {**HERE, "tflite": "ai_edge_litert needs a Python of at least 3.12"}
    plan = decide(load_target("rpi4"), checkpoint(), (16,), missing)
    assert plan.backend == "openvino"
    assert "3.12" in plan.reasons[1]
    with pytest.raises(MissingToolError, match=r"3\.12"):
        decide(load_target("rpi4"), checkpoint(), (16,), missing, backend="tflite")
    with pytest.raises(MissingToolError):
        decide(load_target("rpi4"), checkpoint(), (16,), {"tflite": "a", "openvino": "b"})
    with pytest.raises(UnsupportedError):
        decide(load_target("rpi4"), checkpoint(), (16,), HERE, backend="onnx")


def test_a_model_too_big_is_refused_with_the_budget_and_what_would_fit() -> None:
    with pytest.raises(DoesNotFitError) as caught:
        decide(load_target("rpi-zero2w"), checkpoint(scale=10), (16,), HERE, scheme="fp32")
    assert "does not fit rpi-zero2w" in caught.value.message
    assert "weights" in caught.value.message
    assert "--scheme" in (caught.value.hint or "")
    with pytest.raises(DoesNotFitError) as caught:
        decide(load_target("rpi-zero2w"), checkpoint(scale=200), (16,), HERE, scheme="int8")
    assert "rpi" in (caught.value.hint or "")


def test_openvino_on_arm_needs_the_floats_it_expands_to() -> None:
    target = load_target("rpi4")
    weights = 100 * MIB
    assert memory_budget(target, "openvino", "int8", weights).resident > 4 * weights
    assert memory_budget(target, "tflite", "int8", weights).resident < 4 * weights


def test_the_digest_follows_what_is_done_not_how_it_is_told() -> None:
    plan = decide(load_target("rpi4"), checkpoint(), (16,), HERE)
    assert plan.digest == decide(load_target("rpi4"), checkpoint(), (16,), HERE, scheme="w8a8").digest
    assert plan.digest != decide(load_target("rpi4"), checkpoint(), (16, 32), HERE).digest
    assert dataclasses.replace(plan, reasons=()).digest == plan.digest
