"""`edgeslm serve` as its users meet it: a real process, and the openai package before it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("openai")

import openai

from edgeslm.api import build
from edgeslm.device import Model
from tests.conftest import ROOT, Answer
from tests.unit.device_bundles import TinyModel, members, write_file, write_folder
from tests.unit.language_bundles import language_members

SHARED = ROOT.parent / "shared"
STORIES, STORIES_TEXT = SHARED / "models" / "stories260k", SHARED / "data" / "tinystories_eval.txt"
TEMPLATE = "{{ bos_token }}{% for message in messages %}{{ message['content'] }} {% endfor %}"
CLIENTS, ROUNDS = 100, 4
GROWTH = 1 << 20
"""Bytes. Where each answer's Generation was kept, 300 of them made 1.7 MB; where nothing is, they make 0.1 MB."""

needs_stories = pytest.mark.skipif(not STORIES.is_dir(), reason=f"{STORIES} is not there")


@dataclass(frozen=True)
class Server:
    """One that answers. `url` is what clients are given."""

    process: subprocess.Popen[str]
    url: str

    def client(self, **options: Any) -> Any:
        return openai.OpenAI(**{"base_url": self.url, "api_key": "none", "max_retries": 0, "timeout": 60, **options})

    def get(self, path: str, key: str = "") -> str:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        asked = urllib.request.Request(self.url.removesuffix("/v1") + path, headers=headers)
        with urllib.request.urlopen(asked, timeout=30) as response:
            return str(response.read().decode())

    def metric(self, name: str, key: str = "") -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics", key), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def memory(self) -> int:
        """Resident bytes, as the kernel counts them."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def wait_for(self, fits: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not fits():
            assert time.monotonic() < deadline
            time.sleep(0.05)


@contextmanager
def serving(*command: str | Path, path: Path = ROOT, **env: str) -> Iterator[Server]:
    """`python -m COMMAND --port 0`, ready; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, command), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(path), **env},
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = iter(process.stdout.readline, "")
        found = next((found for line in lines if (found := re.search(r"http://[0-9.:]+/v1", line))), None)
        assert found, process.stderr.read()
        yield Server(process, found[0])
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """stories260k as int8, with a chat template put into it: the build itself is the language journeys'."""
    folder = tmp_path_factory.mktemp("stories")
    built = build("rpi4", str(STORIES), scheme="int8", eval=STORIES_TEXT, out=folder)
    with zipfile.ZipFile(built.bundle.path) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    name = "tokenizer/chat_template.jinja"
    files[name] = TEMPLATE.encode()
    manifest = json.loads(files["manifest.json"])
    manifest["generation"]["chat_template"] = name
    manifest["files"][name] = {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
    files["manifest.json"] = json.dumps(manifest).encode()
    return write_file(folder / "chatting.edgeslm", files)


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Server]:
    with serving("edgeslm", "serve", bundle, "--queue", str(CLIENTS), "--name", "stories") as started:
        yield started


