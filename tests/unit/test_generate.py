"""Answers token by token over a fake engine, whose logits show every wrong row of its cache."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeslm.device import Model
from edgeslm.device.errors import BundleError, DeviceError, UsageError
from edgeslm.device.generate import Generation, Piece
from edgeslm.device.tokenizer import Tokenizer
from tests.unit import fake_open_language
from tests.unit.device_bundles import write_file
from tests.unit.fake_open_language import FakeEngine
from tests.unit.language_bundles import language_members, tokenizer_json

Open = Callable[..., Model]
TOKENIZER = Tokenizer(tokenizer_json("sentencepiece"), 64, cut=False)


@pytest.fixture
def open_fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """open_fake(fake=…, **changes to the manifest's generation) -> the Model of its bundle."""
    monkeypatch.setitem(sys.modules, "edgeslm.device.open_language", fake_open_language)
    opened: list[Model] = []

    def open_it(**arguments: Any) -> Model:
        opened.append(Model.open(write_file(tmp_path / f"{len(opened)}.edgeslm", language_members(**arguments))))
        return opened[-1]

    yield open_it
    for model in opened:
        model.close()


def engine_of(model: Model) -> FakeEngine:
    assert model._language is not None
    engine = model._language.context.engine
    assert isinstance(engine, FakeEngine)
    return engine


def greedy(prompt: list[int], count: int) -> list[int]:
    """What the fake engine says, without a cache."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(FakeEngine(256).prefill(np.array(tokens, np.int32), 0).argmax()))
    return tokens[len(prompt) :]


def ended(answer: Generation) -> tuple[str, int, int]:
    assert answer.finish is not None
    return answer.finish.reason, answer.finish.prompt_tokens, answer.finish.generated_tokens


def test_an_answer_is_what_the_engine_says_without_a_cache(open_fake: Open) -> None:
    model = open_fake(eos=[])
    answer = model.generate("On the cat", max_tokens=20)
    assert answer.finish is None
    found = list(answer)
    assert all(isinstance(piece, Piece) for piece in found)
    prompt = TOKENIZER.ids("On the cat")
    assert [piece.token for piece in found] == answer.tokens == greedy(prompt, 20)
    assert "".join(piece.text for piece in found) == answer.text == TOKENIZER.decode(answer.tokens)
    assert ended(answer) == ("length", len(prompt), 20)
    assert engine_of(model).calls == [
        ("prefill", 0, len(prompt)),
        *(("step", len(prompt) + i, 1) for i in range(19)),  # the last token needs none
    ]


def test_an_empty_prompt_begins_with_bos(open_fake: Open) -> None:
    answer = open_fake().generate("", max_tokens=3)
    assert answer.prompt == [1]
    assert len(answer.read()) >= 0
    with pytest.raises(UsageError, match="the prompt is empty, and tiny-writer has no token to begin a text with"):
        open_fake(bos=None).generate("")


@pytest.mark.parametrize("add_bos", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_bos_comes_once(open_fake: Open, monkeypatch: pytest.MonkeyPatch, add_bos: bool, own: bool) -> None:
    """Whether the tokenizer puts it there or not."""
    model = open_fake(add_bos=add_bos)
    bare = TOKENIZER.ids("On", special=False)
    if not own:
        monkeypatch.setattr(Tokenizer, "ids", lambda self, text, special=True: list(bare))
    assert model.generate("On").prompt == ([1, *bare] if own or add_bos else bare)


@pytest.mark.parametrize("end", [[2], [9, 260]])
def test_any_end_token_ends_it(open_fake: Open, end: list[int]) -> None:
    answer = open_fake(fake={"answer": [261, 262, end[-1], 263]}, eos=end).generate("On")
    assert answer.read() == "bc"
    assert answer.tokens == [261, 262, end[-1]]
    assert ended(answer)[::2] == ("stop", 3)


@pytest.mark.parametrize(
    ("stop", "text", "tokens"),
    [("bc", "a", 3), (["zz", "cd"], "ab", 4), ("d", "abc", 4), (["never"], "abcdef", 6), ((), "abcdef", 6)],
)
def test_stop_strings_end_it_before_themselves(open_fake: Open, stop: str | list[str], text: str, tokens: int) -> None:
    answer = open_fake(fake={"answer": [*range(260, 266), 2]}).generate("On", stop=stop, max_tokens=6)
    assert (answer.read(), len(answer.tokens)) == (text, tokens)
    assert ended(answer)[0] == ("stop" if tokens < 6 or stop == "f" else "length")


@pytest.mark.parametrize("how", ["length", "stop", "context"])
def test_what_was_held_back_comes_at_the_end(open_fake: Open, how: str) -> None:
    """Half a character, and the beginning of a stop string."""
    script = [260, 3 + 0xE2, 3 + 0x82, 2] if how == "stop" else [260, 3 + 0xE2, 3 + 0x82]
    context = {"context": len(TOKENIZER.ids("On")) + 3} if how == "context" else {}
    model = open_fake(fake={"answer": script, **context})
    answer = model.generate("On", max_tokens=3 if how == "length" else 50)
    assert answer.read() == "a\ufffd\ufffd"
    assert ended(answer)[0] == how
    script = [260, 261, 2] if how == "stop" else [260, 261]
    context = {"context": len(TOKENIZER.ids("On")) + 2} if how == "context" else {}
    begun = open_fake(fake={"answer": script, **context}).generate("On", stop="bcd", max_tokens=2 + (how != "length"))
    assert begun.read() == "ab"
    assert ended(begun)[0] == how


def test_prompt_and_answer_fill_the_context(open_fake: Open) -> None:
    model = open_fake(fake={"context": 24}, eos=[])
    prompt = TOKENIZER.ids("On the cat")
    answer = model.generate("On the cat", max_tokens=100)
    answer.read()
    assert ended(answer) == ("context", len(prompt), 24 - len(prompt))
    assert answer.tokens == greedy(prompt, 24 - len(prompt))
    exactly = model.generate("On the cat", max_tokens=24 - len(prompt))
    exactly.read()
    assert ended(exactly)[0] == "length"


def test_a_prompt_that_is_too_long_is_told_or_cut(open_fake: Open) -> None:
    model = open_fake(fake={"context": 24}, eos=[])
    text = "cat " * 40
    ids = TOKENIZER.ids(text)
    with pytest.raises(UsageError, match=rf"the prompt has {len(ids)} tokens; .* room for 24"):
        model.generate(text)
    cut = model.generate(text, truncate=True, max_tokens=9)
    assert cut.prompt == [1, *ids[-14:]]
    assert cut.cut == len(ids) - 15
    cut.read()
    assert ended(cut) == ("length", 15, 9)
    assert model.generate(text, truncate=True, max_tokens=1000).prompt == [1, *ids[-11:]]
    assert model.generate(text, truncate=True, max_tokens=23).prompt == ids[-1:]
    short = model.generate("On the cat", truncate=True, max_tokens=1000)
    assert (short.cut, short.prompt) == (0, TOKENIZER.ids("On the cat"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"prompt": "a\udcff"}, "the prompt is not UTF-8: byte 1"),
        ({"prompt": "é\udcff", "chat": True}, "the prompt is not UTF-8: byte 2"),
        ({"prompt": [{"role": "user", "content": "\udcff"}]}, "the chat is not UTF-8: byte 17"),
        ({"prompt": "a", "stop": "\udcff"}, "a stop string is not UTF-8: byte 0"),
        ({"prompt": "a", "stop": ["b", ""]}, "a stop string is empty"),
        ({"prompt": 7}, "a prompt must be a str or a list of messages, not int"),
        ({"prompt": [{"role": "user"}]}, "a message is no mapping with a role and a content"),
        ({"prompt": []}, "there is no message"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens is 0; it must be at least 1"),
        ({"prompt": "a", "top_p": 2.0}, "top_p is 2.0; it must be above 0 and at most 1"),
    ],
)
def test_bad_input_is_told_before_anything_is_computed(open_fake: Open, arguments: dict[str, Any], told: str) -> None:
    model = open_fake()
    with pytest.raises(UsageError, match=told):
        model.generate(**arguments)
    assert engine_of(model).calls == []


def test_a_seed_gives_one_answer(open_fake: Open) -> None:
    model = open_fake(eos=[])
    draw: dict[str, Any] = {"temperature": 1.0, "top_k": 50, "top_p": 0.95, "repetition_penalty": 1.1, "max_tokens": 30}
    first = model.generate("On", seed=3, **draw).read()
    assert model.generate("On", seed=4, **draw).read() != first
    assert model.generate("On", seed=3, **draw).read() == first
    assert open_fake(eos=[]).generate("On", seed=3, **draw).read() == first


def test_a_model_without_numbers_is_told_and_the_cache_stays_right(open_fake: Open) -> None:
    model = open_fake(fake={"broken_at": 12}, eos=[])
    answer = model.generate("On", max_tokens=40)
    with pytest.raises(DeviceError, match="the model gave no number"):
        answer.read()
    assert answer.finish is None
    assert len(model.generate("On", max_tokens=5).read()) >= 0


def test_the_conversation_enters_only_what_differs(open_fake: Open) -> None:
    script = [260, 261, 262, 2]
    model = open_fake(fake={"answer": script, "context": 256})
    chat = model.conversation()
    assert chat.say("On").read() == "abc"
    assert chat.say("the cat", max_tokens=2).read() == "ab"
    assert [message["role"] for message in chat.messages] == ["user", "assistant"] * 2
    assert [message["content"] for message in chat.messages] == ["On", "abc", "the cat", "ab"]
    (_, start, first), (_, position, entered) = (call for call in engine_of(model).calls if call[0] == "prefill")
    assert start == 0
    assert position >= first  # all of the first turn's prompt lay there
    language = model._language
    assert language is not None
    wanted = language.prompt_ids(chat.messages[:3])
    assert position + entered == len(wanted)
    assert language.context.ids[: len(wanted)] == wanted


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text("thecaO ", max_size=6), st.integers(1, 6), st.integers(0, 4)), max_size=5))
def test_a_cache_over_turns_says_what_a_fresh_one_says(open_fake: Open, turns: list[tuple[str, int, int]]) -> None:
    """Whatever was interrupted, and however the template writes the turns: the fake shows one wrong row."""
    model, fresh = open_fake(fake={"context": 2048}, eos=[]), open_fake(fake={"context": 2048}, eos=[])
    chat = model.conversation()
    for said, tokens, stopped_after in turns:
        before = chat.messages
        answer = chat.say(said, max_tokens=tokens)
        for number, _ in enumerate(answer, 1):
            if number == stopped_after:
                break
        messages: list[dict[str, str]] = [*before, {"role": "user", "content": said}]
        whole = fresh.generate(messages, max_tokens=tokens)
        whole.read()
        assert answer.tokens == whole.tokens[: stopped_after or None]


def test_the_same_prompt_again_enters_its_last_token(open_fake: Open) -> None:
    model = open_fake(eos=[])
    first = model.generate("On the cat", max_tokens=4)
    first.read()
    again = model.generate("On the cat", max_tokens=4, reuse_cache=True)
    again.read()
    assert again.tokens == first.tokens
    count = len(first.prompt)
    assert [call for call in engine_of(model).calls if call[0] == "prefill"] == [
        ("prefill", 0, count),
        ("prefill", count - 1, 1),
    ]


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("where", ["prefill", "step"])
def test_ctrl_c_in_the_engine_leaves_the_conversation_consistent(
    open_fake: Open, monkeypatch: pytest.MonkeyPatch, where: str, written: bool
) -> None:
    """Whether the interrupted call wrote its rows or not."""
    model, fresh = open_fake(fake={"context": 512}, eos=[]), open_fake(fake={"context": 512}, eos=[])
    chat = model.conversation()
    chat.say("On", max_tokens=5).read()
    engine = engine_of(model)
    plain = getattr(engine, where)
    calls = 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        now = calls == (1 if where == "prefill" else 3)
        result = plain(*arguments) if written or not now else None
        if now:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(engine, where, interrupted)
    answer = chat.say("the cat", max_tokens=8)
    with pytest.raises(KeyboardInterrupt):
        answer.read()
    said = 0 if where == "prefill" else 3
    assert ended(answer)[::2] == ("interrupted", said)
    assert list(answer) == []
    assert len(chat.messages) == (2 if where == "prefill" else 4)
    after = chat.say("On", max_tokens=8)
    after.read()
    whole = fresh.generate([*chat.messages[:-2], {"role": "user", "content": "On"}], max_tokens=8)
    whole.read()
    assert after.tokens == whole.tokens


def test_closing_ends_an_answer(open_fake: Open) -> None:
    model = open_fake(eos=[])
    answer = model.generate("On")
    first, second = next(answer), next(answer)
    answer.close()
    assert ended(answer)[::2] == ("interrupted", 2)
    assert list(answer) == []
    assert answer.text == first.text + second.text
    unread = model.generate("On")
    unread.close()
    assert ended(unread)[::2] == ("interrupted", 0)


def test_an_answer_whose_cache_was_taken_is_told(open_fake: Open) -> None:
    model = open_fake(eos=[])
    one, other = model.generate("On"), model.generate("the")
    next(one)
    next(other)
    with pytest.raises(UsageError, match="another answer began"):
        next(one)
    next(other)
    model.close()
    with pytest.raises(UsageError, match="the model was closed"):
        next(other)
    assert engine_of(model).closed


def test_timings_say_where_the_time_went(open_fake: Open) -> None:
    model = open_fake(fake={"delay": 0.01}, eos=[])
    answer = model.generate("On", max_tokens=5, timings=True)
    answer.read()
    assert answer.finish is not None
    timings = answer.finish.timings
    assert timings is not None
    assert len(timings.steps) == len(timings.outside) == 4
    assert min(timings.steps) >= 0.01
    assert timings.first_token >= timings.prefill >= 0.01
    assert 0 < np.median(timings.outside) < 0.01
    untimed = model.generate("On", max_tokens=5)
    assert untimed.read() == answer.text
    assert untimed.finish is not None
    assert untimed.finish.timings is None


def test_another_task_is_refused_with_the_method_to_use(open_fake: Open) -> None:
    model = open_fake()
    with pytest.raises(UsageError, match="tiny-writer does generation, not embedding") as caught:
        model.embed("a")
    assert "generate(" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="it runs no arrays"):
        model.run({})
    assert model.encode("On " * 100).truncated is False


@pytest.mark.parametrize("field", ["context", "bos", "eos", "chat_template", "special", "add_bos"])
def test_a_manifest_without_a_field_is_a_broken_bundle(open_fake: Open, field: str) -> None:
    with pytest.raises(BundleError, match=rf"generation\.{field} is missing or of the wrong type"):
        open_fake(**{field: 1.5})


def test_without_a_chat_template_there_is_no_chat(open_fake: Open) -> None:
    model = open_fake(chat_template=None)
    with pytest.raises(UsageError, match="tiny-writer has no chat template") as caught:
        model.generate("a", chat=True)
    assert "--chat" in (caught.value.hint or "")
