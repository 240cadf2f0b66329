"""The routes in-process, over a fake engine: shapes, errors, who may ask."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from edgeslm.device import Model
from edgeslm.device.serve.application import make_application
from edgeslm.device.serve.options import ServeOptions
from edgeslm.device.serve.service import Service
from edgeslm.device.serve.text_limit import BYTES_PER_TOKEN
from tests.unit import fake_open_language
from tests.unit.device_bundles import TinyModel, members, write_file
from tests.unit.language_bundles import language_members

Open = Callable[..., tuple[TestClient, Model]]
GREEDY: dict[str, Any] = {"temperature": 0}
CHAT, TEXT, EMBED = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """serve(members, **ServeOptions' fields) -> a client, and the model itself."""
    monkeypatch.setitem(sys.modules, "edgeslm.device.open_language", fake_open_language)
    with ExitStack() as stack:

        def open_it(files: dict[str, bytes], **options: Any) -> tuple[TestClient, Model]:
            model = stack.enter_context(Model.open(write_file(tmp_path / "served.edgeslm", files)))
            app = make_application(Service(model, ServeOptions(**options)))
            client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
            return stack.enter_context(client), model

        yield open_it


@pytest.fixture
def writer(serve: Open) -> tuple[TestClient, Model]:
    return serve(language_members(eos=[]))


@pytest.fixture
def embedder(serve: Open) -> tuple[TestClient, Model]:
    pytest.importorskip("openvino")
    return serve(members(TinyModel("embedding"), "openvino"))


def events(response: Any) -> list[Any]:
    """A stream's documents; its last line is [DONE]."""
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def error_of(response: Any) -> dict[str, Any]:
    document = response.json()
    assert list(document) == ["error"]
    assert list(document["error"]) == ["message", "type", "param", "code"]
    error: dict[str, Any] = document["error"]
    return error


def test_a_completion_is_what_the_model_says(writer: tuple[TestClient, Model]) -> None:
    client, model = writer
    answer = client.post(TEXT, json={"prompt": "On the cat", "max_tokens": 20, **GREEDY})
    alone = model.generate("On the cat", max_tokens=20)
    assert answer.status_code == 200
    document = answer.json()
    assert document["object"] == "text_completion"
    assert document["choices"] == [{"index": 0, "text": alone.read(), "logprobs": None, "finish_reason": "length"}]
    assert document["usage"] == {
        "prompt_tokens": len(alone.prompt), "completion_tokens": 20, "total_tokens": len(alone.prompt) + 20
    }  # fmt: skip
    assert answer.headers["x-request-id"].startswith("req-")


def test_a_chat_is_what_the_model_says(writer: tuple[TestClient, Model]) -> None:
    client, model = writer
    messages = [{"role": "system", "content": "cat"}, {"role": "user", "content": "the cat"}]
    document = client.post(CHAT, json={"messages": messages, "max_tokens": 12, **GREEDY}).json()
    said = model.generate(messages, max_tokens=12).read()
    assert document["object"] == "chat.completion"
    assert document["choices"][0]["message"] == {"role": "assistant", "content": said, "refusal": None}


@pytest.mark.parametrize("route", [CHAT, TEXT])
def test_a_stream_is_the_whole_answer_in_pieces(route: str, writer: tuple[TestClient, Model]) -> None:
    client, _ = writer
    asked: dict[str, Any] = {"max_tokens": 15, **GREEDY}
    asked |= {"prompt": "the cat"} if route == TEXT else {"messages": [{"role": "user", "content": "the cat"}]}
    whole = client.post(route, json=asked).json()
    response = client.post(route, json={**asked, "stream": True, "stream_options": {"include_usage": True}})
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, last = events(response)
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert len({chunk["id"] for chunk in (*chunks, last)}) == 1
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]
    if route == TEXT:
        assert "".join(choice["text"] for choice in choices) == whole["choices"][0]["text"]
    else:
        assert choices[0]["delta"] == {"role": "assistant", "content": ""}
        assert choices[-1]["delta"] == {}
        said = "".join(choice["delta"].get("content", "") for choice in choices)
        assert said == whole["choices"][0]["message"]["content"]
    assert all("usage" not in chunk for chunk in events(client.post(route, json={**asked, "stream": True})))


