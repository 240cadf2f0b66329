"""Opening checkpoints: what is honoured, and what is refused with a reason."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeslm.errors import CheckpointError, ConfigError, UnsupportedError
from edgeslm.export.checkpoint import length_buckets, open_checkpoint
from edgeslm.export.load import load_module
from tests.architectures import write_sentence_modules

Make = Callable[..., Path]


@pytest.fixture
def bert(checkpoint_of: Make, tmp_path: Path) -> Path:
    """A small BERT that the test may change."""
    return shutil.copytree(checkpoint_of("bert"), tmp_path / "My Bert")


def edit(path: Path, **changes: Any) -> None:
    """Set keys of a JSON file; None removes one."""
    value = json.loads(path.read_text())
    value |= changes
    path.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))


def test_the_demo_is_minilm_with_pooling_and_its_own_limit() -> None:
    demo = open_checkpoint("demo")
    assert (demo.name, demo.task, demo.pooling, demo.normalize) == ("all-minilm-l6-v2", "embedding", "mean", True)
    assert demo.tokenizer is not None
    assert demo.tokenizer.max_length == 256
    assert demo.licence == "apache-2.0"
    assert 22e6 < demo.elements < 23e6


def test_a_folder_without_pooling_says_what_is_assumed(bert: Path) -> None:
    checkpoint = open_checkpoint(str(bert))
    assert checkpoint.name == "my-bert"
    assert checkpoint.pooling == "mean"
    assert "mean" in checkpoint.notes[0]
    assert not any("pooler" in parameter.name for parameter in checkpoint.parameters)


def test_roles_follow_what_a_parameter_does(bert: Path) -> None:
    roles = {parameter.name: parameter.role for parameter in open_checkpoint(str(bert)).parameters}
    assert roles["embeddings.word_embeddings.weight"] == "embedding"
    assert roles["encoder.layer.0.attention.self.query.weight"] == "linear"
    assert roles["encoder.layer.0.attention.self.query.bias"] == "other"


@pytest.mark.parametrize(
    ("model_class", "task"),
    [
        ("BertForSequenceClassification", "classification"),
        ("BertForTokenClassification", "token-classification"),
        ("BertForMaskedLM", "fill-mask"),
    ],
)
def test_heads_decide_the_task(checkpoint_of: Make, model_class: str, task: str) -> None:
    checkpoint = open_checkpoint(str(checkpoint_of("bert", model_class)))
    assert checkpoint.task == task
    assert checkpoint.labels == (("LABEL_0", "LABEL_1") if task.endswith("classification") else ())


def test_independent_labels_are_told(checkpoint_of: Make, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint_of("bert", "BertForSequenceClassification"), tmp_path / "many")
    assert not open_checkpoint(str(folder)).multi_label
    edit(folder / "config.json", problem_type="multi_label_classification", id2label={"0": "sports", "1": "news"})
    checkpoint = open_checkpoint(str(folder))
    assert checkpoint.multi_label
    assert checkpoint.labels == ("sports", "news")


def test_the_digest_covers_weights_config_and_pooling(checkpoint_of: Make, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint_of("minilm"), tmp_path / "a")
    first = open_checkpoint(str(folder)).digest
    assert open_checkpoint(str(shutil.copytree(folder, tmp_path / "b"))).digest == first
    write_sentence_modules(folder, 48, pooling_mode_cls_token=True)
    second = open_checkpoint(str(folder))
    assert second.pooling == "cls"
    assert second.digest != first


def test_buckets_end_at_the_limit() -> None:
    demo = open_checkpoint("demo")
    assert length_buckets(demo, None) == (16, 32, 64, 128, 256)
    assert length_buckets(demo, 100) == (16, 32, 64, 100)
    assert length_buckets(demo, 16) == (16,)
    with pytest.raises(ConfigError, match="256"):
        length_buckets(demo, 300)


def test_roberta_loses_the_positions_it_does_not_use(checkpoint_of: Make) -> None:
    tokenizer = open_checkpoint(str(checkpoint_of("roberta"))).tokenizer
    assert tokenizer is not None
    assert tokenizer.max_length == 64  # of 66 positions less pad_token_id + 1; here the tokenizer's 64 is the least


def test_an_unknown_path_offers_near_names(bert: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(bert.parent / "My Bart"))
    assert "My Bert" in (caught.value.hint or "")


def test_a_file_is_no_checkpoint_but_its_folder_is(bert: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(bert / "model.safetensors"))
    assert str(bert) in (caught.value.hint or "")


def test_a_pickle_is_never_loaded(bert: Path) -> None:
    (bert / "model.safetensors").rename(bert / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickle") as caught:
        open_checkpoint(str(bert))
    assert "safe_serialization" in (caught.value.hint or "")


def test_truncated_weights_are_damaged(bert: Path) -> None:
    weights = bert / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        open_checkpoint(str(bert))


@pytest.mark.parametrize(
    "header",
    [
        {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}},  # four floats in eight bytes
        {"w": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 16]}},  # an overflow
        {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}, "v": {"dtype": "F32", "shape": [4],
         "data_offsets": [8, 24]}},  # overlapping
        {"w": {"dtype": "F32", "shape": [4], "data_offsets": [100, 116]}},  # beyond the end
    ],
)  # fmt: skip
def test_a_lying_header_is_damaged(bert: Path, header: dict[str, Any]) -> None:
    text = json.dumps(header).encode()
    (bert / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(24))
    with pytest.raises(CheckpointError, match="damaged"):
        open_checkpoint(str(bert))


def test_shards_are_read_together_and_may_not_lie_elsewhere(bert: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(bert / "model.safetensors")
    whole = {p.name for p in open_checkpoint(str(bert)).parameters}
    (bert / "model.safetensors").unlink()
    names = sorted(tensors)
    halves = {"a.safetensors": names[: len(names) // 2], "b.safetensors": names[len(names) // 2 :]}
    for file, part in halves.items():
        save_file({name: tensors[name] for name in part}, bert / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in halves.items() for name in part}}
    (bert / "model.safetensors.index.json").write_text(json.dumps(index))
    checkpoint = open_checkpoint(str(bert))
    assert {p.name for p in checkpoint.parameters} == whole
    load_module(checkpoint)
    index["weight_map"][names[0]] = "../elsewhere.safetensors"
    (bert / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="elsewhere"):
        open_checkpoint(str(bert))


def test_config_and_weights_must_agree_on_the_vocabulary(bert: Path) -> None:
    edit(bert / "config.json", vocab_size=500)
    with pytest.raises(CheckpointError, match="vocab_size 500"):
        open_checkpoint(str(bert))


def test_config_and_weights_must_agree_on_the_layers(bert: Path) -> None:
    edit(bert / "config.json", num_hidden_layers=3)
    with pytest.raises(CheckpointError, match=r"weights do not have, first encoder\.layer\.2"):
        load_module(open_checkpoint(str(bert)))


def test_config_and_weights_must_agree_on_the_width(bert: Path) -> None:
    edit(bert / "config.json", intermediate_size=128)
    with pytest.raises(CheckpointError, match="My Bert"):
        load_module(open_checkpoint(str(bert)))


def test_a_diverged_checkpoint_is_named(bert: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(bert / "model.safetensors")
    tensors["encoder.layer.1.output.dense.weight"][3, 3] = float("nan")
    save_file(tensors, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"encoder\.layer\.1\.output\.dense\.weight"):
        load_module(open_checkpoint(str(bert)))


def test_a_missing_tokenizer_comes_with_the_way_to_write_it(bert: Path) -> None:
    (bert / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(bert))
    assert "save_pretrained" in (caught.value.hint or "")


def test_a_damaged_tokenizer_is_named(bert: Path) -> None:
    (bert / "tokenizer.json").write_text('{"model": ')
    with pytest.raises(CheckpointError, match=r"tokenizer\.json cannot be read"):
        open_checkpoint(str(bert))


def test_a_tokenizer_of_another_vocabulary_is_refused(bert: Path) -> None:
    shutil.copy(Path(str(open_checkpoint("demo").root)) / "tokenizer.json", bert / "tokenizer.json")
    with pytest.raises(CheckpointError, match="ids up to 30521"):
        open_checkpoint(str(bert))


def test_a_tokenizer_with_another_padding_token_is_refused(bert: Path) -> None:
    edit(bert / "config.json", pad_token_id=7)
    with pytest.raises(CheckpointError, match="pad_token_id 7"):
        open_checkpoint(str(bert))


def test_code_in_a_checkpoint_is_never_run(bert: Path) -> None:
    (bert / "modeling.py").write_text("raise SystemExit('this must not run')")
    edit(bert / "config.json", model_type="my-own", auto_map={"AutoModel": "modeling.Model"})
    with pytest.raises(UnsupportedError, match="never runs code"):
        open_checkpoint(str(bert))


@pytest.mark.parametrize("name", ["T5ForConditionalGeneration", "BertForQuestionAnswering"])
def test_what_is_no_encoder_is_refused(bert: Path, name: str) -> None:
    edit(bert / "config.json", architectures=[name])
    with pytest.raises(UnsupportedError, match=name):
        open_checkpoint(str(bert))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": ' * 20_000, "\udcff"])
def test_a_damaged_config_is_named(bert: Path, text: str) -> None:
    (bert / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        open_checkpoint(str(bert))


def test_an_unknown_sentence_module_is_refused(checkpoint_of: Make, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint_of("minilm"), tmp_path / "a")
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_LSTM", "type": "sentence_transformers.models.LSTM"})
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(UnsupportedError, match="LSTM"):
        open_checkpoint(str(folder))
    modules[-1] = {"idx": 3, "name": "3", "path": "../../etc", "type": "sentence_transformers.models.Dense"}
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CheckpointError, match="outside"):
        open_checkpoint(str(folder))


def test_two_poolings_at_once_are_refused(checkpoint_of: Make, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint_of("minilm"), tmp_path / "a")
    write_sentence_modules(folder, 48, pooling_mode_cls_token=True, pooling_mode_max_tokens=True)
    with pytest.raises(UnsupportedError, match=r"cls \+ max"):
        open_checkpoint(str(folder))
