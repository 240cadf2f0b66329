"""Encoders of several families as generated C, run on the host: the outputs of the exported model, text by text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.artifacts import Checkpoint, OnnxModel, QuantPlan
from edgeslm.backends.cortexm.encoder import write_encoder
from edgeslm.backends.cortexm.encoder_emit import EncoderText
from edgeslm.backends.cortexm.host_encoder import HostEncoder
from edgeslm.backends.cortexm.memory import TEXT, MemoryPlan, live_bytes, plan_memory
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import UnsupportedOpError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.stages.firmware_encoder_plan import EncoderSizes, encoder_graph, shortened
from edgeslm.stages.firmware_plan import firmware_choices
from edgeslm.stages.tokenizer import tokenizer_of

TOKENS = 16
LENGTHS = (TOKENS, 32, 64)  # as other tests export the same models
ROWS = Variant(Layout.ROWS)
CASES = (
    ("bert", "BertForTokenClassification"),  # outputs for each token
    ("bert", "BertForMaskedLM"),  # a table that is the output's matrix too
    ("albert", None),  # weights that layers have in common; another width of embeddings
    ("distilbert", "DistilBertForSequenceClassification"),  # the first token stands for the text
)


Exported = Callable[[Checkpoint, tuple[int, ...]], OnnxModel]


def export(checkpoint: Checkpoint, exported: Exported) -> OnnxModel:
    """The graphs of which the longest is that of TOKENS."""
    return replace(exported(checkpoint, LENGTHS), lengths=(TOKENS,))


class Built:
    """An encoder as C, and what it was written from."""

    def __init__(self, folder: Path, exported: Exported, out: Path) -> None:
        checkpoint = open_checkpoint(str(folder))
        self.onnx = export(checkpoint, exported)
        self.sizes = EncoderSizes(checkpoint, encoder_graph(self.onnx))
        self.planned = self.sizes.program(ROWS, "fp32", TOKENS)
        text = EncoderText(self.sizes.table, self.sizes.text.vocabulary, tokenizer_of(checkpoint).after)
        choices = firmware_choices(checkpoint, "fp32")
        plan = QuantPlan("mps2-an386", "cortexm", "fp32", choices, (), (), (TOKENS,), 0, 0)
        (out / "c").mkdir()
        write_encoder(self.planned, text, "a */ b", plan, out / "c", "0")
        self.schedule = (out / "c" / "model_schedule.c").read_text()
        self.engine = HostEncoder(out / "c", ROWS, self.onnx.outputs)

    def expected(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """By ONNX Runtime, of the graph of any length: not padded."""
        import onnxruntime

        session = onnxruntime.InferenceSession(str(self.onnx.path()))
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        found: NDArray[np.float32] = session.run(None, {one.name: feeds[one.name] for one in session.get_inputs()})[0]
        return found


def without_text(memory: MemoryPlan) -> MemoryPlan:
    """What the tokenizer works in is as large for any length."""
    return plan_memory([one for one in memory.buffers if one.name != TEXT])


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_a_family_computes_what_the_exported_model_does(
    family: str, kind: str | None, checkpoint_of: Callable[..., Path], exported: Exported, tmp_path: Path
) -> None:
    built = Built(checkpoint_of(family, kind), exported, tmp_path)
    output = built.onnx.outputs[0].name
    for count in (2, 5, TOKENS):
        ids = np.random.default_rng(count).integers(0, built.sizes.text.vocabulary, (1, count)).astype(np.int32)
        found = built.engine.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[output]
        expected = built.expected(ids)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max() + 1e-6
    built.engine.close()
    memory = built.planned.memory
    assert memory.bytes <= 1.10 * live_bytes(memory.buffers)
    assert built.schedule.count("for (uint32_t l") == 1
    if family == "albert":  # the second layer's attention points to the first one's arrays
        names = [array.name for array in built.planned.program.arrays if array.type == "uint32_t"]
        assert not any("attention" in name for name in names if name.startswith("layer_1_"))
    shorter = built.sizes.program(ROWS, "fp32", 8)
    assert without_text(shorter.memory).bytes < 0.7 * without_text(memory).bytes
    assert shortened(built.sizes.text, 8).tokens == 8


def test_what_moves_tokens_is_refused_with_its_layer(checkpoint_of: Callable[..., Path], exported: Exported) -> None:
    onnx = export(open_checkpoint(str(checkpoint_of("mobilebert"))), exported)
    with pytest.raises(UnsupportedOpError, match="no kernel moves tokens") as raised:
        encoder_graph(onnx)
    assert raised.value.layer == "embeddings"
