"""The options of `run` for language models, for whichever parser: each is an argument of Model.generate."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class PromptOption(NamedTuple):
    """`kind` is the type of its value; bool is a flag without one."""

    name: str
    kind: type
    metavar: str
    help: str
    repeated: bool = False

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


PROMPT_OPTIONS = (
    PromptOption("max_tokens", int, "N", "at most so many tokens (default: 256)"),
    PromptOption("temperature", float, "X", "0 takes the likeliest token (default: 0)"),
    PromptOption("top_k", int, "N", "draw from the N likeliest tokens (default: 0, all)"),
    PromptOption("top_p", float, "X", "draw from the fewest that hold so much probability (default: 1)"),
    PromptOption("min_p", float, "X", "leave out those below X times the likeliest (default: 0)"),
    PromptOption("repetition_penalty", float, "X", "above 1: fewer repetitions (default: 1)"),
    PromptOption("seed", int, "N", "the same seed gives the same answer (default: 0)"),
    PromptOption("stop", str, "S", "end before this text; may be given more than once", repeated=True),
    PromptOption("json_schema", Path, "FILE", "answer with a JSON document of this JSON schema"),
    PromptOption("chat", bool, "", "apply the chat template; without --prompt a chat of several turns"),
    PromptOption("truncate", bool, "", "cut the beginning of a prompt that is too long"),
)
