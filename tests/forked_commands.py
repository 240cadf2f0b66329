"""The command line in processes that need not import torch and transformers again, which takes seconds each time.

A server imports them once and is forked for each command. A command has its process, folder, environment and files all
the same; only what the interpreter and the libraries read as they start is the server's. `python -m
tests.forked_commands SOCKET` serves until its standard input ends.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import NoReturn

from tests.torchlib import parse_torchlib_once

IMPORTED = (
    *("torch", "torch._dynamo", "torch.onnx._internal.exporter._core", "torch.distributed.tensor", "sympy", "networkx"),
    "torch.export._trace",
    *("transformers", "transformers.generation.utils", "transformers.models.auto.modeling_auto"),
    *("transformers.models.bert.modeling_bert", "transformers.models.llama.modeling_llama"),
    *("onnx", "onnxscript.function_libs.torch_lib.ops", "onnxruntime.capi", "ai_edge_quantizer", "openvino"),
    *("scipy.optimize", "pydantic", "edgeslm.cli", "edgeslm.probe.report", "edgeslm.bundle.manifest"),
)
"""What takes longest in a build; a package that is not installed is left out."""
ROOT = Path(__file__).resolve().parent.parent
READ_AT_START = (
    "TZ",
    "PYTHON",
    "LD_",
    "OMP_",
    "OPENBLAS",
    "MKL",
    "TORCH_",
    "TRANSFORMERS",
    "HF_",
    "LANG",
    "LC_",
    "GLIBC",
)
SET_BY_LIBRARIES = frozenset({"HF_HUB_OFFLINE", "KMP_DUPLICATE_LIB_OK", "TORCHINDUCTOR_CACHE_DIR"})
"""What torch, and our export, put into the environment of a process that uses them, such as the tests' own."""
_AT_FIRST = frozenset(os.environ)


def command_environment(given: Mapping[str, str]) -> dict[str, str]:
    """This process's environment and what is given: as in a user's shell, without what libraries put into it."""
    ours = {name: value for name, value in os.environ.items() if name not in SET_BY_LIBRARIES or name in _AT_FIRST}
    return {**ours, **given}


class Commands:
    """The client's side: one server, started with the first command."""

    def __init__(self, folder: Path) -> None:
        self._address, self._folder = str(folder / "commands"), folder
        self._environment = command_environment({})
        self._server: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()  # tests run commands in threads, too

    def can_run(self, environment: Mapping[str, str]) -> bool:
        """Whether this environment differs from the server's in nothing that was read as it started."""
        names = {name for name, _ in environment.items() ^ self._environment.items()}
        return not any(name.startswith(READ_AT_START) for name in names)

    def run(self, arguments: list[str], cwd: Path, environment: Mapping[str, str], stdin: Path, out: Path) -> int:
        """Its status, negative for the signal that ended it; what it printed is in `out`/stdout and stderr."""
        with self._starting:
            self._server = self._server or self._start()
        with Client(self._address, "AF_UNIX") as connection:
            connection.send((arguments, str(cwd), dict(environment), str(stdin), str(out)))
            status: int = connection.recv()
        return status

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.forked_commands", self._address]
        with (self._folder / "commands.log").open("wb") as log:
            server = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=self._environment
            )
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n", (self._folder / "commands.log").read_text()
        return server

    def close(self) -> None:
        if self._server is not None:
            assert self._server.stdin is not None
            self._server.stdin.close()
            self._server.wait()


def serve(address: str) -> None:
    for name in IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    parse_torchlib_once()
    with contextlib.suppress(ImportError):
        importlib.import_module("torch.onnx._internal.exporter._registration").onnxscript_apis.get_torchlib_ops()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how the answering children ended
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listening, sys.stdin], [], [])
            if listening not in ready:
                return
            taken, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(Connection(taken.detach()))
            taken.close()


def _answer(connection: Connection) -> NoReturn:
    """Run the command that is asked for in a child, and tell its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    arguments, cwd, environment, stdin, out = connection.recv()
    child = os.fork()
    if child == 0:
        os.close(connection.fileno())
        _become(arguments, cwd, environment, stdin, out)
    _, status = os.waitpid(child, 0)
    connection.send(os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(arguments: list[str], cwd: str, environment: dict[str, str], stdin: str, out: str) -> NoReturn:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, path, flags in (
        (0, stdin, os.O_RDONLY),
        (1, f"{out}/stdout", os.O_WRONLY),
        (2, f"{out}/stderr", os.O_WRONLY),
    ):
        opened = os.open(path, flags | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8", closefd=False) for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    sys.argv = ["edgeslm", *arguments]
    status = 1
    try:
        from edgeslm.cli import main

        main()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:  # as an interpreter ends
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads; there is no public name
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
