"""Texts, perplexity and gates of language models, on an engine that is a table of logits (a fake)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeslm.artifacts import CompiledModel, LanguageSpec, OutputScore, Perplexity, Samples
from edgeslm.device import open_language
from edgeslm.errors import InternalError, TextsError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.export.generation_files import read_generation
from edgeslm.fidelity import language_score
from edgeslm.fidelity.language_score import (
    LanguageScores,
    judge_language,
    negative_log_likelihood,
    round_perplexity,
    score_language,
)
from edgeslm.fidelity.language_texts import tokenize_language
from edgeslm.fidelity.texts import Texts, load_texts
from edgeslm.formats.moments import open_moments, write_moments
from edgeslm.formats.samples import read_samples, write_samples
from edgeslm.quantize.schemes import find_scheme
from tests.decoders import make_decoder

VOCABULARY = 16


class TableEngine:
    """A fake: the logits of a token are its row of a table, plus `drift` where they come from a chunk."""

    vocabulary = VOCABULARY

    def __init__(self, table: NDArray[np.float32], drift: NDArray[np.float32] | None = None) -> None:
        self.table, self.drift = table, 0 if drift is None else drift

    def step(self, token: int, position: int) -> NDArray[np.float32]:
        row: NDArray[np.float32] = self.table[token]
        return row

    def prefill(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        row: NDArray[np.float32] = self.table[tokens[-1]] + self.drift
        return row

    def close(self) -> None:
        pass


@pytest.fixture
def table() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((VOCABULARY, VOCABULARY)).astype(np.float32)


def scored(engine: TableEngine, reference: NDArray[np.float32], folder: Path, patch: pytest.MonkeyPatch) -> Any:
    """Two texts, against what `reference` gives for the same tokens."""
    sequences = [np.arange(10, dtype=np.int32) % VOCABULARY, np.arange(5, 14, dtype=np.int32)]
    write_samples(folder / "texts.npz", [{"tokens": ids} for ids in sequences])
    answers = []
    for ids in sequences:
        rows = reference[ids[:-1]]
        nll = [negative_log_likelihood(row, int(token)) for row, token in zip(rows, ids[1:], strict=True)]
        places = np.array([0, len(ids) - 2], np.int32)
        answers.append({"nll": np.array(nll, np.float32), "places": places, "logits": rows[places]})
    write_samples(folder / "reference.npz", answers)
    patch.setattr(open_language, "open_language", lambda *_: engine)
    spec = LanguageSpec(32, VOCABULARY, 1, 1, 4, "float32")
    compiled = CompiledModel(folder, "d", "p", "tflite", "int8", "ai-edge-litert", (), (), (), (), language=spec)
    texts = Samples(folder, "t", "two texts", 2, "texts.npz")
    return score_language(compiled, texts, Samples(folder, "r", "PyTorch", 2, "reference.npz"))


def test_equal_models_have_equal_perplexities(
    table: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = scored(TableEngine(table), table, tmp_path, monkeypatch)
    assert scores.perplexity.kept == pytest.approx(1, abs=2e-6)
    assert scores.perplexity.tokens == 17
    assert scores.logits.cosine_min == 1
    assert scores.logits.label_agreement == 1


def test_another_model_is_seen(table: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = scored(TableEngine(table[::-1].copy()), table, tmp_path, monkeypatch)
    assert scores.logits.cosine_mean < 0.9
    assert not judge_language(scores, find_scheme("int4"), 1, checkpoint_stub(), None).passed


def test_chunks_that_disagree_with_steps_are_a_bug(
    table: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drift = np.linspace(-2, 2, VOCABULARY, dtype=np.float32)
    with pytest.raises(InternalError, match="in chunks"):
        scored(TableEngine(table, drift), table, tmp_path, monkeypatch)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_no_numbers_miss_every_gate(
    table: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: float
) -> None:
    monkeypatch.setattr(language_score, "_require_chunks_agree", lambda *_: None)
    scores = scored(TableEngine(np.full_like(table, broken)), table, tmp_path, monkeypatch)
    fidelity = judge_language(scores, find_scheme("int4"), 1, checkpoint_stub(), 0.0001)
    assert not any(gate.passed for gate in fidelity.gates)


def checkpoint_stub() -> Any:
    class Stub:
        elements = 10
        parameters = ()

    return Stub()


@pytest.mark.parametrize(("scheme", "least"), [("fp32", 0.9999), ("int8", 1 / 1.005), ("int4", 1 / 1.1)])
def test_the_gate_of_each_scheme(scheme: str, least: float) -> None:
    logits = OutputScore("logits", 0.99999, 0.99999, 0.0, 1.0)
    for kept, passes in ((least + 1e-4, True), (least - 1e-4, False)):
        scores = LanguageScores("t", 1, logits, Perplexity(10.0, 10.0 / kept, 100))
        fidelity = judge_language(scores, find_scheme(scheme), 1, checkpoint_stub(), None)
        assert fidelity.passed is passes
        assert judge_language(scores, find_scheme(scheme), 1, checkpoint_stub(), 0.5).passed


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=20), st.data())
def test_likelihoods_of_all_tokens_sum_to_one(logits: list[float], data: st.DataObject) -> None:
    row = np.array(logits, np.float32)
    assert sum(math.exp(-negative_log_likelihood(row, token)) for token in range(len(row))) == pytest.approx(1)


def test_perplexity_never_overflows() -> None:
    assert round_perplexity(math.log(5.174683)) == 5.17468
    for nll in (1e4, math.inf, math.nan):
        assert math.isfinite(round_perplexity(nll))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_decoder("llama", tmp_path_factory.mktemp("decoders") / "llama")


def texts_of(*lines: str) -> Texts:
    return Texts("d", "mine", lines, "mine.txt", tuple(range(1, len(lines) + 1)))


def test_texts_begin_with_bos_and_short_ones_are_left_out(llama: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(llama))
    made = tokenize_language(checkpoint, texts_of("abc", "a longer line of text"), 64, tmp_path)
    (only,) = read_samples(made.path)
    assert only["tokens"][0] == 1
    assert only["tokens"].size == 1 + len("a longer line of text")
    assert made.count == 1
    cut = tokenize_language(checkpoint, texts_of("a longer line of text"), 16, tmp_path)
    assert read_samples(cut.path)[0]["tokens"].size == 16
    assert "1 cut to 16 tokens" in cut.described
    assert tokenize_language(checkpoint, texts_of("abc"), 64, tmp_path).count == 1
    with pytest.raises(TextsError, match="two tokens"):
        tokenize_language(checkpoint, texts_of(""), 64, tmp_path)


def test_built_in_texts_are_read_as_paragraphs(llama: Path, tmp_path: Path) -> None:
    _, scoring = load_texts(None, None)
    made = tokenize_language(open_checkpoint(str(llama)), scoring, 64, tmp_path)
    assert 0 < made.count < len(scoring.lines)
    assert all(sample["tokens"].size <= 64 for sample in read_samples(made.path))


def test_moments_are_kept_once(tmp_path: Path) -> None:
    square = np.eye(3, dtype=np.float32)
    write_moments(tmp_path / "m.npz", {"a.weight": square, "b.weight": 2 * square}, {"c.weight": "a.weight"})
    with open_moments(tmp_path / "m.npz") as moments:
        for name, factor in (("a.weight", 1), ("b.weight", 2), ("c.weight", 1)):
            found = moments(name)
            assert found is not None
            assert (found == factor * square).all()
        assert moments("d.weight") is None


def written(folder: Path, **files: dict[str, Any]) -> Path:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_what_begins_and_ends_a_text(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((llama / "tokenizer.json").read_bytes())
    config = {"vocab_size": 131, "bos_token_id": 1, "eos_token_id": 2}
    plain = read_generation(tmp_path, config)
    assert (plain.bos, plain.eos, plain.add_bos, plain.chat_template) == (1, (2,), False, None)
    folder = written(
        tmp_path,
        generation_config={"eos_token_id": [2, 5]},
        tokenizer_config={"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": "{{ messages }}"},
    )
    full = read_generation(folder, config)
    assert (full.eos, full.add_bos, full.chat_template) == ((2, 5), True, "{{ messages }}")
    assert dict(full.special) == {"bos_token": "<s>", "eos_token": "</s>"}
    (folder / "chat_template.jinja").write_text("{{ bos_token }}")
    assert read_generation(folder, config).chat_template == "{{ bos_token }}"
    written(folder, tokenizer_config={"bos_token": "</s>", "eos_token": "</s>"})
    assert not read_generation(folder, config).add_bos  # one token between documents
    written(folder, generation_config={"eos_token_id": 131})
    with pytest.raises(Exception, match="eos_token_id is 131"):
        read_generation(folder, config)
