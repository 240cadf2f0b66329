"""`python -m edgeslm_device listen`: a model behind a Unix socket, from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgeslm.device.listen import MAX_CLIENTS, MAX_LINE
from tests.unit.device_bundles import TinyModel, members, write_file

ROOT = Path(__file__).parents[2]
SLOW = """
import sys, time
import edgeslm.device.answer as answer
real = answer.answer_texts
def slow(model, texts):
    print("answering", flush=True)
    time.sleep(1.5)
    return real(model, texts)
answer.answer_texts = slow
from edgeslm.device.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("openvino")
    folder = tmp_path_factory.mktemp("bundles")
    tasks = ("embedding", "classification", "fill-mask")
    return {task: write_file(folder / f"{task}.edgeslm", members(TinyModel(task), "openvino")) for task in tasks}


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A socket's path, short enough for any system."""
    return tmp_path_factory.mktemp("s") / "s"


def command(bundle: Path, place: Path) -> list[str]:
    return [sys.executable, "-m", "edgeslm_device", "listen", "--socket", str(place), str(bundle)]


@contextmanager
def listener(bundle: Path, place: Path, code: str | None = None, **env: str) -> Iterator[subprocess.Popen[str]]:
    """The server, ready; killed at the end if it still runs."""
    arguments = command(bundle, place)
    if code:
        arguments = [sys.executable, "-c", code, *arguments[3:]]
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(bundle), str(ROOT)]), **env},
    )
    try:
        assert process.stdout is not None
        assert "listens on" in process.stdout.readline(), process.stderr.read() if process.stderr else ""
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def client(place: Path) -> Iterator[Any]:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(30)
        opened.connect(str(place))
        with opened.makefile("rwb") as stream:
            yield stream


def say(stream: Any, *lines: str | bytes) -> list[dict[str, Any]]:
    """Send lines, read as many answers."""
    for line in lines:
        stream.write((line.encode() if isinstance(line, str) else line) + b"\n")
    stream.flush()
    return [json.loads(stream.readline()) for _ in lines]


