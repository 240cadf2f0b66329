"""Whatever a model's logits are, an answer held to a JSON schema is a document of it; every document can be said."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer as TheirTokenizer
from tokenizers import normalizers

from edgeslm.device import Model
from edgeslm.device.constraint import Constraint, Constraints
from edgeslm.device.context import Context
from edgeslm.device.errors import DeviceError, MissingPackageError, UsageError
from edgeslm.device.generate import Generation
from edgeslm.device.json_schema import MAX_BYTES, read_json_schema
from edgeslm.device.sampling import Sampling
from edgeslm.device.text_stream import TextStream
from edgeslm.device.token_bytes import token_bytes
from edgeslm.device.tokenizer import Tokenizer
from tests.unit import fake_open_language, tokenizer_examples
from tests.unit.device_bundles import write_file
from tests.unit.language_bundles import language_members, tokenizer_json

PADDING = 13
"""Models give logits for more ids than there are tokens."""
END = 2
KINDS = ["byte-level", "byte-fallback", "unigram", "word-piece"]
JSON_CHARACTERS = '{}[]":,.-+0123456789 abcdeE\\'

Schema = dict[str, Any]
REQUEST: Schema = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["GetWeather", "PlayMusic"]},
        "city": {"type": "string", "maxLength": 12},
        "n": {"type": "integer", "minimum": -5, "maximum": 300},
    },
    "required": ["intent"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, Schema] = {
    "request": REQUEST,
    "enum": {"enum": ["abc", 'a"b', "back\\ed", "", 10, -0.5, None, True, {"a": [1, {"b": 2}]}]},
    "nested": {
        "type": "object",
        "properties": {
            "a": {"type": "object", "properties": {"d": {"type": "null"}}, "additionalProperties": False},
            "b": {"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 1, "maxItems": 3},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    },
    "numbers": {
        "type": "array",
        "items": {"anyOf": [{"type": "integer", "minimum": 7, "maximum": 1000}, {"const": 0.25}]},
        "minItems": 2,
        "maxItems": 4,
    },
    "string": {"type": "string", "minLength": 2, "maxLength": 5},
    "pattern": {"type": "string", "pattern": "^[abc]{2,4}0?$"},
    "recursive": {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {"a": {"type": "boolean"}, "b": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]}},
                "required": ["a", "b"],
                "additionalProperties": False,
            }
        },
    },
    "integer": {"type": "integer", "minimum": 0},
    "object": {"type": "object"},
}  # fmt: skip
ENDLESS = {"recursive", "integer", "object"}
"""Their documents may have any length; all others end within MAX_TOKENS, whatever is chosen."""
MAX_TOKENS = 160


@functools.cache
def tokenizer(kind: str) -> Tokenizer:
    """A trained one of each kind that can spell JSON: those without bytes get its characters."""
    made = {
        "byte-level": lambda: tokenizer_examples.byte_level(tokenizer_examples.LLAMA3),
        "byte-fallback": tokenizer_examples.byte_fallback,
        "unigram": lambda: tokenizer_examples.unigram(normalizers.NFKC()),
        "word-piece": tokenizer_examples.word_piece,
    }[kind]()
    document = json.loads(made.to_str())
    vocabulary = document["model"]["vocab"]
    if kind == "unigram":
        known = {piece for piece, _ in vocabulary}
        vocabulary += [[character, -9.0] for character in JSON_CHARACTERS if character not in known]
    if kind == "word-piece":
        free = made.get_vocab_size()
        for character in JSON_CHARACTERS.replace(" ", ""):
            for piece in (character, f"##{character}"):
                if piece not in vocabulary:
                    vocabulary[piece] = free = free + 1
    return Tokenizer(TheirTokenizer.from_str(json.dumps(document)).to_str().encode(), 512, cut=False)


@functools.cache
def constraints(kind: str) -> Constraints:
    return Constraints(tokenizer(kind), size(kind), [END])


def size(kind: str) -> int:
    return int(max(tokenizer(kind)._tokenizer.get_vocab().values())) + 1 + PADDING


@functools.cache
def texts(kind: str) -> list[bytes]:
    return token_bytes(tokenizer(kind), size(kind))


class Adversary:
    """An engine whose logits are noise, with a liking for some tokens, and no numbers where no token may be."""

    name = "adversary"
    context = 400

    def __init__(self, vocabulary: int, seed: int, scale: float = 4.0, likes: tuple[int, ...] = ()) -> None:
        self.vocabulary = vocabulary
        self._random = np.random.default_rng(seed)
        self._scale = scale
        self._likes = list(likes)
        self.steps = 0

    def prefill(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        made = self._random.normal(scale=self._scale, size=self.vocabulary).astype(np.float32)
        made[self._likes] += np.float32(6 * self._scale)
        made[-PADDING:] = [np.nan, np.inf, -np.inf, *(PADDING - 3) * [1e9]]
        return made

    def step(self, token: int, position: int) -> NDArray[np.float32]:
        self.steps += 1
        return self.prefill(np.array([token], np.int32), position)

    def close(self) -> None:
        pass


def answer(kind: str, constraint: Constraint, engine: Adversary, sampling: Sampling, **options: Any) -> Generation:
    arguments = {"end_ids": frozenset([END]), "max_tokens": MAX_TOKENS, **options}
    stream = TextStream(tokenizer(kind))
    return Generation(Context(engine), [1], stream, sampling=sampling, constraint=constraint, **arguments)


SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 4.0]),
    top_k=st.sampled_from([0, 1, 3]),
    top_p=st.sampled_from([1.0, 0.5]),
    min_p=st.sampled_from([0.0, 0.3]),
    repetition_penalty=st.sampled_from([1.0, 0.5, 1.5]),
    seed=st.integers(0, 100),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SCHEMAS)), SAMPLINGS, st.integers(0, 2**32), st.sampled_from([0.1, 4.0]), st.data())
def test_any_logits_give_a_document(
    kind: str, name: str, sampling: Sampling, seed: int, scale: float, data: st.DataObject
) -> None:
    likes = data.draw(st.lists(st.integers(0, size(kind) - 1), max_size=4))
    engine = Adversary(size(kind), seed, scale, tuple(likes))
    given_answer = answer(kind, constraints(kind).json(json.dumps(SCHEMAS[name])), engine, sampling)
    text = given_answer.read()
    assert given_answer.finish is not None
    if given_answer.fits:
        jsonschema.validate(json.loads(text), SCHEMAS[name])
    else:
        assert given_answer.finish.reason == "length"
        assert name in ENDLESS
    for token in given_answer.tokens:
        assert token not in tokenizer(kind).special_ids - {END}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Of REQUEST, their keys in its order."""
    values = {
        "intent": st.sampled_from(["GetWeather", "PlayMusic"]),
        "city": st.text("abcé \"'\\\n日", max_size=12),
        "n": st.integers(-5, 300),
    }
    return {key: draw(value) for key, value in values.items() if key == "intent" or draw(st.booleans())}


