"""Language models on the command line, `edgeslm run` and `python -m edgeslm_device run`, over a fake engine."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeslm.device import Model
from tests.unit import fake_open_language
from tests.unit.device_bundles import TinyModel, members, write_file
from tests.unit.language_bundles import language_members

ROOT = Path(__file__).parents[2]
FAKED = """
import sys
from tests.unit import fake_open_language
sys.modules["edgeslm.device.open_language"] = fake_open_language
from edgeslm.cli import main
main()
"""
Launch = Callable[..., "subprocess.Popen[bytes]"]
ABC = [260, 261, 262, 2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """bundle(**arguments of language_members) -> its file."""
    folder = tmp_path_factory.mktemp("bundles")

    def make(**arguments: Any) -> Path:
        path = folder / f"{len(list(folder.iterdir()))}.edgeslm"
        return write_file(path, language_members(**arguments))

    return make


@pytest.fixture(params=["edgeslm", "edgeslm_device"])
def launch(request: pytest.FixtureRequest) -> Launch:
    """launch(bundle, *arguments, **of Popen): the command running, its streams pipes unless told otherwise."""

    def start(path: Path, *arguments: str | bytes, **popen: Any) -> subprocess.Popen[bytes]:
        ours = request.param == "edgeslm"
        command = [sys.executable, *(["-c", FAKED] if ours else ["-m", "edgeslm_device"]), "run", str(path)]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
        search = str(ROOT if ours else path)
        environment = {**os.environ, "PYTHONPATH": search, "PYTHONUTF8": "1"}
        cwd = ROOT if ours else path.parent
        return subprocess.Popen([*command, *arguments], env=environment, cwd=cwd, preexec_fn=hear_ctrl_c, **streams)

    return start


def hear_ctrl_c() -> None:
    """A shell lets what it starts in the background ignore it, and so what the tests start then."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finished(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(stdin, timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert b"Traceback" not in err
    return process.returncode, out.decode(), err.decode()


def test_an_answer_is_what_python_gives(
    bundle: Callable[..., Path], launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "edgeslm.device.open_language", fake_open_language)
    path = bundle(eos=[])
    options: dict[str, Any] = {"max_tokens": 20, "temperature": 0.9, "top_k": 40, "top_p": 0.9, "min_p": 0.01}
    options.update(repetition_penalty=1.1, seed=5)
    flags = [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), str(value))]
    with Model.open(path) as model:
        answer = model.generate("On the cat", stop=["never"], **options)
        text = answer.read()
    assert finished(launch(path, "--prompt", "On the cat", "--stop", "never", *flags)) == (0, text + "\n", "")
    status, out, err = finished(launch(path, "--prompt", "On the cat", "--json", *flags))
    document = json.loads(out)
    assert (status, err) == (0, "")
    assert (document["task"], document["results"]) == ("generation", [])
    assert document["generation"] == {
        "prompt": "On the cat",
        "text": text,
        "tokens": answer.tokens,
        "finish_reason": "length",
        "prompt_tokens": len(answer.prompt),
        "generated_tokens": 20,
    }


def test_stop_chat_and_stdin(bundle: Callable[..., Path], launch: Launch) -> None:
    path = bundle(fake={"answer": ABC})
    assert finished(launch(path, "--prompt", "On", "--stop", "x", "--stop", "bc"))[:2] == (0, "a\n")
    assert finished(launch(path, "--prompt", ""))[:2] == (0, "abc\n")
    status, out, _ = finished(launch(path, "--prompt", "On", "--chat", "--json"))
    chatted = json.loads(out)["generation"]
    assert (status, chatted["text"], chatted["finish_reason"]) == (0, "abc", "stop")
    status, out, _ = finished(launch(path, "--json", stdin=subprocess.PIPE), "\ufeffOn\nthe é\r\n".encode())
    piped = json.loads(out)["generation"]
    assert (status, piped["prompt"]) == (0, "On\nthe é")
    assert chatted["prompt_tokens"] > piped["prompt_tokens"]