def test_an_answer_ends_where_it_is_told_to(writer: tuple[TestClient, Model]) -> None:
    client, model = writer
    whole = model.generate("the cat", max_tokens=20).read()
    stop = whole[5:8]
    choice = client.post(TEXT, json={"prompt": "the cat", "max_tokens": 20, "stop": stop, **GREEDY}).json()["choices"][
        0
    ]
    assert (choice["text"], choice["finish_reason"]) == (whole[: whole.index(stop)], "stop")
    full = client.post(TEXT, json={"prompt": "the cat", "max_tokens": 4096, **GREEDY}).json()
    assert full["choices"][0]["finish_reason"] == "length"
    assert full["usage"]["total_tokens"] == 64


def test_a_seed_says_the_same_again_and_no_seed_does_not(writer: tuple[TestClient, Model]) -> None:
    client, _ = writer

    def said(**options: Any) -> str:
        text: str = client.post(TEXT, json={"prompt": "the", "max_tokens": 30, **options}).json()["choices"][0]["text"]
        return text

    assert said(seed=5) == said(seed=5) != said(seed=6)
    assert said() != said()


def test_a_prompt_too_long_is_refused_or_cut(writer: tuple[TestClient, Model]) -> None:
    client, _ = writer
    asked = {"prompt": "the cat " * 100, "max_tokens": 5, **GREEDY}
    for stream in (False, True):
        response = client.post(TEXT, json={**asked, "stream": stream})
        assert response.status_code == 400
        error = error_of(response)
        assert error["code"] == "context_length_exceeded"
        assert "64" in error["message"]
        assert '"truncate": true' in error["message"]
    assert client.post(TEXT, json={**asked, "truncate": True}).json()["usage"]["prompt_tokens"] == 59


def test_a_text_far_too_long_is_refused_before_it_is_read(
    writer: tuple[TestClient, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, model = writer
    text = "x" * (64 * BYTES_PER_TOKEN + 1)
    monkeypatch.setattr(model, "generate", None)
    for route, asked in ((TEXT, {"prompt": text}), (CHAT, {"messages": [{"role": "user", "content": text}]})):
        response = client.post(route, json={**asked, "truncate": True})
        assert response.status_code == 400
        assert error_of(response)["code"] == "context_length_exceeded"


def test_limits_are_the_operators(serve: Open) -> None:
    client, _ = serve(language_members(eos=[]), max_prompt=8, max_tokens=6, max_body=500, name="mine")
    long = client.post(TEXT, json={"prompt": "the cat the cat the cat the cat", **GREEDY})
    assert long.status_code == 400
    assert "takes 8" in error_of(long)["message"]
    assert "at most 6" in error_of(client.post(TEXT, json={"max_tokens": 7}))["message"]
    chat = client.post(CHAT, json={"messages": [{"role": "user", "content": ""}]})
    assert chat.status_code == 400  # ChatML alone has more than 8 tokens
    assert client.post(TEXT, json={"prompt": "the", **GREEDY}).json()["usage"]["completion_tokens"] == 6
    body = {"prompt": "x" * 500}
    for sent in ({"json": body}, {"content": iter([json.dumps(body).encode()]), "headers": JSON_TYPE}):
        large = client.post(TEXT, **sent)
        assert large.status_code == 413
        assert "500 bytes" in error_of(large)["message"]
    assert client.get("/v1/models").json()["data"][0]["id"] == "mine"


JSON_TYPE = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[1]", "JSON object"),
        (b'{"prompt": "\xff"}', "no JSON"),
        (b'{"temperature": NaN}', "NaN"),
        (b'{"temperature": 1e999}', "temperature"),
        (b"[" * 100_000, "no JSON"),
        (b'{"seed": ' + b"1" * 5000 + b"}", "no JSON"),
        (b'{"prompt": "\\ud800"}', "surrogate"),
        (b'{"model": "\\ud800"}', "is not here"),
        (b'{"\\ud800": 1, "prompt": []}', "prompt"),
    ],
)
def test_a_body_that_is_no_request(content: bytes, said: str, writer: tuple[TestClient, Model]) -> None:
    response = writer[0].post(TEXT, content=content, headers=JSON_TYPE)
    assert response.status_code in (400, 404)
    assert said in error_of(response)["message"]