@pytest.mark.parametrize("kind", ["byte-level", "byte-fallback"])
@pytest.mark.parametrize("separators", [None, (",", ":")])
@settings(max_examples=40, deadline=None)
@given(document=documents())
def test_every_document_can_be_said_in_the_tokenizers_own_tokens(
    kind: str, separators: tuple[str, str] | None, document: dict[str, Any]
) -> None:
    """As a model was trained on it: nothing is forced into other tokens or other spaces."""
    text = json.dumps(document, ensure_ascii=False, separators=separators)
    constraint = constraints(kind).json(json.dumps(REQUEST))
    wanted = tokenizer(kind).ids(text, special=False)
    logits = np.zeros(size(kind), np.float32)
    for number, token in enumerate(wanted):
        assert not constraint.complete
        assert constraint.masked(logits)[token] == 0, (number, tokenizer(kind).token(token))
        constraint.guide(lambda scores, token=token: token)(logits)  # type: ignore[misc]  # mypy cannot type a default
    assert constraint.complete
    assert constraint.satisfied


def test_keys_keep_the_schemas_order_and_optional_ones_may_be_left_out() -> None:
    constraint = constraints("byte-level").json(json.dumps(REQUEST))
    said = answer("byte-level", constraint, Adversary(size("byte-level"), 3), Sampling(temperature=1.0)).read()
    order = list(json.loads(said))
    assert order[0] == "intent"
    assert order == [key for key in REQUEST["properties"] if key in order]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_token_bytes_are_what_decoding_gives(kind: str, data: st.DataObject) -> None:
    found = texts(kind)
    spoken = [number for number, text in enumerate(found) if text]
    ids = data.draw(st.lists(st.sampled_from(spoken), max_size=8))
    try:
        text = b"".join(found[token] for token in ids).decode()
    except UnicodeDecodeError:
        return  # decoders differ in what they make of bytes that are no text
    marked = kind == "word-piece" and ids and str(tokenizer(kind).token(ids[0])).startswith("##")
    if not marked:  # which WordPiece shows where a text begins
        assert tokenizer(kind).decode(ids) in (text, text.removeprefix(" "))


