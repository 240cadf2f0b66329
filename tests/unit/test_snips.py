"""What the assistant is trained on: calls, variations, scores, vocabulary."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.assistant_tokenizer import train_tokenizer
from scripts.snips import OPEN_FROM, Utterance, Variation, read_utterances, score

DRAW = random.Random(0)
PLACES = [
    "".join(DRAW.choices("abdeilnorstu", k=6)).title() + " of " + "".join(DRAW.choices("aeilnt", k=4))
    for _ in range(2 * OPEN_FROM)
]
UTTERANCES = [
    Utterance("GetWeather", (("Weather in ", None), (place, "city"), (" ", None), ("today", "when"), ("?", None)))
    for place in PLACES
]


def test_a_line_becomes_a_call(tmp_path: Path) -> None:
    line = {"text": "Table for two in Boston", "intent": "Book", "slots": [[17, 23, "city"], [10, 13, "size"]]}
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    (utterance,) = read_utterances(path)
    assert utterance.text == line["text"]
    assert utterance.call == '{"intent": "Book", "size": "two", "city": "Boston"}'


def test_a_slot_that_occurs_twice_is_a_list() -> None:
    twice = Utterance("Play", (("Play ", None), ("A", "artist"), (" and ", None), ("B “b”", "artist")))
    assert json.loads(twice.call) == {"intent": "Play", "artist": ["A", "B “b”"]}


@given(st.integers(0, 500))
def test_a_variation_says_what_its_call_says(seed: int) -> None:
    varied = Variation(UTTERANCES).of(UTTERANCES[seed % len(UTTERANCES)], random.Random(seed))
    call = json.loads(varied.call)
    assert call["intent"] == "GetWeather"
    assert set(call) == {"intent", "city", "when"}
    assert call["when"] == "today"  # one choice only
    assert call["city"] in varied.text
    assert varied.text.lower().startswith("weather in ")


def test_variations_are_the_same_for_the_same_seed_and_bring_new_words() -> None:
    variation = Variation(UTTERANCES)
    draws = [
        [variation.of(UTTERANCES[0], draw).text for _ in range(50)] for draw in (random.Random(1), random.Random(1))
    ]
    assert draws[0] == draws[1]
    assert len(set(draws[0])) > 10
    assert UTTERANCES[0].text in draws[0]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([UTTERANCES[0].call, UTTERANCES[1].call], (1, 1, 1)),
        # One of two slots wrong in one of two utterances: three of four are right on both sides.
        ([UTTERANCES[0].call, UTTERANCES[1].call.replace("today", "now")], (1, 0.75, 0.5)),
        # A missing slot lowers what is found, not what is right of what was said.
        (['{"intent": "GetWeather"}', UTTERANCES[1].call], (1, 2 * 2 / (4 + 2), 0.5)),
        (['{"intent": "Play"', "[1]"], (0, 0, 0)),
        # Words twice are right once.
        ([UTTERANCES[0].call.replace('"today"', '["today", "today"]'), UTTERANCES[1].call], (1, 2 * 4 / (4 + 5), 0.5)),
        ([json.dumps(dict(reversed(json.loads(u.call).items()))) for u in UTTERANCES[:2]], (1, 1, 1)),
    ],
)
def test_scores(answers: list[str], expected: tuple[float, float, float]) -> None:
    assert score(UTTERANCES[:2], answers).all == pytest.approx(expected)


def test_a_call_costs_few_tokens_and_words_have_the_same_pieces_on_both_sides() -> None:
    tokenizer = train_tokenizer(UTTERANCES, 480, spaced=40)
    utterance = Utterance("GetWeather", (("Weather in ", None), (f"{PLACES[3]} Ünïcode 😀", "city")))
    heard, said = tokenizer.encode(utterance.text + "\t"), tokenizer.encode(utterance.call)
    assert said.tokens[0] == '{"intent": "GetWeather'
    assert said.tokens[1] == '", "city": "'
    assert said.tokens[-1] == '"}'
    spaced = heard.tokens[heard.tokens.index("▁in") + 1 : -1]
    pieces = spaced[1:] if spaced[0] == "▁" else [spaced[0].removeprefix("▁"), *spaced[1:]]
    assert said.tokens[2:-1] == pieces
    for text in (utterance.text, utterance.call, "  two  spaces\t\n", ""):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.get_vocab_size() == 480
    assert max(tokenizer.get_vocab().values()) == 479


def test_a_vocabulary_that_the_texts_do_not_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="not 4000"):
        train_tokenizer(UTTERANCES[:3], 4000)
