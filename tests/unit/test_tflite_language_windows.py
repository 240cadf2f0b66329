"""Which graphs a language model gets: every position must have one, and few of them must be large."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edgeslm.backends.tflite.language_windows import CHUNKS, ROUND, cache_segments, language_signatures


@given(st.integers(16, 40_000))
def test_segments_hold_the_context_and_little_more(context: int) -> None:
    segments = cache_segments(context)
    assert context <= sum(segments) < context + ROUND
    assert all(rows % ROUND == 0 and rows > 0 for rows in segments)


@given(st.integers(16, 8192))
def test_every_position_has_a_graph_for_steps_and_for_chunks(context: int) -> None:
    segments, signatures = cache_segments(context), language_signatures(context)
    ends = [0, *itertools.accumulate(segments)]
    assert len({one.name for one in signatures}) == len(signatures)
    for tokens in (1, CHUNKS[0]):
        assert max(ends[one.segments] for one in signatures if one.tokens == tokens) >= context


@given(st.integers(16, 8192))
def test_a_step_pays_for_at_most_twice_its_text(context: int) -> None:
    ends = [0, *itertools.accumulate(cache_segments(context))]
    rows = sorted(ends[one.segments] for one in language_signatures(context) if one.tokens == 1)
    assert all(after <= 2 * before or after - before < ROUND for before, after in itertools.pairwise(rows))


def test_a_first_chunk_reads_no_cache() -> None:
    assert {one.tokens for one in language_signatures(512) if one.segments == 0} == set(CHUNKS)