def test_it_answers_as_run_does_and_stops_on_sigterm(bundles: dict[str, Path], place: Path) -> None:
    bundle = bundles["embedding"]
    texts = ["a small model", "runs", "here ? \u00fc"]
    given = [part for text in texts for part in ("--text", text)]
    run = [sys.executable, "-m", "edgeslm_device", "run", *given, "--json"]
    done = subprocess.run(
        run, env={**os.environ, "PYTHONPATH": str(bundle)}, stdout=subprocess.PIPE, text=True, check=True
    )
    with listener(bundle, place) as process:
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        with client(place) as stream:
            assert say(stream, *texts) == json.loads(done.stdout)["results"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert stream.readline() == b""
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert not place.exists()


def test_a_text_it_cannot_take_is_told_and_the_next_one_answered(bundles: dict[str, Path], place: Path) -> None:
    with listener(bundles["fill-mask"], place), client(place) as stream:
        answers = say(stream, "a small model", "a [MASK] model", "", b"\xff\xfe", "[MASK]")
    assert "no mask token" in answers[0]["error"]
    assert answers[0]["hint"]
    assert len(answers[1]["fills"]) == 5
    assert answers[2]["error"] == "the line is empty"
    assert "no UTF-8" in answers[3]["error"]
    assert len(answers[4]["fills"]) == 5


def test_a_line_without_end_is_refused_and_others_are_served(bundles: dict[str, Path], place: Path) -> None:
    with listener(bundles["embedding"], place), client(place) as good:
        with client(place) as endless:
            endless.write(b"a" * (MAX_LINE + 1))
            endless.flush()
            assert f"more than {MAX_LINE:,} bytes" in json.loads(endless.readline())["error"]
            assert endless.read() == b""
        with client(place) as half:
            half.write(b"a small")
            half.flush()
        assert "embedding" in say(good, "a small model")[0]


def test_many_clients_get_their_own_answers_in_order(bundles: dict[str, Path], place: Path) -> None:
    texts = ["a small model runs here", "a", "runs well ?", "model"]
    seen: list[list[str]] = []

    def work(number: int) -> None:
        mine = texts[number % 4 :] + texts[: number % 4]
        with client(place) as stream:
            assert [answer["text"] for answer in say(stream, *mine)] == mine
            seen.append(mine)

    with listener(bundles["embedding"], place):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(seen) == 12


def test_one_client_too_many_is_sent_away(bundles: dict[str, Path], place: Path) -> None:
    with listener(bundles["embedding"], place):
        opened = [socket.socket(socket.AF_UNIX) for _ in range(MAX_CLIENTS)]
        for other in opened:
            other.connect(str(place))
        with client(place) as stream:
            assert "others are connected" in json.loads(stream.readline())["error"]
        for other in opened:
            other.close()
        deadline = time.monotonic() + 10
        answer: dict[str, Any] = {}
        while "embedding" not in answer and time.monotonic() < deadline:
            with client(place) as stream:
                stream.write(b"a small model\n")
                stream.flush()
                answer = json.loads(stream.readline())
    assert "embedding" in answer


def test_sigterm_lets_the_answer_under_way_be_given(bundles: dict[str, Path], place: Path) -> None:
    with listener(bundles["embedding"], place, SLOW) as process, client(place) as stream:
        stream.write(b"a small model\n")
        stream.flush()
        assert process.stdout is not None
        assert process.stdout.readline() == "answering\n"
        process.send_signal(signal.SIGTERM)
        assert "embedding" in json.loads(stream.readline())
        assert process.wait(10) == 0


def test_a_socket_left_by_a_killed_server_is_replaced(bundles: dict[str, Path], place: Path) -> None:
    with listener(bundles["embedding"], place) as process:
        process.kill()
        process.wait()
    assert place.exists()
    with listener(bundles["embedding"], place), client(place) as stream:
        assert "embedding" in say(stream, "a")[0]


def test_a_socket_in_use_is_left_alone(bundles: dict[str, Path], place: Path) -> None:
    with listener(bundles["embedding"], place), client(place) as stream:
        env = {**os.environ, "PYTHONPATH": str(bundles["embedding"])}
        second = subprocess.run(
            command(bundles["embedding"], place), env=env, capture_output=True, text=True, check=False
        )
        assert second.returncode == 2
        assert "somebody listens" in second.stderr
        assert "embedding" in say(stream, "a")[0]


@pytest.mark.parametrize("what", ["file", "missing", "long"])
def test_where_no_socket_can_be_is_told(what: str, bundles: dict[str, Path], tmp_path: Path) -> None:
    place = {"file": tmp_path / "file", "missing": tmp_path / "no/s", "long": tmp_path / ("x" * 200)}[what]
    if what == "file":
        place.write_text("mine")
    env = {**os.environ, "PYTHONPATH": str(bundles["embedding"])}
    done = subprocess.run(command(bundles["embedding"], place), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert str(place) in done.stderr
    assert "Traceback" not in done.stderr
    if what == "file":
        assert place.read_text() == "mine"


def test_a_plain_module_is_refused(tmp_path: Path, place: Path) -> None:
    pytest.importorskip("openvino")
    files = members(TinyModel("classification"), "openvino", task="tensors", tokenizer=None, labels=[])
    bundle = write_file(tmp_path / "plain.edgeslm", files)
    env = {**os.environ, "PYTHONPATH": str(bundle)}
    done = subprocess.run(command(bundle, place), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "plain module" in done.stderr
    assert not place.exists()


def test_systemd_is_told_when_it_is_ready(bundles: dict[str, Path], place: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(place.with_name("n")))
        notified.settimeout(30)
        with listener(bundles["embedding"], place, NOTIFY_SOCKET=str(place.with_name("n"))):
            assert notified.recv(100) == b"READY=1"
