"""Words to ids: byte pairs, word pieces, unigrams. All three look tokens up in the table where it lies."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from .token_content import NONE, TokenContent, damaged
from .token_memory import Remembered

_GONE = -1
_BEHIND_ALL = b"\xff"  # comes after every byte of UTF-8


class Vocabulary:
    """Tokens by id, and ids by token: `TOKS` has the ids in order of their tokens' bytes."""

    def __init__(self, content: TokenContent, count: int, width: int) -> None:
        self.count = count
        self._offsets = content.numbers("TOKI")
        self._text = content.bytes_of("TOKT")
        self._order = content.numbers("TOKS", width)
        if len(self._offsets) != count + 1 or len(self._order) > count:
            raise damaged("its vocabulary is not as large as it says")
        self._ranges = Remembered(self._range)

    def token(self, number: int) -> bytes:
        """Empty where no token has that id."""
        return bytes(self._text[self._offsets[number] : self._offsets[number + 1]])

    def find(self, token: bytes) -> int | None:
        place = bisect_left(self._order, token, key=self.token)
        if place < len(self._order) and self.token(self._order[place]) == token:
            return self._order[place]
        return None

    def prefixes(self, text: str, start: int, behind: str = "") -> list[tuple[int, int]]:
        """(end, id) of every token that is `behind` and the text from `start` to that end, the shortest first."""
        found = []
        ranges = self._ranges
        wanted = behind
        for end in range(start + 1, len(text) + 1):
            wanted += text[end - 1]
            number, goes_on = ranges[wanted]
            if number >= 0:
                found.append((end, number))
            if not goes_on:
                break
        return found

    def _range(self, wanted: str) -> tuple[int, bool]:
        """The id of the token that this is, or -1, and whether there are longer ones that begin with it."""
        key = wanted.encode()
        low = bisect_left(self._order, key, key=self.token)
        high = bisect_left(self._order, key + _BEHIND_ALL, low, key=self.token)
        there = low < high and self.token(self._order[low]) == key
        return self._order[low] if there else -1, high - low > there


class BytePairs:
    """BPE: of all neighbours the pair that was learnt first is merged, the leftmost of equals, until none is left."""

    def __init__(self, content: TokenContent, vocabulary: Vocabulary, width: int, flags: int, unknown: int) -> None:
        self._vocabulary = vocabulary
        self._fallback, self._fuse, self._whole, self._bytes = (bool(flags >> place & 1) for place in range(4))
        self._unknown = unknown
        self._byte_ids = content.numbers("BYTE")
        self._starts = content.numbers("MRGL")
        self._merges = content.numbers("MRGE", width)
        if len(self._byte_ids) != 256 * (self._fallback or self._bytes) or len(self._starts) != vocabulary.count + 1:
            raise damaged("its merges are not of its vocabulary")
        self._units = Remembered(self._unit)
        self._rules = Remembered(self._rule)

    def ids(self, word: str) -> list[int]:
        if self._whole:
            found = self._vocabulary.find(word.encode())
            if found is not None:
                return [found]
        return self._merged(self._symbols(word))

    def _symbols(self, word: str) -> list[int]:
        symbols: list[int] = []
        waiting = False  # an unknown token that the next one may still be fused with
        units: Sequence[Any] = word.encode() if self._bytes else word
        for unit in units:
            number = self._byte_id(unit) if self._bytes else self._units[unit]
            if number is not None:
                if waiting:
                    symbols.append(self._unknown)
                    waiting = False
                symbols.append(number)
                continue
            if self._fallback:
                numbers = [self._byte_id(byte) for byte in unit.encode()]
                if None not in numbers:
                    # An unknown token that waits goes on waiting, and comes behind these: so do tokenizers.
                    symbols += [number for number in numbers if number is not None]
                    continue
            if self._unknown != NONE:
                if waiting and not self._fuse:
                    symbols.append(self._unknown)
                waiting = True
        if waiting:
            symbols.append(self._unknown)
        return symbols

    def _byte_id(self, byte: int) -> int | None:
        number = self._byte_ids[byte]
        return None if number == NONE else number

    def _unit(self, character: str) -> int | None:
        return self._vocabulary.find(character.encode())

    def _rule(self, pair: int) -> tuple[int, int] | None:
        """(rank, merged id) of left id << 32 | right id."""
        left, right = pair >> 32, pair & 0xFFFFFFFF
        start, end = self._starts[left], self._starts[left + 1]
        place = bisect_left(range(end), right, start, end, key=lambda number: self._merges[3 * number])
        there = place < end and self._merges[3 * place] == right
        return (self._merges[3 * place + 1], self._merges[3 * place + 2]) if there else None

    def _merged(self, symbols: list[int]) -> list[int]:
        rules = self._rules
        end = len(symbols)
        after = list(range(1, end + 1))
        before = list(range(-1, end - 1))
        queue: list[tuple[int, int, int]] = []
        for place in range(end - 1):
            rule = rules[symbols[place] << 32 | symbols[place + 1]]
            if rule is not None:
                queue.append((rule[0], place, rule[1]))
        heapq.heapify(queue)
        while queue:
            _, place, merged = heapq.heappop(queue)
            following = after[place]
            if symbols[place] == _GONE or following == end:
                continue
            rule = rules[symbols[place] << 32 | symbols[following]]
            # What was offered before its neighbours changed counts if it still gives the same token: so do tokenizers.
            if rule is None or rule[1] != merged:
                continue
            symbols[place] = merged
            symbols[following] = _GONE
            beyond = after[place] = after[following]
            if beyond < end:
                before[beyond] = place
                rule = rules[merged << 32 | symbols[beyond]]
                if rule is not None:
                    heapq.heappush(queue, (rule[0], place, rule[1]))
            ahead = before[place]
            if ahead >= 0:
                rule = rules[symbols[ahead] << 32 | merged]
                if rule is not None:
                    heapq.heappush(queue, (rule[0], ahead, rule[1]))
        return [number for number in symbols if number != _GONE]


