"""`python -m edgeslm_device listen`: a model that stays loaded, behind a Unix socket.

A client sends texts, one a line, and reads one JSON document a line for each, in order: what `run --json` gives in
`results`, or {"error": …, "hint": …}. The socket is its owner's alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import socketserver
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import DeviceError, UsageError
from .systemd import tell_systemd

MAX_LINE = 1 << 20
"""Bytes; a model reads a few hundred words of it."""
MAX_CLIENTS = 32
"""At once. A further one is told so, and disconnected."""


def add_listen(commands: Any, own_bundle: Path) -> None:
    """The subcommand's arguments."""
    listen = commands.add_parser(
        "listen",
        help="answer texts on a Unix socket",
        description="Keep the model loaded and answer on a Unix socket: a text a line in, a JSON document a line out.",
    )
    listen.add_argument("bundle", nargs="?", type=Path, default=own_bundle, help="default: the bundle this lies in")
    listen.add_argument("--socket", type=Path, required=True, metavar="F", help="where the socket is to be")
    listen.add_argument("--threads", type=int, default=2, metavar="N", help="threads to compute with (default: 2)")


def run_listen(options: argparse.Namespace) -> int:
    """Answer until SIGTERM or Ctrl-C."""
    from .model import Model

    with Model.open(options.bundle, threads=options.threads) as model:
        if model.task == "tensors":
            raise UsageError(f"{model.name} is a plain module: it takes arrays, not lines of text", "call Model.run")
        with listening(model, options.socket) as server:
            sys.stdout.write(f"{model.name} ({model.task}) listens on {options.socket}\n")
            sys.stdout.flush()
            tell_systemd("READY=1")
            server.serve_forever(poll_interval=0.2)
    return 0


@contextlib.contextmanager
def listening(model: Any, path: Path) -> Iterator[socketserver.BaseServer]:
    """A server at `path`, which SIGTERM and SIGINT stop once the answer they find under way is given.

    The socket is removed at the end. Raises UsageError where it cannot be there.
    """
    _remove_stale(path)
    before = os.umask(0o177)
    try:
        server = _Server(model, str(path))
    except OSError as error:
        raise UsageError(f"the socket {path} cannot be made: {error.strerror or error}", "name another path") from None
    finally:
        os.umask(before)
    own = path.stat().st_ino

    def stop(number: int, frame: object) -> None:
        # serve_forever runs in this very thread, and shutdown waits for it.
        threading.Thread(target=server.shutdown, daemon=True).start()

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield server
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        with server.busy:  # the answer under way is written
            server.server_close()
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == own:
                path.unlink()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True  # a client that says nothing does not keep the server from ending
    request_queue_size = MAX_CLIENTS

    def __init__(self, model: Any, path: str) -> None:
        self.model = model
        self.busy = threading.Lock()
        self.places = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(path, _Client)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else is told in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            sys.stderr.write(f"error: {type(error).__name__}: {error}\n")
            sys.stderr.flush()


class _Client(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        if not self.server.places.acquire(blocking=False):
            self._say(_refusal(f"{MAX_CLIENTS} others are connected", "try again later"))
            return
        try:
            self._answer_lines()
        finally:
            self.server.places.release()

    def _answer_lines(self) -> None:
        while line := self.rfile.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                # Where the next text would begin is not known any more.
                self._say(_refusal(f"the line has more than {MAX_LINE:,} bytes", "send shorter texts"))
                return
            with self.server.busy:
                self._say(_answer(self.server.model, line))

    def _say(self, answer: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")


def _answer(model: Any, line: bytes) -> dict[str, Any]:
    """A text's answer, or why there is none: one client's mistake is nobody else's trouble."""
    from .answer import answer_texts

    try:
        text = line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        return _refusal(f"the line is no UTF-8: {error.reason} at byte {error.start}", "send texts as UTF-8")
    if not text.strip():
        return _refusal("the line is empty", "send a text")
    try:
        return answer_texts(model, [text])[0]
    except DeviceError as error:
        return _refusal(error.message, error.hint)


def _refusal(message: str, hint: str | None) -> dict[str, Any]:
    return {"error": message, "hint": hint}


def _remove_stale(path: Path) -> None:
    """Make room at `path`: a socket that nobody listens on any more is removed."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"the socket {path} cannot be made: {error.strerror}", "name another path") from None
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"{path} is there already and is no socket", "name another path")
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise UsageError(f"the socket {path} cannot be made: {error.strerror}", "name another path") from None
    raise UsageError(f"somebody listens on {path} already", "stop it, or name another path")
