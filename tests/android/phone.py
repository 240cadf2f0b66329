"""A JVM that stands for a phone: requests in, answers out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Phone:
    """A JVM that answers requests: see tests/android/java/org/edgeslm/Answers.java."""

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def ask(self, *words: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        escaped = [str(word).replace("\\", "\\\\").replace("\n", "\\n") for word in words]
        self._process.stdin.write("\t".join(escaped).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().decode()
        assert answer.endswith("\n"), self._errors.read_text()
        return answer[:-1].replace("\\n", "\n").replace("\\\\", "\\")

    def numbers(self, *words: object) -> list[Any]:
        answer = self.ask(*words)
        assert answer.startswith("["), answer
        numbers: list[Any] = json.loads(answer)
        return numbers

    def close(self) -> None:
        self._process.communicate()
