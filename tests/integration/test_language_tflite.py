"""Every family of decoders in one .tflite, token by token and in chunks, against transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.artifacts import CompiledModel
from edgeslm.backends.tflite import language_windows
from edgeslm.device.files import FolderFiles
from edgeslm.device.litert_language import LiteRtLanguage
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.formats.description import describe_language
from tests.decoders import CASES, make_decoder
from tests.tiny_language import build_language

TOKENS = 40
TOLERANCE = 1e-4


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short text crosses from one to the next, and chunks are of several kinds."""
    monkeypatch.setattr(language_windows, "SEGMENTS", (16, 16, 16))
    monkeypatch.setattr(language_windows, "CHUNKS", (8, 32))


def engine_of(folder: Path, compiled: CompiledModel) -> LiteRtLanguage:
    return LiteRtLanguage(describe_language(compiled), FolderFiles(folder, None), 1)


def expected_logits(folder: Path, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """[T, V], as transformers has them."""
    import torch

    from edgeslm.export.load import load_transformer

    model: Any = load_transformer(open_checkpoint(str(folder)))
    with torch.inference_mode():
        logits: NDArray[np.float32] = model(torch.from_numpy(ids.astype(np.int64))[None]).logits[0].numpy()
    return logits


@pytest.mark.parametrize("case", CASES)
def test_every_step_of_every_family(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESLM_DEVICE_CACHE", str(tmp_path / "cache"))
    folder = make_decoder(case, tmp_path / case)
    checkpoint = open_checkpoint(str(folder))
    assert checkpoint.decoder is not None
    compiled = build_language(folder, "fp32", 64, tmp_path / "built")
    engine = engine_of(compiled.root, compiled)
    ids = np.random.default_rng(1).integers(3, checkpoint.decoder.vocabulary, TOKENS).astype(np.int32)
    expected = expected_logits(folder, ids)
    for position, token in enumerate(ids):
        np.testing.assert_allclose(engine.step(int(token), position), expected[position], atol=TOLERANCE, rtol=0)
    for count, rest in ((1, 0), (7, 30), (13, 27), (33, 1), (40, 0)):
        np.testing.assert_allclose(engine.prefill(ids[:count], 0), expected[count - 1], atol=TOLERANCE, rtol=0)
        if rest:
            found = engine.prefill(ids[count : count + rest], count)
            np.testing.assert_allclose(found, expected[count + rest - 1], atol=TOLERANCE, rtol=0)
    engine.close()
