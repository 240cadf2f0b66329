"""How a language model's text begins, ends and talks: what the checkpoint's several files say of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import GenerationSpec
from edgeslm.errors import CheckpointError
from edgeslm.export.json_file import read_object

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
TEMPLATE = "chat_template.jinja"
MAX_TEMPLATE = 1 << 20
FILES = ("generation_config.json", "special_tokens_map.json", TEMPLATE)
"""Beside config.json and tokenizer_config.json; any may be missing."""


def read_generation(folder: Path, config: dict[str, Any]) -> GenerationSpec:
    """Raises CheckpointError where a token is named that the vocabulary does not have."""
    settings = _merged(folder, "special_tokens_map.json", "tokenizer_config.json")
    generation = _merged(folder, "generation_config.json")
    tokenizer = _tokenizer(folder)
    special = {name: text for name in SPECIAL if (text := _text(settings.get(name))) is not None}
    vocabulary = int(config.get("vocab_size") or 0)

    def ids(field: str, token: str) -> tuple[int, ...]:
        said = next((source[field] for source in (generation, config) if source.get(field) is not None), None)
        if said is None and token in special:
            said = tokenizer.token_to_id(special[token])
        found = tuple(said if isinstance(said, list) else [] if said is None else [said])
        for one in found:
            if not isinstance(one, int) or not 0 <= one < vocabulary:
                raise CheckpointError(
                    f"{folder}: {field} is {one}, the vocabulary has {vocabulary} tokens",
                    "config.json and generation_config.json must be of this model",
                )
        return found

    bos = ids("bos_token_id", "bos_token")
    return GenerationSpec(
        bos=bos[0] if bos else None,
        eos=ids("eos_token_id", "eos_token"),
        add_bos=bool(bos) and _adds_bos(settings, special),
        chat_template=_template(folder, settings),
        special=tuple(sorted(special.items())),
    )


def _adds_bos(settings: dict[str, Any], special: dict[str, str]) -> bool:
    """Whether a prompt begins with it. One token that begins and ends stands between documents: GPT-2, Phi."""
    said = settings.get("add_bos_token")
    return said if isinstance(said, bool) else special.get("bos_token") != special.get("eos_token")


def _template(folder: Path, settings: dict[str, Any]) -> str | None:
    file = folder / TEMPLATE
    if file.is_file():
        with file.open("rb") as source:
            return source.read(MAX_TEMPLATE).decode("utf-8", errors="replace")
    said = settings.get("chat_template")
    if isinstance(said, list):  # several by name
        named = {one.get("name"): one.get("template") for one in said if isinstance(one, dict)}
        said = named.get("default")
    return said if isinstance(said, str) else None


def _tokenizer(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    loaded: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return loaded


def _merged(folder: Path, *names: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in names:
        if (folder / name).is_file():
            merged.update(read_object(folder / name))
    return merged


def _text(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None