def test_a_long_prompt_is_told_or_cut(bundle: Callable[..., Path], launch: Launch) -> None:
    path = bundle(fake={"context": 24}, eos=[])
    status, out, err = finished(launch(path, "--prompt", "cat " * 40))
    assert (status, out) == (2, "")
    assert "tokens; prompt and answer together have room for 24" in err
    assert "--truncate" in err
    status, out, err = finished(launch(path, "--prompt", "cat " * 40, "--truncate", "--max-tokens", "4", "--json"))
    assert status == 0
    assert "tokens were cut; 20 are left" in err
    assert json.loads(out)["generation"]["prompt_tokens"] == 20


def test_a_schema_holds_the_answer(bundle: Callable[..., Path], launch: Launch, tmp_path: Path) -> None:
    path = bundle(tokenizer="bytelevel", context=512, fake={"context": 512})
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"é": {"enum": [7]}}, "required": ["é"], "maxProperties": 1}')
    status, out, err = finished(launch(path, "--prompt", "On", "--json-schema", str(schema)))
    assert (status, err) == (0, "")
    assert json.loads(out) == {"é": 7}
    status, out, err = finished(
        launch(path, "--prompt", "On", "--json-schema", str(schema), "--max-tokens", "2", "--json")
    )
    assert status == 0
    assert json.loads(out)["generation"]["finish_reason"] == "length"
    assert err == (
        "warning: the answer was cut at --max-tokens and is no whole JSON document: --max-tokens allows more\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--prompt", b"ab\xff"], "the prompt is not UTF-8: byte 2"),
        (["--prompt", "a", "--top-p", "1.5"], "top_p is 1.5; it must be above 0 and at most 1"),
        (["--prompt", "a", "--temperature", "nan"], "temperature is nan; it must be a number from 0"),
        (["--prompt", "a", "--max-tokens", "0"], "max_tokens is 0; it must be at least 1"),
        (["--text", "a"], "generates text: --text is for other models"),
        (["--file", "a"], "generates text: --file is for other models"),
        (["--prompt", "a", "--json-schema", "nowhere.json"], "nowhere.json cannot be read: No such file or directory"),
        (["--prompt", "a", "--chat"], "refuses these messages in line 2: no"),
    ],
)
def test_wrong_use_is_one_clear_error(
    bundle: Callable[..., Path], launch: Launch, arguments: list[str | bytes], told: str
) -> None:
    status, out, err = finished(launch(bundle(template="a\n{{ raise_exception('no') }}"), *arguments))
    assert (status, out) == (2, "")
    assert told in err


def test_stdin_that_is_no_utf8_is_told(bundle: Callable[..., Path], launch: Launch) -> None:
    status, out, err = finished(launch(bundle(), stdin=subprocess.PIPE), b"caf\xe9 noir")
    assert (status, out) == (2, "")
    assert "stdin is not UTF-8: byte 3" in err


def test_prompts_are_for_language_models(tmp_path: Path, launch: Launch) -> None:
    pytest.importorskip("openvino")
    path = write_file(tmp_path / "encoder.edgeslm", members(TinyModel("embedding"), "openvino"))
    for arguments, option in ((["--prompt", "a"], "--prompt"), (["--text", "a", "--top-k", "3"], "--top-k")):
        status, out, err = finished(launch(path, *arguments))
        assert (status, out) == (2, "")
        assert f"tiny does embedding: {option} is for language models" in err
        assert "use --text '…'" in err


