"""Answers that are kept, so that a table is searched once for what a text has often."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

MOST = 1 << 15


class Remembered(dict[Question, Answer]):
    """What a function says, as a dictionary; it forgets all when it has been asked 32,768 things."""

    def __init__(self, answer: Callable[[Question], Answer]) -> None:
        super().__init__()
        self._answer = answer

    def __missing__(self, question: Question) -> Answer:
        if len(self) >= MOST:
            self.clear()
        found = self[question] = self._answer(question)
        return found
