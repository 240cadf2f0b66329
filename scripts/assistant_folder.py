"""The assistant as a checkpoint folder: weights in half precision, tokenizer, chat template, texts, model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.snips import Utterance

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = ROOT / "edgeslm" / "demos" / "assistant"
CARD = Path(__file__).with_name("assistant_card.md")
CALIBRATION, EVALUATION = "calibration.txt", "evaluation.txt"
TEMPLATE = "{{ bos_token }}{{ messages[-1]['content'] }}\t"
"""A call answers one utterance; what was said before is nothing to it."""
TEXTS = {CALIBRATION: 96, EVALUATION: 64}


def save(
    model: LlamaForCausalLM,
    tokenizer: Tokenizer,
    folder: Path,
    utterances: Sequence[Utterance],
    validation: Sequence[Utterance],
) -> None:
    """Write the folder. The texts are utterances with their calls: of the training file to calibrate with, of the
    validation file to score with."""
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder)  # type: ignore[no-untyped-call]  # torch's own has no types
    model.float()  # type: ignore[no-untyped-call]
    tokenizer.save(str(folder / "tokenizer.json"))
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": model.config.max_position_embeddings,
    }
    _write(folder / "tokenizer_config.json", json.dumps(described, indent=2) + "\n")
    for name, chosen in ((CALIBRATION, utterances), (EVALUATION, validation)):
        spread = chosen[:: max(1, len(chosen) // TEXTS[name])][: TEXTS[name]]
        _write(folder / name, "".join(f"{utterance.text}\t{utterance.call}\n" for utterance in spread))


def install(folder: Path, table: str, seed: int) -> None:
    """Copy a trained folder to where edgeslm has its demos, with the model card that states `table` and seed."""
    if INSTALLED.exists():
        shutil.rmtree(INSTALLED)
    shutil.copytree(folder, INSTALLED)
    card = CARD.read_text(encoding="utf-8").replace("{table}", table.rstrip()).replace("{seed}", str(seed))
    _write(INSTALLED / "README.md", card)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