@pytest.fixture(scope="module")
def alone(bundle: Path) -> Iterator[Model]:
    """The bundle's model, asked by nobody else."""
    with Model.open(bundle) as model:
        yield model


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked bundle whose device package has a fake runtime: 50 ms for each token."""
    folder = tmp_path_factory.mktemp("slow")
    return write_folder(folder, language_members(fake={"delay": 0.05, "context": 600}, eos=[], context=600))


@needs_stories
def test_the_openai_package_gets_what_the_model_says(server: Server, alone: Model) -> None:
    client = server.client()
    assert [model.id for model in client.models.list()] == ["stories"]
    completed = client.completions.create(model="stories", prompt="One day, a", max_tokens=40, temperature=0)
    said = alone.generate("One day, a", max_tokens=40)
    assert completed.choices[0].text == said.read()
    assert completed.choices[0].finish_reason == "length"
    assert completed.usage.prompt_tokens == len(said.prompt)
    messages: Any = [{"role": "system", "content": "Once"}, {"role": "user", "content": "upon a time"}]
    said = alone.generate(messages, max_tokens=30)
    chat = client.chat.completions.create(model="stories", messages=messages, max_completion_tokens=30, temperature=0)
    assert chat.choices[0].message.content == said.read()
    assert chat.choices[0].message.role == "assistant"
    assert chat.usage.total_tokens == len(said.prompt) + 30
    with client.chat.completions.create(
        model="stories", messages=messages, max_tokens=30, temperature=0, stream=True,
        stream_options={"include_usage": True},
    ) as stream:  # fmt: skip
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == said.text
    assert len(chunks) > 10
    assert chunks[-1].usage == chat.usage


@needs_stories
def test_what_is_wrong_reaches_the_caller_as_the_packages_own_errors(server: Server) -> None:
    client = server.client()
    with pytest.raises(openai.NotFoundError, match="this server has 'stories'"):
        client.completions.create(model="gpt-4o", prompt="x")
    with pytest.raises(openai.BadRequestError, match="not supported but as 1") as caught:
        client.completions.create(model="stories", prompt="x", n=2)
    assert caught.value.param == "n"
    with pytest.raises(openai.BadRequestError, match="512") as caught:
        client.completions.create(model="stories", prompt="Once upon a time. " * 200)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="/v1/chat/completions"):
        client.embeddings.create(model="stories", input="x")


@needs_stories
def test_a_hundred_clients_at_once(server: Server, alone: Model) -> None:
    """None is stuck, each has the answer that the model gives to its prompt alone, and memory stays."""
    names = ("Lily", "Tom", "the dog", "a cat", "Mom", "Sue", "Ben", "Max", "the sun", "a bird")
    begins = (
        "Once there was",
        "One day",
        "The big",
        "I saw",
        "Then",
        "She said to",
        "He ran to",
        "Why did",
        "No,",
        "Oh",
    )
    prompts = [f"{begin} {name}" for begin in begins for name in names]
    assert len(set(prompts)) == CLIENTS
    expected = [alone.generate(prompt, max_tokens=24).read() for prompt in prompts]
    assert len(set(expected)) > 80

    async def ask(client: Any, number: int) -> str:
        asked = {"model": "stories", "prompt": prompts[number], "max_tokens": 24, "temperature": 0}
        if number % 2:
            return str((await client.completions.create(**asked)).choices[0].text)
        stream = await client.completions.create(**asked, stream=True)
        return "".join([chunk.choices[0].text async for chunk in stream])

    async def rounds() -> list[int]:
        memory = []
        async with openai.AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0, timeout=120) as client:
            for _ in range(ROUNDS):
                found = await asyncio.gather(*(ask(client, number) for number in range(CLIENTS)))
                assert found == expected
                memory.append(server.memory())
        return memory

    memory = asyncio.run(rounds())
    assert memory[-1] - memory[0] < GROWTH, memory
    assert server.metric("edgeslm_places") == 0


@needs_stories
def test_a_port_in_use_is_told(server: Server, bundle: Path, edgeslm: Callable[..., Answer]) -> None:
    port = server.url.rpartition(":")[2].removesuffix("/v1")
    answer = edgeslm("serve", bundle, "--port", port)
    assert answer.status == 2
    assert f"port {port} of 127.0.0.1 is in use" in answer.stderr
    assert "--port" in answer.stderr


@needs_stories
def test_ctrl_c_between_answers_ends_it_with_status_0(bundle: Path) -> None:
    with serving("edgeslm", "serve", bundle, "--json") as server:
        assert json.loads(server.get("/health")) == {"status": "ok"}
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


def test_embeddings_by_the_openai_package(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    bundle = write_file(tmp_path / "tiny.edgeslm", members(TinyModel("embedding"), "openvino"))
    texts = ["a small model", "runs here", "well ?"] * 10
    with serving("edgeslm", "serve", bundle) as server, Model.open(bundle) as model:
        client = server.client()
        found = client.embeddings.create(model="tiny", input=texts)  # it asks for base64 by itself
        plain = client.embeddings.create(model="tiny", input=texts[0], encoding_format="float")
        expected = model.embed(texts)
        shown = run_example(examples("python")[1], server, sys.executable, **{"my-encoder": "tiny"})
    np.testing.assert_array_equal(np.array([entry.embedding for entry in found.data], np.float32), expected)
    np.testing.assert_array_equal(np.array(plain.data[0].embedding, np.float32), expected[0])
    assert found.usage.prompt_tokens == sum(len(model.encode(text).ids) for text in texts)
    assert shown.split() == ["2", str(expected.shape[1]), "7"]


def examples(language: str) -> list[str]:
    """The blocks of docs/serve.md in that language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", (ROOT / "docs" / "serve.md").read_text(), re.DOTALL | re.MULTILINE
    )