@pytest.mark.parametrize("kind", KINDS)
def test_only_special_tokens_and_ids_without_a_token_have_no_bytes(kind: str) -> None:
    silent = {number for number, text in enumerate(texts(kind)) if not text}
    own = tokenizer(kind)
    assert silent == {number for number in range(size(kind)) if number in own.special_ids or own.token(number) is None}


@pytest.mark.parametrize("ends", [[], [END], [0, END], [END, 10**6]])
def test_a_number_ends_with_any_end_token(ends: list[int]) -> None:
    """Whatever the tokens say themselves: here one of them is a digit, which then is no digit any more."""
    kind = "byte-level"
    [digit] = tokenizer(kind).ids("7", special=False)[-1:]
    made = Constraints(tokenizer(kind), size(kind), [*ends, digit])
    engine = Adversary(size(kind), 5, 0.1, (digit, *(end for end in ends if end < size(kind))))
    given_answer = answer(kind, made.json('{"type": "integer"}'), engine, Sampling(), end_ids=frozenset([*ends, digit]))
    text = given_answer.read()
    assert "7" not in text
    assert isinstance(json.loads(text), int)
    assert given_answer.finish is not None
    assert given_answer.finish.reason == "stop"
    assert given_answer.tokens[-1] in [*ends, digit]


def test_a_model_without_an_end_token_stops_where_nothing_can_follow() -> None:
    kind = "byte-level"
    made = Constraints(tokenizer(kind), size(kind), [])
    engine = Adversary(size(kind), 1)
    given_answer = answer(kind, made.json(json.dumps(REQUEST)), engine, Sampling(), end_ids=frozenset())
    jsonschema.validate(json.loads(given_answer.read()), REQUEST)
    assert given_answer.finish is not None
    assert given_answer.finish.reason == "stop"
    assert engine.steps == len(given_answer.tokens) - 1  # no step for an end that is certain


def test_what_is_cut_does_not_fit() -> None:
    kind = "byte-level"
    whole = answer(kind, constraints(kind).json(json.dumps(REQUEST)), Adversary(size(kind), 2), Sampling())
    whole.read()
    cut = answer(
        kind, constraints(kind).json(json.dumps(REQUEST)), Adversary(size(kind), 2), Sampling(),
        max_tokens=len(whole.tokens) - 1,
    )  # fmt: skip
    cut.read()
    exact = answer(
        kind, constraints(kind).json(json.dumps(REQUEST)), Adversary(size(kind), 2), Sampling(),
        max_tokens=len(whole.tokens),
    )  # fmt: skip
    exact.read()
    stopped = answer(
        kind, constraints(kind).json(json.dumps(REQUEST)), Adversary(size(kind), 2), Sampling(), stop=["}"]
    )
    stopped.read()
    reasons = [one.finish.reason for one in (whole, cut, exact, stopped) if one.finish is not None]
    assert reasons == ["stop", "length", "stop", "stop"]
    assert [one.fits for one in (whole, cut, exact, stopped)] == [True, False, True, False]
    assert stopped.text == whole.text.removesuffix("}")


def test_the_models_logits_stay_as_they_are() -> None:
    kind = "byte-level"
    logits = np.random.default_rng(0).normal(size=size(kind)).astype(np.float32)
    before = logits.copy()
    constraint = constraints(kind).json(json.dumps(REQUEST))
    masked = constraint.masked(logits)
    assert (logits == before).all()
    allowed = np.isfinite(masked)
    assert 0 < allowed.sum() < 10
    assert (masked[allowed] == logits[allowed]).all()


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ('{"type": "integer", "minimum": 3, "maximum": 1}', "Unsatisfiable schema"),
        ('{"type": "nonsense"}', "Invalid type: nonsense"),
        ('{"not": {}}', 'Unimplemented keys: ["not"]'),
        ('{"$ref": "#/nowhere"}', "Pointer '/nowhere' does not exist"),
        ('{"type": "string", "pattern": "(a"}', "regex parse error"),
        ('{"items": ' * 300 + "{}" + "}" * 300, "recursion limit exceeded"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_told(schema: str, told: str) -> None:
    with pytest.raises(UsageError, match="the JSON schema cannot be followed: ") as caught:
        constraints("byte-level").json(schema)
    assert told in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("kind", "schema", "told"),
    [
        ("metaspace", '{"type": "object"}', "after '"),  # a vocabulary without braces
        ("wordpiece", '{"type": "object"}', "after '"),
        ("bytelevel", '{"$ref": "#"}', "after '"),  # what no document has
    ],
)
def test_a_dead_end_is_told_with_what_was_said(kind: str, schema: str, told: str) -> None:
    poor = Tokenizer(tokenizer_json(kind), 512, cut=False)
    vocabulary = poor.vocabulary + PADDING
    constraint = Constraints(poor, vocabulary, [END]).json(schema)
    stuck = Generation(
        Context(Adversary(vocabulary, 0)), [1], TextStream(poor), end_ids=frozenset([END]), sampling=Sampling(),
        max_tokens=50, constraint=constraint,
    )  # fmt: skip
    with pytest.raises(DeviceError, match="the answer can no longer become a document of its JSON schema") as caught:
        stuck.read()
    assert told in caught.value.message
    assert caught.value.hint
    assert not stuck.fits


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_that_rules_out_what_may_follow_is_told(temperature: float) -> None:
    kind = "byte-level"
    constraint = constraints(kind).json(json.dumps(REQUEST))
    choose = constraint.guide(Sampling(temperature).chooser([]))
    logits = np.full(size(kind), -np.inf, np.float32)
    logits[tokenizer(kind).ids("z", special=False)] = 3
    with pytest.raises(DeviceError, match="after '': the model rules out every token that may follow"):
        choose(logits)
    with pytest.raises(DeviceError, match="the model gave no number"):
        choose(np.full(size(kind), np.nan, np.float32))


