"""A message in its chat template, as the text that a board is asked."""

from __future__ import annotations

from pathlib import Path

from edgeslm.bundle.manifest import Manifest
from edgeslm.device.chat import ChatTemplate
from edgeslm.device.tokenizer import Tokenizer
from edgeslm.errors import UnsupportedError
from edgeslm.formats.archive import open_archive


def chat_prompt(bundle: Path, manifest: Manifest, message: str) -> str:
    """What the template makes of a user's first message, without the token that the board begins every text with.

    Raises UnsupportedError where the checkpoint has no template, or one whose tokens a board cannot be given as a text;
    the device package's UsageError and BundleError where the template refuses the message, or fails.
    """
    generation, tokenizer = manifest.generation, manifest.tokenizer
    assert generation is not None  # who asks has looked
    assert tokenizer is not None
    if generation.chat_template is None:
        raise UnsupportedError(f"{manifest.name} has no chat template: it goes on with texts", "leave out --chat")
    with open_archive(bundle) as archive:
        source = archive.read(generation.chat_template, manifest.files[generation.chat_template].bytes).decode()
        content = archive.read(tokenizer.file, manifest.files[tokenizer.file].bytes)
    text = ChatTemplate(source, generation.special).render([{"role": "user", "content": message}])
    asked = text.removeprefix(generation.special.get("bos_token") or "")
    tokens = Tokenizer(content, tokenizer.max_length, cut=False)
    ids = tokens.ids(asked)
    if generation.add_bos and generation.bos is not None and ids[:1] != [generation.bos]:
        ids.insert(0, generation.bos)
    if ids != tokens.ids(text, special=False):
        raise UnsupportedError(
            f"the chat template of {manifest.name} begins otherwise than a board begins a text",
            "leave out --chat, and give --prompt what the template would make of it",
        )
    return asked
