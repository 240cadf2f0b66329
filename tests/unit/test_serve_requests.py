"""What a request's JSON may hold, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.device.errors import UsageError
from edgeslm.device.serve.completion_request import read_chat, read_completion
from edgeslm.device.serve.embedding_request import MOST_INPUTS, read_embedding
from edgeslm.device.serve.options import ServeOptions, is_loopback
from edgeslm.device.serve.refusal import RefusalError

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
Read = Callable[[Mapping[str, Any]], object]


def chat(document: Mapping[str, Any]) -> object:
    return read_chat(document, 100)


def completion(document: Mapping[str, Any]) -> object:
    return read_completion(document, 100)


def test_what_is_not_said_is_openais_default() -> None:
    asked = read_chat(HELLO, None)
    assert asked.prompt == [{"role": "user", "content": "hello"}]
    assert not asked.stream
    assert "max_tokens" not in asked.options
    assert (asked.options["temperature"], asked.options["top_p"]) == (1.0, 1.0)
    assert asked.options["seed"] != read_chat(HELLO, None).options["seed"]
    assert read_completion({}, None).options["max_tokens"] == 16
    assert read_completion({}, 5).options["max_tokens"] == 5
    assert read_completion({}, None).prompt == ""


def test_null_is_as_good_as_none() -> None:
    nulls = dict.fromkeys(("n", "logprobs", "tools", "temperature", "max_tokens", "stop", "stream", "response_format"))
    asked = read_completion({"prompt": "x", "seed": 1, **nulls}, None)
    assert asked == read_completion({"prompt": "x", "seed": 1}, None)


def test_messages_in_parts_are_joined_and_developers_are_the_system() -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]
    asked = read_chat({"messages": [{"role": "developer", "content": "be"}, {"role": "user", "content": parts}]}, None)
    assert asked.prompt == [{"role": "system", "content": "be"}, {"role": "user", "content": "a b"}]


def test_what_changes_nothing_is_taken() -> None:
    neutral = {
        "n": 1,
        "logprobs": False,
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "tools": [],
        "logit_bias": {},
    }
    read_chat({**HELLO, **neutral, "user": "me", "store": False, "a_field_of_next_year": 1}, None)
    assert read_chat({**HELLO, "seed": -1}, None).options["seed"] == 2**64 - 1
    assert read_chat({**HELLO, "max_completion_tokens": 7, "max_tokens": 9}, None).options["max_tokens"] == 7
    assert read_completion({"prompt": ["one"]}, None).prompt == "one"


def test_a_response_format_is_a_schema() -> None:
    def schema(form: dict[str, Any]) -> Any:
        return read_chat({**HELLO, "response_format": form}, None).options.get("json_schema")

    assert schema({"type": "text"}) is None
    assert schema({"type": "json_object"}) is True
    wanted = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert schema({"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": wanted}}) == wanted


@pytest.mark.parametrize(
    ("read", "document", "param", "said"),
    [
        (chat, {}, "messages", "at least one message"),
        (chat, {"messages": []}, "messages", "at least one message"),
        (chat, {"messages": "hello"}, "messages", "list"),
        (chat, {"messages": ["hello"]}, "messages[0]", "role and content"),
        (chat, {"messages": [{"role": "robot", "content": ""}]}, "messages[0].role", "robot"),
        (chat, {"messages": [{"role": [], "content": ""}]}, "messages[0].role", "one of"),
        (chat, {"messages": [{"role": "user"}]}, "messages[0].content", "string"),
        (chat, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]", "text"),
        (chat, {"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content", "surrogate"),
        (chat, {"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0]", "tools are not"),
        (chat, {**HELLO, "n": 2}, "n", "not supported but as 1"),
        (chat, {**HELLO, "n": True}, "n", "not supported"),
        (chat, {**HELLO, "logprobs": True}, "logprobs", "not supported but as false"),
        (chat, {**HELLO, "tools": [{"type": "function"}]}, "tools", "not supported"),
        (chat, {**HELLO, "frequency_penalty": 0.5}, "frequency_penalty", "not supported"),
        (chat, {**HELLO, "temperature": "hot"}, "temperature", "'hot'"),
        (chat, {**HELLO, "temperature": -1}, "temperature", "from 0"),
        (chat, {**HELLO, "temperature": True}, "temperature", "number"),
        (chat, {**HELLO, "temperature": 10**400}, "temperature", "very large"),
        (chat, {**HELLO, "top_p": 1.5}, "top_p", "from 0 to 1"),
        (chat, {**HELLO, "max_tokens": 0}, "max_tokens", "from 1"),
        (chat, {**HELLO, "max_tokens": 1.5}, "max_tokens", "whole"),
        (chat, {**HELLO, "max_completion_tokens": 101}, "max_completion_tokens", "at most 100"),
        (chat, {**HELLO, "seed": "x"}, "seed", "whole"),
        (chat, {**HELLO, "stop": ""}, "stop", "empty"),
        (chat, {**HELLO, "stop": [1]}, "stop[0]", "string"),
        (chat, {**HELLO, "stop": ["x"] * 17}, "stop", "at most 16"),
        (chat, {**HELLO, "stream": "yes"}, "stream", "true or false"),
        (chat, {**HELLO, "stream_options": {"include_usage": True}}, "stream_options", "stream true"),
        (chat, {**HELLO, "temprature": 0}, "temprature", "did you mean temperature"),
        (chat, {**HELLO, "repeat_penalty": 1.1}, "repeat_penalty", "did you mean repetition_penalty"),
        (chat, {**HELLO, "response_format": "json"}, "response_format", "json_object or json_schema"),
        (chat, {**HELLO, "response_format": {"type": "grammar"}}, "response_format", "json_object or json_schema"),
        (chat, {**HELLO, "response_format": {"type": "json_schema"}}, "response_format", "schema must be"),
        (
            chat,
            {**HELLO, "response_format": {"type": "json_schema", "json_schema": {"schema": "{}"}}},
            "response_format",
            "an object",
        ),
        (completion, {"prompt": ["a", "b"]}, "prompt", "one string"),
        (completion, {"prompt": [1, 2]}, "prompt", "token ids"),
        (completion, {"prompt": {}}, "prompt", "string"),
        (completion, {"echo": True}, "echo", "not supported"),
        (completion, {"logprobs": 5}, "logprobs", "not supported"),
        (read_embedding, {}, "input", "string or a list"),
        (read_embedding, {"input": []}, "input", "at least one"),
        (read_embedding, {"input": ""}, "input", "empty"),
        (read_embedding, {"input": ["a", ""]}, "input", "input[1] is empty"),
        (read_embedding, {"input": [1, 2]}, "input", "token ids"),
        (read_embedding, {"input": [[1, 2]]}, "input", "token ids"),
        (read_embedding, {"input": ["a"] * (MOST_INPUTS + 1)}, "input", "at most 2048"),
        (read_embedding, {"input": "a", "encoding_format": "hex"}, "encoding_format", "float or base64"),
        (read_embedding, {"input": "a", "inputs": "a"}, "inputs", "did you mean input"),
    ],
)
def test_what_is_wrong_is_named(read: Read, document: dict[str, Any], param: str, said: str) -> None:
    with pytest.raises(RefusalError) as caught:
        read(document)
    error = caught.value.body()["error"]
    assert caught.value.status == 400
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert said in error["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["model", "messages", "prompt", "input", "stream", "stream_options", "max_tokens", "temperature", "top_p", "top_k",
     "min_p", "repetition_penalty", "seed", "stop", "truncate", "response_format", "n", "logprobs", "tools",
     "encoding_format", "dimensions"]
)  # fmt: skip


@given(st.dictionaries(NAMES | st.text(max_size=12), JSON, max_size=6))
def test_no_json_makes_it_fail(document: dict[str, Any]) -> None:
    for read in (chat, completion, read_embedding):
        refusal = refused(read, document)
        assert refusal is None or (refusal.status == 400 and refusal.message)


def refused(read: Read, document: Mapping[str, Any]) -> RefusalError | None:
    try:
        read(document)
    except RefusalError as refusal:
        return refusal
    return None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "0.0.0.0"}, "EDGESLM_API_KEY"),
        ({"host": "::"}, "no API key"),
        ({"host": "pi.local"}, "--allow-anyone"),
        ({"key": ""}, "empty"),
        ({"key": "secret\n"}, "no HTTP header"),
        ({"key": "schlüssel"}, "no HTTP header"),
        ({"port": 65536}, "at most 65535"),
        ({"queue": -1}, "--queue must be at least 0"),
        ({"max_body": 0}, "--max-body"),
        ({"max_tokens": 0}, "--max-tokens"),
        ({"grace": float("nan")}, "--grace"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        ServeOptions(**options)
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_others_are_served_with_a_key_or_by_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    ServeOptions(host="0.0.0.0", key="secret")
    ServeOptions(host="0.0.0.0", allow_anyone=True)
    monkeypatch.setenv("EDGESLM_API_KEY", "from the environment")
    read = ServeOptions.read({"port": 0, "queue": None, "cors_origin": ["https://a"], "bundle": "x"})
    assert read == ServeOptions(port=0, cors_origin=("https://a",), key="from the environment")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("evil.example", False), ("", False)],
)  # fmt: skip
def test_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
