"""From texts to samples: the graph's inputs, truncation that is counted, masks for a fill-mask model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeslm.artifacts import Checkpoint, OnnxModel, TensorSpec
from edgeslm.errors import InternalError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.fidelity.samples import tokenize_texts
from edgeslm.fidelity.texts import Texts, load_texts
from edgeslm.formats.samples import read_samples
from edgeslm.quantize.sample_weights import sample_weights

TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def graph(*inputs: str) -> OnnxModel:
    """An exported graph of which only the inputs and the longest bucket matter here."""
    return OnnxModel(
        root=Path(),
        digest="d",
        parent="p",
        task="embedding",
        inputs=tuple(TensorSpec(name, "int32", (1, -1)) for name in inputs),
        outputs=(),
        lengths=(8, 16),
        files={0: "model.onnx"},
        weights="weights.bin",
        parameter_of={},
    )


@pytest.fixture
def bert(checkpoint_of: Callable[..., Path]) -> Checkpoint:
    return open_checkpoint(str(checkpoint_of("bert")))


def texts(folder: Path, *lines: str) -> Texts:
    (folder / "texts.txt").write_text("".join(f"{line}\n" for line in lines))
    return load_texts(None, folder / "texts.txt")[1]


def test_a_sample_has_exactly_the_graphs_inputs_unpadded(bert: Checkpoint, tmp_path: Path) -> None:
    chosen = texts(tmp_path, "the cat runs", "dog")
    samples = tokenize_texts(bert, graph(*TEXT_INPUTS), chosen, tmp_path)
    first, second = read_samples(samples.path)
    assert list(first) == list(TEXT_INPUTS)
    for sample, tokens in ((first, 5), (second, 3)):  # [CLS] and [SEP] included
        assert {(array.shape, array.dtype.name) for array in sample.values()} == {((1, tokens), "int32")}
        assert sample["attention_mask"].all()
        assert not sample["token_type_ids"].any()
    assert samples.count == 2
    assert samples.truncated == 0
    assert samples.described == chosen.described
    (only,) = {len(sample) for sample in read_samples(tokenize_texts(bert, graph("input_ids"), chosen, tmp_path).path)}
    assert only == 1


def test_long_texts_are_cut_counted_and_said(bert: Checkpoint, tmp_path: Path) -> None:
    samples = tokenize_texts(bert, graph("input_ids"), texts(tmp_path, "cat " * 14, "cat " * 15, "dog " * 40), tmp_path)
    assert [sample["input_ids"].shape[1] for sample in read_samples(samples.path)] == [16, 16, 16]
    assert samples.truncated == 2
    assert samples.described.endswith(", 2 cut to 16 tokens")


def test_a_fill_mask_model_gets_one_mask_in_every_text(checkpoint_of: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(checkpoint_of("bert", "BertForMaskedLM")))
    assert checkpoint.task == "fill-mask"
    chosen = texts(tmp_path, "the cat runs", "a dog", "house")
    masked = tokenize_texts(checkpoint, graph("input_ids"), chosen, tmp_path)
    from tokenizers import Tokenizer

    assert checkpoint.root is not None
    assert checkpoint.tokenizer is not None
    tokenizer = Tokenizer.from_file(str(checkpoint.root / checkpoint.tokenizer.file))
    mask = tokenizer.token_to_id("[MASK]")
    for text, sample in zip(chosen.lines, read_samples(masked.path), strict=True):
        ids, plain = sample["input_ids"][0], np.asarray(tokenizer.encode(text).ids)
        assert np.flatnonzero(ids == mask).tolist() == np.flatnonzero(ids != plain).tolist()
        assert np.count_nonzero(ids == mask) == 1
    assert masked.described.endswith("one word piece masked in each")


def test_the_same_texts_give_the_same_digest(bert: Checkpoint, tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        chosen = texts(tmp_path / name, "the cat runs", "dog")
        digests.add(tokenize_texts(bert, graph(*TEXT_INPUTS), chosen, tmp_path / name).digest)
    assert len(digests) == 1


def test_an_input_no_tokenizer_makes(bert: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="a tokenizer makes no pixel_values"):
        tokenize_texts(bert, graph("input_ids", "pixel_values"), texts(tmp_path, "dog"), tmp_path)


def test_calibration_texts_are_joined_by_some_that_are_made_of_their_words(bert: Checkpoint, tmp_path: Path) -> None:
    chosen = texts(tmp_path, "the cat runs", "dog")
    samples = tokenize_texts(bert, graph(*TEXT_INPUTS), chosen, tmp_path, calibrating=True)
    read = read_samples(samples.path)
    assert (samples.count, samples.made) == (2, len(read) - 2)
    assert samples.described == chosen.described
    first, last = read[0]["input_ids"][0][[0, -1]]
    for made in read[2:]:
        assert list(made) == list(TEXT_INPUTS)
        ids = made["input_ids"][0]
        assert (ids[0], ids[-1]) == (first, last)
        assert 3 <= len(ids) <= 16
        assert not {first, last} & set(ids[1:-1].tolist())
        assert made["attention_mask"].all()
        assert not made["token_type_ids"].any()
    again = tokenize_texts(bert, graph(*TEXT_INPUTS), chosen, tmp_path, calibrating=True)
    assert again.digest == samples.digest


def test_a_token_of_a_short_text_counts_for_more_where_an_embedding_is_their_mean(
    bert: Checkpoint, tmp_path: Path
) -> None:
    chosen = texts(tmp_path, "the cat runs", "dog")
    onnx = graph(*TEXT_INPUTS)
    samples = tokenize_texts(bert, onnx, chosen, tmp_path, calibrating=True)
    read = read_samples(samples.path)
    weights = sample_weights(read, samples, onnx)
    lengths = [one["input_ids"].shape[1] for one in read]
    assert weights[0] / weights[1] == pytest.approx(3**2 / 5**2)
    rows = [weight * length for weight, length in zip(weights, lengths, strict=True)]
    assert sum(rows[:2]) == pytest.approx(8)
    assert sum(rows[2:]) == pytest.approx(4)  # all that were made, half as much as all that were written
    labels = sample_weights(read, samples, dataclasses.replace(onnx, task="classification"))
    assert labels[:2] == [1.0, 1.0]
