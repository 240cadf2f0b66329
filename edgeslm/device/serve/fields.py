"""A request's fields, each with the type and range it must have. null is as good as none."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .refusal import RefusalError, wrong

NEAR = 0.85
"""So alike is a misspelt name to the one that was meant (difflib's ratio)."""
LARGEST = sys.float_info.max


class Fields:
    """Reads them by name; raises RefusalError (400) that names the field."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._given = {name: value for name, value in document.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def get(self, name: str) -> Any:
        """The value as it came, or None."""
        return self._given.get(name)

    def whole(self, name: str, default: int | None = None, least: int | None = None) -> int | None:
        value = self._given.get(name, default)
        if value is None:
            return None
        fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64
        if not fits or (least is not None and value < least):
            raise _unfit(name, value, "a whole number" + ("" if least is None else f" from {least}"))
        return int(value)

    def number(self, name: str, default: float, least: float, most: float = LARGEST) -> float:
        value = self._given.get(name, default)
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
        if not fits:
            upper = "" if most == LARGEST else f" to {most:g}"
            raise _unfit(name, value, f"a number from {least:g}{upper}")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self._given.get(name, False)
        if not isinstance(value, bool):
            raise _unfit(name, value, "true or false")
        return value

    def text(self, name: str) -> str:
        if name not in self._given:
            raise wrong(name, f"{name} is missing")
        return checked_text(name, self._given[name])

    def refuse_unsupported(self, neutral: Mapping[str, tuple[Any, ...]]) -> None:
        """Refuse fields that would change the answer and have another value than those that change nothing."""
        for name, values in neutral.items():
            value = self._given.get(name)
            # 1 == True: a flag and a number are not the same.
            if value is not None and not any(value == one and type(value) is type(one) for one in values):
                raise wrong(name, f"{name} is not supported{_alternatives(values)}", "unsupported_parameter")

    def refuse_misspelt(self, known: Iterable[str], foreign: Mapping[str, str]) -> None:
        """Unknown fields are ignored, as other servers do, but for those that are a known one misspelt.

        `foreign`: what another server calls one of them.
        """
        names = set(known)
        for name in self._given.keys() - names:
            near = [foreign[name]] if name in foreign else difflib.get_close_matches(name[:60], names, 1, NEAR)
            if near:
                raise wrong(name[:60], f"{name[:60]!r} is no field of this request; did you mean {near[0]}?")


def checked_text(name: str, value: Any) -> str:
    """The value, if it is a text that can be written as UTF-8."""
    if not isinstance(value, str):
        raise _unfit(name, value, "a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong(name, f"{name} holds half of a surrogate pair, which is no text") from None
    return value


def _unfit(name: str, value: object, wanted: str) -> RefusalError:
    return wrong(name, f"{name} is {_shown(value)}; it must be {wanted}")


def _shown(value: object) -> str:
    if isinstance(value, (list, dict)):
        return {list: "a list", dict: "an object"}[type(value)]
    # A whole number of more digits than Python likes to write is one of the things a stranger may send.
    return "a very large number" if isinstance(value, int) and abs(value) >= 10**30 else f"{value!r:.60}"


def _alternatives(values: tuple[Any, ...]) -> str:
    plain = [repr(value).lower() for value in values if not isinstance(value, (list, dict, str))]
    return f" but as {' or '.join(plain)}" if plain else ""
