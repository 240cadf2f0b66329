"""A bundle's language model: prompts in, answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .chat import ChatTemplate
from .context import Context
from .errors import BundleError, PromptTooLongError, UsageError
from .generate import Generation
from .sampling import Sampling
from .text_stream import TextStream
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    from .constraint import Constraint, Constraints
    from .container import Container
    from .files import Files
    from .json_schema import JsonSchema
    from .language import LanguageEngine

    Prompt = str | Sequence[Mapping[str, str]]  # a text, or a chat's messages: [{"role": "user", "content": "…"}]

_FIELDS: dict[str, Any] = {
    "context": int,
    "bos": (int, type(None)),
    "eos": list,
    "chat_template": (str, type(None)),
    "special": dict,
    "add_bos": bool,
}


def open_language_model(container: Container, tokenizer: Tokenizer | None, threads: int) -> LanguageModel:
    """An opened bundle's language model. Raises BundleError where the manifest does not describe it wholly."""
    from .open_language import open_language

    manifest = container.manifest
    name, described = manifest["name"], manifest.get("generation")
    for field, kind in _FIELDS.items():
        if not isinstance(described, Mapping) or not isinstance(described.get(field, ...), kind):
            raise BundleError(f"{name}: its manifest's generation.{field} is missing or of the wrong type")
    if tokenizer is None:
        raise BundleError(f"{name} generates text, but its manifest names no tokenizer")
    assert described is not None
    engine = open_language(manifest["model"], container.files, threads)
    return LanguageModel(name, described, engine, tokenizer, container.files)


class LanguageModel:
    """An engine with its tokenizer and its chat template. `described` is the manifest's `generation` object."""

    def __init__(
        self, name: str, described: Mapping[str, Any], engine: LanguageEngine, tokenizer: Tokenizer, files: Files
    ) -> None:
        self.name = name
        self.context = Context(engine)
        self._described = described
        self._tokenizer = tokenizer
        self._files = files
        self._bos: int | None = described["bos"]
        self._end_ids = frozenset(int(token) for token in described["eos"])
        self._template: ChatTemplate | None = None
        self._constraints: Constraints | None = None

    def generate(
        self,
        prompt: Prompt,
        sampling: Sampling,
        *,
        max_tokens: int,
        stop: str | Sequence[str],
        json_schema: JsonSchema | None,
        chat: bool,
        truncate: bool,
        reuse_cache: bool,
        timings: bool,
    ) -> Generation:
        """See Model.generate. What is wrong with the prompt is told here, before anything is computed."""
        stops = [stop] if isinstance(stop, str) else list(stop)
        for text in stops:
            _require_utf8(text, "a stop string")
        ids = self.prompt_ids(prompt, chat)
        fitting = self._fitting(ids, max_tokens) if truncate else ids
        context = self.context.engine.context
        if len(fitting) >= context:
            raise PromptTooLongError(
                f"the prompt has {len(fitting)} tokens; prompt and answer together have room for {context}",
                "--truncate (truncate=True) cuts its beginning, or shorten it",
            )
        constraint = None if json_schema is None else self._constraint(json_schema)
        return Generation(
            self.context,
            fitting,
            TextStream(self._tokenizer),
            end_ids=self._end_ids,
            sampling=sampling,
            max_tokens=max_tokens,
            stop=stops,
            constraint=constraint,
            cut=len(ids) - len(fitting),
            reuse_cache=reuse_cache,
            timings=timings,
        )

    def prompt_ids(self, prompt: Prompt, chat: bool = False) -> list[int]:
        """A prompt's tokens, at least one. Messages, and with `chat` a text as well, go through the chat template.

        An empty text is the beginning-of-sequence token alone. Raises UsageError where the model has none, and for
        text that is no UTF-8.
        """
        if isinstance(prompt, str):
            _require_utf8(prompt, "the prompt")
            if not chat:
                return self._text_ids(prompt)
        elif not isinstance(prompt, Sequence):
            raise UsageError(f"a prompt must be a str or a list of messages, not {type(prompt).__name__}")
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        text = self._chat_template().render(messages)
        _require_utf8(text, "the chat")
        ids = self._tokenizer.ids(text, special=False)  # the template writes BOS itself
        if not ids:
            raise BundleError(f"{self.name}: its chat template gives no text")
        return ids

    def _constraint(self, json_schema: JsonSchema) -> Constraint:
        from .constraint import Constraints
        from .json_schema import read_json_schema

        schema = read_json_schema(json_schema)
        if self._constraints is None:
            self._constraints = Constraints(self._tokenizer, self.context.engine.vocabulary, self._end_ids)
        return self._constraints.json(schema)

    def _text_ids(self, text: str) -> list[int]:
        ids = self._tokenizer.ids(text) if text else []
        if self._described["add_bos"] and self._bos is not None and ids[:1] != [self._bos]:
            ids.insert(0, self._bos)
        if ids:
            return ids
        if self._bos is None:
            raise UsageError(
                f"the prompt is empty, and {self.name} has no token to begin a text with", "give it a first word"
            )
        return [self._bos]

    def _chat_template(self) -> ChatTemplate:
        if self._template is None:
            file = self._described["chat_template"]
            if file is None:
                raise UsageError(f"{self.name} has no chat template: it goes on with texts", "leave out --chat")
            try:
                source = self._files.read(file).decode()
            except UnicodeDecodeError as error:
                raise BundleError(f"{self.name}: {file} is not UTF-8: byte {error.start}") from None
            self._template = ChatTemplate(source, self._described["special"])
        return self._template

    def _fitting(self, ids: list[int], max_tokens: int) -> list[int]:
        """The end of a prompt that is too long, so that the answer has room; BOS stays in front."""
        context = self.context.engine.context
        if len(ids) < context:
            return ids
        # An answer that may fill the whole context leaves no room: then each gets half.
        room = context - max_tokens if max_tokens < context else max(context // 2, 1)
        if ids[0] == self._bos and room > 1:
            return [ids[0], *ids[len(ids) - room + 1 :]]
        return ids[len(ids) - room :]


def _require_utf8(text: str, what: str) -> None:
    """Arguments that are no UTF-8 come as lone surrogates, which no tokenizer takes."""
    if not isinstance(text, str):
        raise UsageError(f"{what} must be a str, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is not UTF-8: byte {len(text[: error.start].encode())}") from None