def run_example(code: str, server: Server, *command: str, **names: str) -> str:
    for name, value in {"http://127.0.0.1:8080/v1": server.url, **names}.items():
        assert name in code
        code = code.replace(name, value)
    done = subprocess.run([*command, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_stories
def test_the_examples_of_the_documentation(server: Server) -> None:
    chat, _ = examples("python")
    assert len(run_example(chat, server, sys.executable, **{"my-llama": "stories"})) > 20
    if shutil.which("curl") is None:
        pytest.skip("curl is not there")
    (curl,) = examples("sh")
    answer = json.loads(run_example(curl, server, "bash", **{"my-llama": "stories"}))
    assert answer["usage"]["completion_tokens"] <= 60
    assert answer["choices"][0]["message"]["content"]


def test_a_key_a_full_queue_and_a_client_that_leaves_on_the_device(slow: Path) -> None:
    with serving("edgeslm_device", "serve", "--queue", "1", path=slow, EDGESLM_API_KEY="s3cret") as server:
        with pytest.raises(openai.AuthenticationError, match="wrong"):
            server.client().models.list()
        client = server.client(api_key="s3cret")
        asked: dict[str, Any] = {"model": "tiny-writer", "messages": [{"role": "user", "content": "the cat"}]}
        first = client.chat.completions.create(**asked, stream=True)
        next(iter(first))
        waiting = _post(server, asked, "s3cret")
        server.wait_for(lambda: server.metric("edgeslm_places", "s3cret") == 2)
        with pytest.raises(openai.RateLimitError, match="try again in") as caught:
            client.chat.completions.create(**asked)
        assert int(caught.value.response.headers["retry-after"]) >= 1
        waiting.close()
        server.wait_for(lambda: server.metric("edgeslm_places", "s3cret") == 1)
        first.close()  # some 500 tokens before its end
        server.wait_for(lambda: server.metric("edgeslm_answering", "s3cret") == 0)
        assert server.metric("edgeslm_cancelled_total", "s3cret") == 2
        assert server.metric("edgeslm_generated_tokens_total", "s3cret") < 300
        assert client.chat.completions.create(**asked, max_tokens=2).usage.completion_tokens == 2


def test_a_stop_lets_the_answer_under_way_end_and_refuses_others(slow: Path) -> None:
    with serving("edgeslm_device", "serve", path=slow) as server:
        client = server.client()
        asked: dict[str, Any] = {"model": "tiny-writer", "prompt": "the", "temperature": 0}
        stream = iter(client.completions.create(**asked, max_tokens=40, stream=True))
        next(stream)
        waiting = _post(server, {"prompt": "x"}, route="/v1/completions")
        server.wait_for(lambda: server.metric("edgeslm_places") == 2)
        server.process.send_signal(signal.SIGTERM)
        assert b" 503 " in waiting.recv(4096)
        with pytest.raises(openai.InternalServerError, match="stopping") as caught:
            client.completions.create(**asked)
        assert caught.value.status_code == 503
        assert list(stream)[-1].choices[0].finish_reason == "length"
        assert server.process.wait(20) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


@pytest.mark.parametrize(("grace", "second", "status"), [("0.3", None, 0), ("600", signal.SIGINT, 130)])
def test_an_answer_that_takes_too_long_is_ended_as_streams_end(
    grace: str, second: signal.Signals | None, status: int, slow: Path
) -> None:
    with serving("edgeslm_device", "serve", "--grace", grace, path=slow) as server:
        stream = iter(
            server.client().completions.create(model=openai.NOT_GIVEN, prompt="the", max_tokens=500, stream=True)
        )
        next(stream)
        server.process.send_signal(signal.SIGTERM)
        if second is not None:
            server.wait_for(lambda: _stops(server))
            server.process.send_signal(second)
        with pytest.raises(openai.APIError, match="stopping"):
            list(stream)
        assert server.process.wait(20) == status


def test_a_runtime_that_does_not_come_back_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    stuck = write_folder(tmp_path / "stuck", language_members(fake={"delay": 600}))
    with serving("edgeslm_device", "serve", "--grace", "0", path=stuck) as server:
        waiting = _post(server, {"prompt": "the"}, route="/v1/completions")
        server.wait_for(lambda: server.metric("edgeslm_answering") == 1)
        server.process.send_signal(signal.SIGTERM)
        assert b" 503 " in waiting.recv(4096)
        assert server.process.wait(20) == 0


@needs_stories
def test_an_answer_in_json(server: Server) -> None:
    pytest.importorskip("llguidance")
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["Lily", "Tom"]}, "age": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "child", "strict": True, "schema": schema}}
    asked: dict[str, Any] = {"model": "stories", "messages": [{"role": "user", "content": "A girl"}], "seed": 1}
    client = server.client()
    whole = client.chat.completions.create(**asked, response_format=wanted)
    child = json.loads(whole.choices[0].message.content)
    assert child["name"] in ("Lily", "Tom")
    assert 1 <= child["age"] <= 9
    assert whole.choices[0].finish_reason == "stop"
    streamed = client.chat.completions.create(**asked, response_format=wanted, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == whole.choices[0].message.content
    broken: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}
    with pytest.raises(openai.BadRequestError, match="schema"):
        client.chat.completions.create(**asked, response_format=broken)


