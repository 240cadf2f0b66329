"""The SNIPS utterances as what an assistant reads and writes: text in, one JSON call out.

SNIPS 2017-06 custom-intent-engines, CC0 1.0. A file has one utterance a line: `text`, `intent` and `slots`, which are
[start, end, name] in characters. A call is compact JSON: the intent, then each slot's words in the order of the text,
`{"intent": "GetWeather", "city": "Boston", "timeRange": "tomorrow"}`; words of a slot that occurs twice are a list.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

OPEN_FROM = 60
"""A slot with so many different values in the training file gets those of other utterances; a smaller one is a list of
choices, which words around it may depend on."""
FREE_SHARE = 0.6
"""A slot whose values are so often different ones takes any words: names of songs, but not of countries."""


@dataclass(frozen=True)
class Utterance:
    """`parts` are the text in pieces: (words, slot name or None)."""

    intent: str
    parts: tuple[tuple[str, str | None], ...]

    @property
    def text(self) -> str:
        return "".join(words for words, _ in self.parts)

    @property
    def call(self) -> str:
        """The JSON that the assistant answers with."""
        content: dict[str, str | list[str]] = {"intent": self.intent}
        for words, slot in self.parts:
            if slot is None:
                continue
            before = content.get(slot)
            if before is None:
                content[slot] = words
            else:
                content[slot] = [*([before] if isinstance(before, str) else before), words]
        return json.dumps(content, ensure_ascii=False)


def read_utterances(path: Path) -> list[Utterance]:
    """A file of the data set, whole."""
    with path.open(encoding="utf-8") as file:
        return [_utterance(json.loads(line)) for line in file]


def _utterance(line: dict[str, object]) -> Utterance:
    text, slots = str(line["text"]), line["slots"]
    assert isinstance(slots, list)
    parts: list[tuple[str, str | None]] = []
    place = 0
    for start, end, name in sorted(slots):
        parts += [(text[place:start], None), (text[start:end], name)]
        place = end
    parts.append((text[place:], None))
    return Utterance(str(line["intent"]), tuple(part for part in parts if part[0]))


class Variation:
    """Makes another utterance out of one, so that a small model learns to copy what it never saw.

    Slots get the words of another utterance, and those that take any words a mixture that nobody said: which words they
    are is then of no use, only where they stand is. Whole utterances are lower-cased or lose their last mark.
    """

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        values: dict[str, list[str]] = {}
        for utterance in utterances:
            for words, slot in utterance.parts:
                if slot is not None:
                    values.setdefault(slot, []).append(words)
        self._values = {slot: said for slot, said in values.items() if len(set(said)) >= OPEN_FROM}
        self._choices = {slot: sorted(set(said)) for slot, said in values.items() if slot not in self._values}
        self._words = {
            slot: sorted({word for value in said for word in value.split()})
            for slot, said in self._values.items()
            if len(set(said)) >= FREE_SHARE * len(said)
        }

    def of(self, utterance: Utterance, draw: random.Random) -> Utterance:
        """One variation; the utterance itself about one time in four."""
        if draw.random() < 0.25:
            return utterance
        parts = [(self._other(words, slot, draw) if slot else words, slot) for words, slot in utterance.parts]
        if draw.random() < 0.1:
            parts = [(words.lower(), slot) for words, slot in parts]
        last, slot = parts[-1]
        if slot is None and len(parts) > 1 and draw.random() < 0.2:
            parts[-1] = (last.rstrip(".?! "), None)
        return Utterance(utterance.intent, tuple(part for part in parts if part[0]))

    def _other(self, words: str, slot: str, draw: random.Random) -> str:
        chance = draw.random()
        if slot in self._choices:
            return draw.choice(self._choices[slot]) if chance < 0.15 else words
        if chance < 0.45:
            return draw.choice(self._values[slot])
        if chance < 0.65 and slot in self._words:
            length = max(1, len(words.split()) + draw.choice((-1, 0, 0, 1)))
            return " ".join(draw.choice(self._words[slot]) for _ in range(length))
        return words


@dataclass(frozen=True)
class Scores:
    """Shares of 1. `slots` is the F1 over (slot, words) pairs of all utterances."""

    intents: float
    slots: float
    exact: float

    @property
    def all(self) -> tuple[float, float, float]:
        return self.intents, self.slots, self.exact


def score(wanted: Iterable[Utterance], answers: Iterable[str]) -> Scores:
    """Compare answers with the calls that were wanted. What is no JSON object counts as an empty one."""
    count = intents = exact = found = said = right = 0
    for utterance, answer in zip(wanted, answers, strict=True):
        call, given = json.loads(utterance.call), _object(answer)
        count += 1
        intents += given.get("intent") == call["intent"]
        exact += given == call
        expected, got = _pairs(call), _pairs(given)
        found += sum(expected.values())
        said += sum(got.values())
        right += sum((expected & got).values())
    return Scores(intents / count, 2 * right / max(found + said, 1), exact / count)


def _object(answer: str) -> dict[str, object]:
    try:
        given = json.loads(answer)
    except json.JSONDecodeError:
        return {}
    return given if isinstance(given, dict) else {}


def _pairs(call: dict[str, object]) -> Counter[tuple[str, str]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for slot, value in call.items():
        if slot != "intent":
            pairs.update((slot, str(words)) for words in (value if isinstance(value, list) else [value]))
    return pairs
