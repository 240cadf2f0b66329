"""What a board's terminal puts around a request, so that a person types the request alone."""

from __future__ import annotations

from edgeslm.artifacts import Checkpoint, GenerationSpec, Turn
from edgeslm.device.chat import ChatTemplate
from edgeslm.device.errors import BundleError, UsageError
from edgeslm.device.tokenizer import Tokenizer

MOST_BYTES = 512
"""A board takes lines of 1,024 bytes, and a request wants most of them."""
SAMPLES = ("Will it rain tomorrow?", "Zwölf Boxkämpfer jagen Viktor", "a")


def find_turn(checkpoint: Checkpoint, generation: GenerationSpec, most_bytes: int | None = MOST_BYTES) -> Turn | None:
    """The same text around every message, if the checkpoint's chat template is like that, and if the board's tokens of
    all three together are the template's. `generation` is as the board goes by it: see write_language. A turn of more
    than `most_bytes` is none.
    """
    if generation.chat_template is None or checkpoint.tokenizer is None or checkpoint.root is None:
        return None
    special = dict(generation.special)
    tokenizer = Tokenizer(
        (checkpoint.root / checkpoint.tokenizer.file).read_bytes(), checkpoint.tokenizer.max_length, cut=False
    )
    try:
        template = ChatTemplate(generation.chat_template, special)
        written = [template.render([{"role": "user", "content": one}]) for one in SAMPLES]
    except (UsageError, BundleError):  # a template that fails is told of where somebody chats
        return None
    turns = [_around(text, sample, special.get("bos_token")) for text, sample in zip(written, SAMPLES, strict=True)]
    turn = turns[0]
    if turn is None or any(one != turn for one in turns):
        return None
    around = turn.before + turn.after
    if (most_bytes is not None and len(around.encode()) > most_bytes) or "\0" in around:
        return None
    first = [generation.bos] if generation.add_bos else []
    for text, sample in zip(written, SAMPLES, strict=True):
        if [*first, *tokenizer.ids(turn.before + sample + turn.after)] != tokenizer.ids(text, special=False):
            return None
    return turn


def _around(text: str, sample: str, bos: str | None) -> Turn | None:
    """The beginning-of-sequence token is left out: the board puts it there itself."""
    if text.count(sample) != 1:
        return None
    before, after = text.split(sample)
    return Turn(before.removeprefix(bos or ""), after)
