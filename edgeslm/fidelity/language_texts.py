"""Texts as a language model reads them: one sequence of tokens each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeslm.artifacts import Checkpoint, Samples
from edgeslm.digest import file_digest
from edgeslm.errors import InternalError, TextsError
from edgeslm.fidelity.texts import Texts
from edgeslm.formats.samples import write_samples

SHORTEST = 8
"""Tokens: a shorter text says little of how the model goes on."""
LONGEST = 512
JOINED = 8
"""Built-in texts are single sentences: so many make a paragraph."""
BUDGET, FEWEST, MOST = 8e10, 256, 4096
"""Of the built-in texts as many tokens are read as make BUDGET with the model's parameters: one of a hundred million
would take minutes for all of them, and says as much on some hundred. A user's file is read whole."""


def tokenize_language(checkpoint: Checkpoint, texts: Texts, context: int, out: Path) -> Samples:
    """`tokens` int32 [T] for each text: the token that begins a text, where the model has one, and the text's, cut to
    the context or LONGEST. Texts of fewer than SHORTEST tokens are left out, unless all are.

    Raises TextsError where nothing is left to predict.
    """
    from tokenizers import Tokenizer

    if checkpoint.tokenizer is None or checkpoint.root is None or checkpoint.generation is None:
        raise InternalError(f"{checkpoint.name} is no language model, yet texts were given")
    tokenizer = Tokenizer.from_file(str(checkpoint.root / checkpoint.tokenizer.file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    limit = min(context, LONGEST)
    bos = checkpoint.generation.bos
    first = [] if bos is None else [bos]
    lines = texts.lines
    if texts.built_in:
        lines = tuple(" ".join(lines[start : start + JOINED]) for start in range(0, len(lines), JOINED))
    whole = [[*first, *tokenizer.encode(line, add_special_tokens=False).ids] for line in lines]
    kept = [ids[:limit] for ids in whole if len(ids) >= SHORTEST] or [ids[:limit] for ids in whole if len(ids) > 1]
    if texts.built_in:
        kept = _within(kept, round(min(max(BUDGET / checkpoint.elements, FEWEST), MOST)))
    if not kept:
        raise TextsError(f"{texts.where}: no line has two tokens", "a language model is scored on what comes next")
    truncated = 0 if texts.built_in else sum(len(ids) > limit for ids in whole)
    path = out / "samples.npz"
    write_samples(path, [{"tokens": np.asarray(ids, np.int32)} for ids in kept])
    described = texts.described + (f", {truncated} cut to {limit} tokens" if truncated else "")
    return Samples(out, file_digest(path), described, len(kept), path.name, truncated)


def _within(sequences: list[list[int]], budget: int) -> list[list[int]]:
    """The first of them, `budget` tokens together; the last one may be cut."""
    kept: list[list[int]] = []
    for ids in sequences:
        left = budget - sum(map(len, kept))
        if left < SHORTEST:
            break
        kept.append(ids[:left])
    return kept
