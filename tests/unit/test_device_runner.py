"""What the runner does around a runtime: buckets, padding, cutting, and refusing what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeslm.device.errors import BundleError, UsageError
from edgeslm.device.runner import Runner, open_runner, rounded

PAD_ID = 7


class Echo:
    """An engine that remembers what it was given and answers with the ids, and their sum."""

    name = "echo"

    def __init__(self) -> None:
        self.signature: str | None = "none yet"
        self.inputs: dict[str, NDArray[Any]] = {}

    def run(self, signature: str | None, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.signature, self.inputs = signature, dict(inputs)
        ids = inputs["input_ids"].astype(np.float32)
        return {"tokens": ids[:, :, None] * [1.0, 2.0], "text": ids.sum(axis=1, keepdims=True)}

    def close(self) -> None:
        pass


def text_model(lengths: list[int], signatures: bool = True) -> dict[str, Any]:
    return {
        "runtime": "echo",
        "pad_id": PAD_ID,
        "lengths": lengths,
        "signatures": {str(length): f"tokens_{length}" for length in lengths} if signatures else {},
        "inputs": [{"name": name, "dtype": "int32", "shape": [1, -1]} for name in ("input_ids", "attention_mask")],
        "outputs": [
            {"name": "tokens", "dtype": "float32", "shape": [1, -1, 2]},
            {"name": "text", "dtype": "float32", "shape": [1, 1]},
        ],
    }


def text(length: int) -> dict[str, NDArray[Any]]:
    return {"input_ids": np.arange(1, length + 1)[None], "attention_mask": np.ones((1, length), np.int64)}


@given(lengths=st.sets(st.integers(1, 64), min_size=1), data=st.data())
def test_a_text_runs_in_the_smallest_bucket_that_holds_it(lengths: set[int], data: st.DataObject) -> None:
    engine = Echo()
    runner = Runner(text_model(data.draw(st.permutations(sorted(lengths)))), engine)
    length = data.draw(st.integers(1, max(lengths)))
    outputs = runner.run(text(length))
    bucket = min(each for each in lengths if each >= length)
    assert engine.signature == f"tokens_{bucket}"
    ids, mask = engine.inputs["input_ids"], engine.inputs["attention_mask"]
    assert ids.shape == mask.shape == (1, bucket)
    assert ids.dtype == mask.dtype == np.int32
    assert ids.tolist() == [[*range(1, length + 1), *[PAD_ID] * (bucket - length)]]
    assert mask.tolist() == [[1] * length + [0] * (bucket - length)]
    assert outputs["tokens"].shape == (1, length, 2)
    assert outputs["text"].shape == (1, 1)


@given(length=st.integers(1, 250))
def test_a_graph_for_every_length_meets_few_of_them(length: int) -> None:
    """And pays at most an eighth for padding, or three tokens."""
    engine = Echo()
    outputs = Runner(text_model([16, 250], signatures=False), engine).run(text(length))
    assert engine.signature is None
    assert length <= engine.inputs["input_ids"].shape[1] <= min(250, max(length + 3, length * 9 // 8))
    assert engine.inputs["attention_mask"].sum() == length
    assert outputs["tokens"].shape == (1, length, 2)


def test_the_lengths_a_graph_meets_are_few() -> None:
    assert len({rounded(length) for length in range(1, 513)}) <= 48


def test_every_bucket_needs_a_signature() -> None:
    model = text_model([4, 8])
    del model["signatures"]["8"]
    with pytest.raises(BundleError, match="no signature for the length 8"):
        Runner(model, Echo())


@pytest.mark.parametrize("signatures", [True, False])
def test_a_text_too_long_is_refused_not_cut(signatures: bool) -> None:
    with pytest.raises(UsageError, match="9 tokens; this model takes up to 8"):
        Runner(text_model([4, 8], signatures), Echo()).run(text(9))


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, "given nothing"),
        ({"input_ids": np.ones((1, 3), np.int32)}, "given input_ids"),
        ({**text(3), "more": np.ones((1, 3))}, "more"),
        ({**text(3), "attention_mask": np.ones((1, 2), np.int32)}, "differ in length: 2, 3"),
        ({**text(3), "input_ids": np.ones((1, 3))}, "must be int32, not float64"),
        ({**text(3), "input_ids": np.ones((2, 3), np.int32)}, r"shape \(1, tokens\), not \(2, 3\)"),
        ({**text(3), "input_ids": np.ones(3, np.int32)}, r"shape \(1, tokens\), not \(3,\)"),
        (text(0), "no tokens"),
    ],
)
def test_inputs_that_do_not_fit_are_named(inputs: dict[str, NDArray[Any]], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Runner(text_model([4, 8]), Echo()).run(inputs)


def test_a_plain_module_has_fixed_shapes_and_one_signature() -> None:
    engine = Echo()
    model = text_model([])
    model["signatures"] = {}
    model["inputs"] = [{"name": "input_ids", "dtype": "float32", "shape": [1, 3]}]
    runner = Runner(model, engine)
    runner.run({"input_ids": np.ones((1, 3))})
    assert engine.signature is None
    assert engine.inputs["input_ids"].dtype == np.float32
    with pytest.raises(UsageError, match=r"\(1, 3\), not \(1, 4\)"):
        runner.run({"input_ids": np.ones((1, 4))})


def test_an_output_that_is_not_there_is_a_broken_bundle() -> None:
    model = text_model([4])
    model["outputs"].append({"name": "logits", "dtype": "float32", "shape": [1, 2]})
    with pytest.raises(BundleError, match="no output logits"):
        Runner(model, Echo()).run(text(2))


def test_threads_must_be_some() -> None:
    with pytest.raises(UsageError, match="threads must be at least 1"):
        open_runner(text_model([4]), ".", 0)