@pytest.mark.parametrize("module", ["starlette", "prometheus_client"])
def test_a_package_that_is_missing_is_named(
    module: str, slow: Path, tmp_path: Path, edgeslm: Callable[..., Answer]
) -> None:
    (tmp_path / f"{module}.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), str(slow)])
    done = subprocess.run(
        [sys.executable, "-m", "edgeslm_device", "serve"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5
    assert f"pip install {module.replace('_', '-')}" in done.stderr
    assert "requirements-serve.txt" in done.stderr
    answer = edgeslm("serve", slow, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert answer.status == 5
    assert "edgeslm[serve]" in answer.stderr


def test_other_machines_need_a_key(slow: Path, edgeslm: Callable[..., Answer]) -> None:
    answer = edgeslm("serve", slow, "--host", "0.0.0.0")
    assert answer.status == 2
    assert "EDGESLM_API_KEY" in answer.stderr


def test_a_bundle_without_a_route_is_refused(tmp_path: Path, edgeslm: Callable[..., Answer]) -> None:
    pytest.importorskip("openvino")
    bundle = write_file(tmp_path / "tiny.edgeslm", members(TinyModel("classification"), "openvino"))
    answer = edgeslm("serve", bundle, "--port", "0")
    assert answer.status == 2
    assert "does classification" in answer.stderr


def _post(
    server: Server, document: dict[str, Any], key: str = "", route: str = "/v1/chat/completions"
) -> socket.socket:
    """A request that was sent, its answer not read."""
    host, port = server.url.removeprefix("http://").removesuffix("/v1").split(":")
    opened = socket.create_connection((host, int(port)), timeout=30)
    body = json.dumps(document).encode()
    head = f"POST {route} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAuthorization: Bearer {key}\r\n"
    opened.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return opened


def _stops(server: Server) -> bool:
    try:
        server.get("/health")
    except urllib.error.HTTPError as error:
        return error.code == 503
    return False