def test_only_json_is_read(writer: tuple[TestClient, Model]) -> None:
    client, _ = writer
    response = client.post(TEXT, content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415
    assert "application/json" in error_of(response)["message"]
    assert (
        client.post(TEXT, content=b"{}", headers={"Content-Type": "application/json; charset=utf-8"}).status_code == 200
    )


def test_what_is_not_there(writer: tuple[TestClient, Model]) -> None:
    client, _ = writer
    missing = client.get("/v1/chat")
    assert missing.status_code == 404
    assert "/v1/chat/completions" in error_of(missing)["message"]
    method = client.get(TEXT)
    assert (method.status_code, method.headers["allow"]) == (405, "POST")
    assert "takes POST" in error_of(method)["message"]
    other = client.post(TEXT, json={"model": "gpt-4o", "prompt": ""})
    assert other.status_code == 404
    assert error_of(other)["code"] == "model_not_found"
    assert "tiny-writer" in error_of(other)["message"]
    assert client.get("/v1/models/gpt-4o").status_code == 404
    assert client.get("/v1/models/tiny-writer").json()["id"] == "tiny-writer"
    embedded = client.post(EMBED, json={"input": "x"})
    assert embedded.status_code == 400
    assert CHAT in error_of(embedded)["message"]


def test_a_model_without_a_template_names_the_other_route(serve: Open) -> None:
    client, _ = serve(language_members(chat_template=None))
    response = client.post(CHAT, json={"messages": [{"role": "user", "content": "x"}]})
    assert response.status_code == 400
    assert TEXT in error_of(response)["message"]


def test_what_a_template_refuses_is_told(serve: Open) -> None:
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}x"
    client, _ = serve(language_members(template=template))
    response = client.post(CHAT, json={"messages": [{"role": "system", "content": "x"}]})
    assert response.status_code == 400
    assert "no system here" in error_of(response)["message"]


def test_a_model_that_fails_says_so_before_and_in_a_stream(serve: Open, capfd: pytest.CaptureFixture[str]) -> None:
    client, _ = serve(language_members(fake={"broken_at": 8}, eos=[]))
    asked = {"prompt": "the", "max_tokens": 30, **GREEDY}
    whole = client.post(TEXT, json=asked)
    assert whole.status_code == 500
    assert error_of(whole)["type"] == "server_error"
    assert "no number" in error_of(whole)["message"]
    streamed = client.post(TEXT, json={**asked, "stream": True})
    assert streamed.status_code == 200
    *chunks, last = events(streamed)
    assert chunks
    assert "no number" in last["error"]["message"]
    assert client.post(TEXT, json={"prompt": "the", "max_tokens": 2, **GREEDY}).status_code == 200
    assert capfd.readouterr().err.count("no number") == 2


