"""Which graphs a language model's file has: how many tokens at once, over how many rows of the cache."""

from __future__ import annotations

import itertools

from edgeslm.artifacts import LanguageSignature

SEGMENTS = (128, 128, 256)
LARGEST_SEGMENT = 512
"""Rows. A product over more than some megabytes of cache takes twice the time per row: they leave the second-level
cache (measured, 12 heads of 64: 512 rows 124, 1,024 rows 559 microseconds)."""
ROUND = 16  # rows: so that every layer's part of a segment begins at a multiple of 64 bytes
CHUNKS = (16, 64)
"""Tokens of a prompt at once. Larger ones take more memory, and on a core without dot products no less time per token
(measured: 110M int8, one thread of an AVX2 core, 32 to 512 tokens: 6.3, 6.3, 6.6, 6.7, 7.2 ms)."""

MIDDLE = 512
"""Rows that a chunk may read beside none and all of them. Every graph takes some 4 MB of memory, and a chunk's time is
that of its weights."""


def cache_segments(context: int) -> tuple[int, ...]:
    """Rows of each segment, `context` together and less than ROUND more."""
    rows: list[int] = []
    sizes = itertools.chain(SEGMENTS, itertools.repeat(LARGEST_SEGMENT))
    while sum(rows) < context:
        left = -(-(context - sum(rows)) // ROUND) * ROUND
        rows.append(min(next(sizes), left))
    return tuple(rows)


def language_signatures(context: int) -> tuple[LanguageSignature, ...]:
    """Steps, then chunks from short to long. A text that doubles its length meets the next larger graph."""
    segments = cache_segments(context)
    ends = list(itertools.accumulate(segments))
    counts = [
        count
        for count, end in enumerate(ends, start=1)
        if end & (end - 1) == 0 or end == ends[-1]  # powers of two, and all of it
    ]
    made = [LanguageSignature(f"step_{ends[count - 1]}", 1, count) for count in counts]
    for chunk in CHUNKS:
        if chunk == CHUNKS[0] or chunk <= context:
            middle = [count for count in counts if ends[count - 1] == MIDDLE and chunk == CHUNKS[-1]]
            read = sorted({0, *middle, len(segments)})
            made += [LanguageSignature(f"chunk_{chunk}_{sum(segments[:count])}", chunk, count) for count in read]
    return tuple(made)
