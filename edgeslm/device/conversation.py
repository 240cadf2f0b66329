"""A chat of several turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .generate import Generation
    from .model import Model


class Conversation:
    """Turns of a user and a model. What the cache holds of the turns before is not computed again.

    An answer that was interrupted counts as far as it came; a turn without any answer does not count.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._messages: list[dict[str, str]] = []
        self._under_way: tuple[str, Generation] | None = None

    @property
    def messages(self) -> list[dict[str, str]]:
        """The turns until now, in the form that Model.generate takes."""
        if self._under_way is not None:
            said, answer = self._under_way
            self._under_way = None
            answer.close()
            if answer.tokens:
                self._messages += [_message("user", said), _message("assistant", answer.text)]
        return list(self._messages)

    def say(self, text: str, **options: Any) -> Generation:
        """The answer to the next message. `options` are those of Model.generate.

        An answer that is still under way ends here.
        """
        answer = self._model.generate([*self.messages, _message("user", text)], reuse_cache=True, **options)
        self._under_way = text, answer
        return answer


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