def test_schemas_are_read_from_whatever_holds_them(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text("\ufeff" + json.dumps(REQUEST))
    assert json.loads(read_json_schema(file)) == REQUEST
    assert list(json.loads(read_json_schema(REQUEST))["properties"]) == ["intent", "city", "n"]
    assert json.loads(read_json_schema(json.dumps(REQUEST))) == REQUEST
    assert json.loads(read_json_schema(True)) == {"type": "object"}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("{", "the JSON schema is no JSON: "),
        ("[1]", "the JSON schema is no JSON object but a list"),
        (" " * (MAX_BYTES + 1), "has more than 1,048,576 bytes"),
        (7, "a JSON schema must be a mapping or a JSON text, not 7"),
        ({"enum": [object()]}, "the JSON schema cannot be written as JSON"),
        ({"minimum": float("nan")}, "the JSON schema cannot be written as JSON"),
        ('{"const": "\udcff"}', "the JSON schema is no JSON"),
        (Path("nowhere/schema.json"), "nowhere/schema.json cannot be read: No such file or directory"),
        (Path(__file__), "test_constraint.py is no JSON: "),
        (Path(__file__).parent, "cannot be read: Is a directory"),
    ],
)
def test_what_is_no_schema_is_told(schema: Any, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_json_schema(schema)
    assert told in caught.value.message


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Model]]:
    """model(**of language_members): its tokenizer can spell JSON."""
    monkeypatch.setitem(sys.modules, "edgeslm.device.open_language", fake_open_language)
    opened: list[Model] = []

    def open_it(**arguments: Any) -> Model:
        members = language_members(tokenizer="bytelevel", **arguments)
        opened.append(Model.open(write_file(tmp_path / f"{len(opened)}.edgeslm", members)))
        return opened[-1]

    yield open_it
    for one in opened:
        one.close()


def test_a_model_and_its_conversation_take_a_schema(model: Callable[..., Model]) -> None:
    writer = model(context=512, fake={"context": 512})
    said = writer.generate("On", json_schema=REQUEST, temperature=1.0, top_k=4, repetition_penalty=1.2, seed=5)
    jsonschema.validate(json.loads(said.read()), REQUEST)
    again = writer.generate(
        "On", json_schema=json.dumps(REQUEST), temperature=1.0, top_k=4, repetition_penalty=1.2, seed=5
    )
    assert again.read() == said.text
    talk = writer.conversation()
    for turn in ("On", "the cat"):
        jsonschema.validate(json.loads(talk.say(turn, json_schema=REQUEST).read()), REQUEST)
    plain = writer.generate("On", max_tokens=5)
    plain.read()
    assert plain.fits
    with pytest.raises(UsageError, match="the JSON schema cannot be followed"):
        writer.generate("On", json_schema={"type": "nonsense"})


def test_without_the_package_the_error_says_how_to_get_it(
    model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = model()
    monkeypatch.setitem(sys.modules, "llguidance", None)
    assert writer.generate("On", max_tokens=3).read() is not None
    with pytest.raises(MissingPackageError, match="a JSON schema needs the package llguidance") as caught:
        writer.generate("On", json_schema=True)
    assert caught.value.hint is not None
    assert "requirements-constrain.txt" in caught.value.hint