@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_ends_an_answer_and_keeps_what_came(
    bundle: Callable[..., Path], launch: Launch, tmp_path: Path, as_json: bool
) -> None:
    begun = tmp_path / "begun"
    path = bundle(fake={"answer": ABC[:3], "delay": 0.02, "context": 50_000, "begun": str(begun)})
    process = launch(path, "--prompt", "On", "--max-tokens", "40000", *(["--json"] if as_json else []))
    assert process.stdout is not None
    if as_json:
        while not begun.exists():  # a Ctrl-C that meets imports may be lost in one of them
            assert process.poll() is None
            time.sleep(0.05)
        shown = b""
    else:
        shown = process.stdout.read(5)
        assert shown == b"abcab"
    process.send_signal(signal.SIGINT)
    status, out, err = finished(process)
    assert (status, err) == (130, "")
    text = json.loads(out)["generation"]["text"] if as_json else shown.decode() + out
    if as_json:
        assert json.loads(out)["generation"]["finish_reason"] == "interrupted"
    else:
        assert text.endswith("\n")
    assert ("abc" * len(text)).startswith(text.rstrip("\n"))


def test_a_reader_that_goes_away_is_no_error(bundle: Callable[..., Path], launch: Launch) -> None:
    process = launch(bundle(fake={"answer": ABC[:3], "delay": 0.005, "context": 50_000}), "--prompt", "On",
                     "--max-tokens", "40000")  # fmt: skip
    assert process.stdout is not None
    process.stdout.read(3)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) in (1, 141)  # click's choice, and the shells'


class Terminal:
    """A command on a terminal of its own: type, and wait for what it shows."""

    def __init__(self, launch: Launch, path: Path, *arguments: str) -> None:
        ours, its = pty.openpty()
        self.process = launch(path, *arguments, stdin=its, stdout=its, stderr=its, start_new_session=True)
        os.close(its)
        self._ours = ours
        self.shown = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                self.shown += os.read(self._ours, 4096).decode(errors="replace")
            except OSError:
                return

    def type(self, text: bytes) -> None:
        os.write(self._ours, text)

    def wait_for(self, text: str, count: int = 1) -> None:
        end = time.monotonic() + 60
        while self.shown.count(text) < count:
            assert time.monotonic() < end, self.shown
            assert self.process.poll() is None or self.shown.count(text) >= count, self.shown
            time.sleep(0.02)


@pytest.mark.parametrize("end", [b"\n", b"\x04", "ctrl-c"])
def test_a_chat_on_a_terminal(bundle: Callable[..., Path], launch: Launch, end: bytes | str) -> None:
    terminal = Terminal(launch, bundle(fake={"answer": ABC, "context": 128}), "--chat")
    terminal.wait_for("> ")
    terminal.type(b"On\n")
    terminal.wait_for("abc")
    terminal.wait_for("> ", 2)
    terminal.type(b"the cat " * 200 + b"\n")
    terminal.wait_for("tokens; prompt and answer together have room for 128")
    terminal.wait_for("> ", 3)
    terminal.type(b"the\n")
    terminal.wait_for("abc", 2)
    terminal.wait_for("> ", 4)
    if isinstance(end, bytes):
        terminal.type(end)
    else:
        terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(timeout=60) == (130 if end == "ctrl-c" else 0)
    assert "Traceback" not in terminal.shown


def test_ctrl_c_in_a_chat_ends_the_answer_and_then_the_chat(bundle: Callable[..., Path], launch: Launch) -> None:
    path = bundle(fake={"answer": ABC[:3], "delay": 0.02, "context": 50_000})
    terminal = Terminal(launch, path, "--chat", "--max-tokens", "40000")
    terminal.wait_for("> ")
    terminal.type(b"On\n")
    terminal.wait_for("abcabc")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("> ", 2)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(timeout=60) == 130
    assert "Traceback" not in terminal.shown


def test_an_answer_does_not_steer_the_terminal(bundle: Callable[..., Path], launch: Launch) -> None:
    script = [260, 3 + 0x1B, 261, 2]
    path = bundle(fake={"answer": script})
    terminal = Terminal(launch, path, "--prompt", "On")
    assert terminal.process.wait(timeout=60) == 0
    terminal.wait_for("a\ufffdb")
    assert finished(launch(path, "--prompt", "On"))[1] == "a\x1bb\n"