def test_a_bug_is_told_without_its_insides(
    serve: Open, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    client, model = serve(language_members())

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(model, "generate", broken)
    response = client.post(TEXT, json={"prompt": "the"})
    assert response.status_code == 500
    assert "secret" not in response.text
    assert error_of(response)["code"] == "internal_error"
    assert "ZeroDivisionError: secret" in capfd.readouterr().err
    assert client.get("/health").status_code == 200


def test_vectors_are_the_models_in_either_form(embedder: tuple[TestClient, Model]) -> None:
    client, model = embedder
    texts = ["a small model", "runs", "here ?"] * 7
    document = client.post(EMBED, json={"input": texts, "encoding_format": "float"}).json()
    assert [entry["index"] for entry in document["data"]] == list(range(21))
    expected = model.embed(texts)
    found = np.array([entry["embedding"] for entry in document["data"]], np.float32)
    np.testing.assert_array_equal(found, expected)
    tokens = sum(len(model.encode(text).ids) for text in texts)
    assert document["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    coded = client.post(EMBED, json={"input": texts, "encoding_format": "base64"}).json()["data"]
    decoded = [np.frombuffer(base64.b64decode(entry["embedding"]), "<f4") for entry in coded]
    np.testing.assert_array_equal(np.array(decoded), expected)
    one = client.post(EMBED, json={"input": texts[0]}).json()["data"]
    np.testing.assert_array_equal(np.array(one[0]["embedding"], np.float32), expected[0])


def test_texts_too_long_and_other_dimensions(embedder: tuple[TestClient, Model]) -> None:
    client, model = embedder
    long = "a small model " * 10
    response = client.post(EMBED, json={"input": ["a", long]})
    assert response.status_code == 400
    assert error_of(response)["code"] == "context_length_exceeded"
    assert "input[1]" in error_of(response)["message"]
    cut = client.post(EMBED, json={"input": long, "truncate": True}).json()
    assert cut["usage"]["prompt_tokens"] == model.manifest["tokenizer"]["max_length"]
    assert client.post(EMBED, json={"input": "a", "dimensions": 16}).status_code == 200
    other = client.post(EMBED, json={"input": "a", "dimensions": 8})
    assert other.status_code == 400
    assert "16 dimensions" in error_of(other)["message"]
    far = client.post(EMBED, json={"input": "a" * 5000, "truncate": True})
    assert far.status_code == 400
    assert "5,000 bytes" in error_of(far)["message"]
    chat = client.post(CHAT, json={"messages": []})
    assert chat.status_code == 400
    assert EMBED in error_of(chat)["message"]


def test_the_key_is_asked_for_but_for_health(serve: Open) -> None:
    client, _ = serve(language_members(), key="s3cret")
    assert client.get("/health").json() == {"status": "ok"}
    for path in ("/v1/models", "/metrics", "/nothing"):
        response = client.get(path)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert error_of(response)["code"] == "invalid_api_key"
    for wrong in ("Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret", "Bearer \xfc"):
        assert client.get("/v1/models", headers=[(b"Authorization", wrong.encode("latin-1"))]).status_code == 401
    assert client.get("/v1/models", headers={"Authorization": "Bearer s3cret", "Host": "pi.local"}).status_code == 200


def test_a_page_of_another_name_does_not_reach_this_machine(serve: Open) -> None:
    client, _ = serve(language_members())
    for host, status in (("evil.example", 403), ("evil.example:8080", 403), ("127.0.0.1:8080", 200), ("[::1]:1", 200)):
        assert client.get("/v1/models", headers={"Host": host}).status_code == status
    open_to_all, _ = serve(language_members(), host="0.0.0.0", allow_anyone=True)
    assert open_to_all.get("/v1/models", headers={"Host": "pi.local"}).status_code == 200


def test_other_origins_are_for_the_operator_to_name(serve: Open) -> None:
    asks = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    closed, _ = serve(language_members())
    assert "access-control-allow-origin" not in closed.options(CHAT, headers=asks).headers
    client, _ = serve(language_members(), cors_origin=("https://page.example",), key="s3cret")
    assert client.options(CHAT, headers=asks).headers["access-control-allow-origin"] == "https://page.example"
    refused = client.get("/v1/models", headers={"Origin": "https://page.example"})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://page.example"
    assert "access-control-allow-origin" not in client.get("/health", headers={"Origin": "https://other"}).headers


def test_metrics_count_what_was_asked(writer: tuple[TestClient, Model]) -> None:
    client, _ = writer
    client.post(TEXT, json={"prompt": "the cat", "max_tokens": 9, **GREEDY})
    client.post(TEXT, json={"n": 2})
    client.get("/a-path-of-a-stranger")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    for line in (
        'edgeslm_requests_total{route="/v1/completions",status="200"} 1.0',
        'edgeslm_requests_total{route="/v1/completions",status="400"} 1.0',
        'edgeslm_requests_total{route="other",status="404"} 1.0',
        "edgeslm_generated_tokens_total 9.0",
        "edgeslm_places 0.0",
        "edgeslm_service_seconds_count 1.0",
        "edgeslm_first_text_seconds_count 1.0",
        'edgeslm_model_info{name="tiny-writer",task="generation"} 1.0',
    ):
        assert line in lines
    assert "stranger" not in response.text