class WordPieces:
    """WordPiece: the longest token that a word begins with, then the longest that goes on; or the word is unknown."""

    def __init__(self, vocabulary: Vocabulary, unknown: int, prefix: str, longest: int) -> None:
        self._vocabulary = vocabulary
        self._unknown = unknown
        self._prefix = prefix
        self._longest = longest

    def ids(self, word: str) -> list[int]:
        if len(word) > self._longest:
            return [self._unknown]
        numbers: list[int] = []
        start = 0
        while start < len(word):
            found = self._vocabulary.prefixes(word, start, self._prefix if start else "")
            if not found:
                return [self._unknown]
            start, number = found[-1]
            numbers.append(number)
        return numbers


class Unigrams:
    """Unigram: of all ways to cut a word into tokens, the one whose log probabilities add up to most (Viterbi)."""

    def __init__(
        self, content: TokenContent, vocabulary: Vocabulary, width: int, flags: int, unknown: int, unknown_score: float
    ) -> None:
        self._vocabulary = vocabulary
        self._scores = content.scores("SCOR", width)
        self._unknown = unknown
        self._unknown_score = unknown_score
        self._byte_ids = content.numbers("BYTE")
        if len(self._scores) != vocabulary.count or len(self._byte_ids) != 256 * (flags & 1):
            raise damaged("its scores are not of its vocabulary")

    def ids(self, word: str) -> list[int]:
        numbers: list[int] = []
        for start, end, number in self._path(word):
            if number != self._unknown:
                numbers.append(number)
                continue
            unknown = word[start:end].encode()
            found = self._vocabulary.find(unknown)
            spelt = [self._byte_ids[byte] for byte in unknown] if found is None and self._byte_ids else [NONE]
            if found is not None:
                numbers.append(found)
            elif NONE not in spelt:
                numbers += spelt
            else:
                numbers.append(self._unknown)
        return numbers

    def _path(self, word: str) -> list[tuple[int, int, int]]:
        """(start, end, id) of the best path's tokens; neighbours that are unknown are one."""
        size = len(word)
        scores = [0.0] * (size + 1)
        starts = [-1] * (size + 1)
        tokens = [NONE] * (size + 1)

        for start in range(size):
            here = scores[start]
            edges = self._vocabulary.prefixes(word, start)
            for end, number in edges:
                score = here + self._scores[number]
                if starts[end] < 0 or score > scores[end]:
                    scores[end], starts[end], tokens[end] = score, start, number
            end = start + 1
            if not edges or edges[0][0] > end:
                score = here + self._unknown_score
                if starts[end] < 0 or score > scores[end]:
                    scores[end], starts[end], tokens[end] = score, start, self._unknown
        path: list[tuple[int, int, int]] = []
        end = size
        while end > 0:
            start, number = starts[end], tokens[end]
            if path and number == path[-1][2] == self._unknown:
                path[-1] = (start, path[-1][1], number)
            else:
                path.append((start, end, number))
            end = start
        return path[::-1]
