"""A bundle's model, ready for texts."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .container import open_container
from .errors import BundleError, MissingPackageError, UsageError
from .tokenizer import Encoding, Tokenizer

try:
    import numpy as np
except ImportError as error:
    raise MissingPackageError("numpy", "edgeslm_device") from error

from .probabilities import sigmoid, softmax
from .runner import Runner, open_runner
from .sampling import Sampling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .conversation import Conversation
    from .generate import Generation
    from .json_schema import JsonSchema
    from .language_model import LanguageModel, Prompt

METHODS = {
    "embedding": "embed",
    "classification": "classify",
    "token-classification": "classify_tokens",
    "fill-mask": "fill_mask",
    "tensors": "run",
    "generation": "generate",
}
"""The method for each task a bundle can have."""

LITERAL_MASK = "[MASK]"
"""What a text may say for the mask token of any model."""


class TruncationWarning(UserWarning):
    """A text was longer than the model's limit, and its end was not read."""


class Model:
    """A model with its tokenizer. `Model.open(path)`, then the method of its task.

    The text methods take a text or a sequence of texts and answer for each text, in order. A text too long for the
    model is cut with a TruncationWarning; `encode` tells beforehand. A language model has `generate` and `conversation`
    instead, and no `runner`.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        runner: Runner | None,
        tokenizer: Tokenizer | None,
        language: LanguageModel | None = None,
    ) -> None:
        self.manifest = manifest
        self._runner = runner
        self.tokenizer = tokenizer
        self._language = language
        self.labels: list[str] = list(manifest["labels"])

    @classmethod
    def open(cls, path: str | Path, threads: int = 2) -> Model:
        """Open a bundle's file, or the folder it was unpacked to.

        Raises BundleError where it is damaged or newer than this package, MissingPackageError where its runtime or
        tokenizers is not installed, StorageError where the runtime needs a copy of the model that cannot be written.
        """
        container = open_container(path)
        described = container.manifest.get("tokenizer")
        tokenizer = None
        if described is not None:
            content = container.files.read(described["file"])
            cut = container.manifest["task"] != "generation"  # a prompt is cut by other rules, or not at all
            tokenizer = Tokenizer(content, described["max_length"], described.get("mask_token"), cut)
        if container.manifest["task"] == "generation":
            from .language_model import open_language_model

            return cls(container.manifest, None, tokenizer, open_language_model(container, tokenizer, threads))
        runner = open_runner(container.manifest["model"], container.files, threads)
        return cls(container.manifest, runner, tokenizer)

    @property
    def runner(self) -> Runner:
        """What runs the model's arrays. Raises UsageError for a language model, which has an engine with a cache."""
        if self._runner is None:
            raise UsageError(f"{self.name} does {self.task}: it runs no arrays", "use generate(…)")
        return self._runner

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def task(self) -> str:
        return str(self.manifest["task"])

    def close(self) -> None:
        """Free the model's memory."""
        (self._language.context if self._language else self.runner).close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def encode(self, text: str) -> Encoding:
        """A text's tokens, and whether it is longer than the model takes (`truncated`)."""
        if self.tokenizer is None:
            raise UsageError(f"{self.name} is a plain module: it takes no text", "run(inputs) takes its arrays")
        return self.tokenizer.encode(text)

    def embed(self, texts: str | Sequence[str]) -> NDArray[np.float32]:
        """A vector per text: float32, shape (texts, D)."""
        self._require_task("embedding")
        vectors = self._each(_as_list(texts), lambda encoding, output, text: output.reshape(-1))
        if not vectors:
            return np.zeros((0, self.runner.output_shape(0)[-1]), np.float32)
        return np.stack(vectors).astype(np.float32, copy=False)

    def classify(self, texts: str | Sequence[str]) -> list[list[tuple[str, float]]]:
        """For each text all labels with their scores, the best first.

        Scores are probabilities that sum to 1; independent ones where the manifest says `multi_label`; the plain
        output where there is a single label (a regression).
        """
        self._require_task("classification")
        return self._each(_as_list(texts), lambda encoding, output, text: self._ranked(output.reshape(-1)))

    def classify_tokens(self, texts: str | Sequence[str]) -> list[list[tuple[str, int, int, str, float]]]:
        """For each text its tokens: (text of the token, start, end, label, probability). Special tokens are left out.

        `start` and `end` are characters of the text.
        """
        self._require_task("token-classification")
        given = _as_list(texts)

        def label(encoding: Encoding, output: NDArray[Any], text: str) -> list[tuple[str, int, int, str, float]]:
            scores = softmax(output.reshape(len(encoding.ids), -1))
            best = scores.argmax(axis=1)
            return [
                (text[start:end], start, end, self._label(int(best[i]), scores.shape[1]), float(scores[i, best[i]]))
                for i, (start, end) in enumerate(encoding.offsets)
                if not encoding.special[i]
            ]

        return self._each(given, label)

    def fill_mask(self, texts: str | Sequence[str], top: int = 5) -> list[list[tuple[str, float]]]:
        """For each text the `top` likeliest words for its mask, with their probabilities.

        A text has one mask: the model's own mask token, or "[MASK]" whatever the model's is.
        """
        self._require_task("fill-mask")
        if top < 1:
            raise UsageError(f"top must be at least 1, not {top}")
        tokenizer = self.tokenizer
        mask_id = tokenizer.mask_id if tokenizer else None
        if tokenizer is None or mask_id is None or tokenizer.mask_token is None:
            raise BundleError(f"{self.name} fills masks, but its manifest names no mask token that its tokenizer knows")
        mask = tokenizer.mask_token
        given = [text if mask in text else text.replace(LITERAL_MASK, mask) for text in _as_list(texts)]

        def fill(encoding: Encoding, output: NDArray[Any], text: str) -> list[tuple[str, float]]:
            scores = softmax(output.reshape(len(encoding.ids), -1)[encoding.ids.index(mask_id)])
            # Models are often padded to a round number of ids; those without a token are no answer.
            best = ((token, tokenizer.word(int(token))) for token in np.argsort(-scores, kind="stable"))
            words = ((word, float(scores[token])) for token, word in best if word is not None)
            return list(itertools.islice(words, top))

        for text in given:
            _require_one_mask(text, mask, tokenizer.encode(text).ids.count(mask_id))
        return self._each(given, fill)

    def generate(
        self,
        prompt: Prompt,
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        stop: str | Sequence[str] = (),
        json_schema: JsonSchema | None = None,
        chat: bool = False,
        truncate: bool = False,
        reuse_cache: bool = False,
        timings: bool = False,
    ) -> Generation:
        """The answer to a prompt: an iterator of Pieces, computed as they are asked for; `read()` gives the whole text.

        A text is gone on with; "" begins with BOS. With `chat` it is a user's message, and the chat template is
        applied, as to messages ([{"role": "user", "content": "…"}]). The answer ends with the model's end-of-sequence
        token, after `max_tokens` tokens, before a `stop` string, or when prompt and answer fill the context.
        `json_schema` (a mapping, its JSON text, a Path; True: any object) makes it a JSON document of that schema,
        unless it is cut: then `fits` of the answer is False. `truncate` keeps only the end of a prompt that is too
        long, with room for `max_tokens`, BOS in front. `reuse_cache` does not compute again what the prompt before
        began with as well (then the last bits may differ). `timings` measures.

        Raises UsageError for values out of range, a prompt that is too long or no UTF-8, messages that the template
        refuses, a schema that cannot be followed; BundleError where the template fails; MissingPackageError where the
        template needs jinja2, or the schema llguidance.
        """
        return self._require_language().generate(
            prompt,
            Sampling(temperature, top_k, top_p, min_p, repetition_penalty, seed),
            max_tokens=max_tokens,
            stop=stop,
            json_schema=json_schema,
            chat=chat,
            truncate=truncate,
            reuse_cache=reuse_cache,
            timings=timings,
        )

    def conversation(self) -> Conversation:
        """A chat that begins: `conversation().say("…")` is the answer to the first turn."""
        from .conversation import Conversation

        self._require_language()
        return Conversation(self)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The model's raw outputs for raw inputs, batch 1, not padded. Names and shapes are in `manifest["model"]`."""
        return self.runner.run(inputs)

    def _each(self, texts: list[str], answer: Callable[[Encoding, NDArray[Any], str], Any]) -> list[Any]:
        encodings = [self.encode(text) for text in texts]
        cut = [number for number, encoding in enumerate(encodings) if encoding.truncated]
        if cut:
            limit = self.tokenizer.max_length if self.tokenizer else 0
            # Blames the caller of the public method: three frames up.
            warnings.warn(_truncation(cut, limit), TruncationWarning, stacklevel=3)
        answers: list[Any] = [None] * len(texts)
        # By length: a runtime that prepares itself for each new length does so once.
        for number in sorted(range(len(texts)), key=lambda number: len(encodings[number].ids)):
            inputs = encodings[number].inputs()
            outputs = self.runner.run({name: inputs[name] for name in self.runner.input_names if name in inputs})
            answers[number] = answer(encodings[number], next(iter(outputs.values())), texts[number])
        return answers

    def _ranked(self, logits: NDArray[Any]) -> list[tuple[str, float]]:
        if logits.size == 1:
            scores = logits
        elif self.manifest.get("multi_label"):
            scores = sigmoid(logits)
        else:
            scores = softmax(logits)
        order = np.argsort(-scores, kind="stable")
        return [(self._label(int(i), scores.size), float(scores[i])) for i in order]

    def _label(self, index: int, count: int) -> str:
        if count != len(self.labels):
            raise BundleError(f"{self.name} gives {count} scores, but its manifest names {len(self.labels)} labels")
        return self.labels[index]

    def _require_language(self) -> LanguageModel:
        self._require_task("generation")
        assert self._language is not None  # `open` gives every language model its engine
        return self._language

    def _require_task(self, task: str) -> None:
        if self.task != task:
            method = METHODS.get(self.task, "run")
            raise UsageError(
                f"{self.name} does {self.task}, not {task}", f"use {method}(…) instead of {METHODS[task]}(…)"
            )


def _as_list(texts: str | Sequence[str]) -> list[str]:
    given = [texts] if isinstance(texts, str) else list(texts)
    for text in given:
        if not isinstance(text, str):
            raise UsageError(f"a text must be a str, not {type(text).__name__}")
    return given


def _require_one_mask(text: str, mask: str, count: int) -> None:
    shown = text if len(text) <= 60 else text[:57] + "…"
    if mask not in text:
        raise UsageError(
            f"the text has no mask token: {shown!r}", f"put {mask} (or {LITERAL_MASK}) where a word is missing"
        )
    if count == 0:
        raise UsageError(f"the mask token lies behind the model's limit: {shown!r}", "shorten the text before it")
    if count > 1:
        raise UsageError(f"the text has {count} mask tokens: {shown!r}", "fill one at a time")


def _truncation(cut: list[int], limit: int) -> str:
    shown = ", ".join(str(number + 1) for number in cut[:10]) + (", …" if len(cut) > 10 else "")
    which = "the text" if cut == [0] else f"{len(cut)} texts (number {shown})"
    return f"{which} longer than {limit} tokens: what comes after them was not read"
