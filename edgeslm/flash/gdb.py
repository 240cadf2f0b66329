"""A session of GDB, spoken with in its machine interface: a command, its result, and what it printed meanwhile.

GDB manual, chapter "The GDB/MI Interface". Nothing of the user's own settings is read, and no script that an image
names is run.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from edgeslm.errors import ConnectionLostError, DeviceError, MissingToolError, ProbeTimeoutError
from edgeslm.toolchain import Conversation, converse_with_tool, last_lines

NAMES = ("gdb-multiarch", "arm-none-eabi-gdb")
HINT = "apt install gdb-multiarch brings it (or: edgeslm doctor --install gdb-multiarch)"
CONNECT_S = 20.0
COMMAND_S = 60.0
PIECE = 1 << 14
"""Bytes of memory that are asked for at once."""
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_PLAIN = {"n": "\n", "t": "\t", "r": "\r"}


class Gdb:
    """One command at a time. Every call raises DeviceError with GDB's own words where a command fails."""

    def __init__(self, conversation: Conversation, log: Path) -> None:
        self._conversation = conversation
        self._log = log
        self._held = b""
        self._number = 0

    def command(self, text: str, limit_s: float = COMMAND_S) -> tuple[str, str]:
        """The result's content, and what was printed on the console."""
        self._number += 1
        try:
            self._conversation.write(f"{self._number}{text}\n".encode())
        except BrokenPipeError:
            raise self._gone() from None
        printed, ends = "", time.monotonic() + limit_s
        while True:
            line = self._next_line(text, ends)
            if line.startswith("~"):
                printed += _unquoted(line[1:])
            elif line.startswith(f"{self._number}^"):
                kind, _, content = line.partition("^")[2].partition(",")
                if kind == "error":
                    said = _unquoted(content.partition("msg=")[2]).strip()
                    raise DeviceError(f"gdb: {text.split()[0].lstrip('-')}: {said}", "flash it again")
                return content, printed

    def read_memory(self, address: int, count: int) -> bytes:
        """Bytes of the target's memory."""
        content = b""
        while len(content) < count:
            wanted = min(PIECE, count - len(content))
            told, _ = self.command(f"-data-read-memory-bytes {address + len(content):#x} {wanted}")
            found = re.search(r'contents="([0-9a-f]*)"', told)
            piece = bytes.fromhex(found[1]) if found else b""
            if len(piece) != wanted:
                raise DeviceError(f"gdb read {len(piece)} of {wanted} bytes at {address + len(content):#010x}")
            content += piece
        return content

    def _next_line(self, doing: str, ends: float) -> str:
        while b"\n" not in self._held:
            left = ends - time.monotonic()
            if left <= 0:
                raise ProbeTimeoutError(f"gdb does not come to an end of: {doing}", "flash it again")
            content = self._conversation.read(left)
            if content is None:
                raise self._gone()
            self._held += content
        line, self._held = self._held.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def _gone(self) -> ConnectionLostError:
        said = last_lines(self._log, 4)
        return ConnectionLostError("gdb ended in the middle of something" + (f":\n         {said}" if said else ""))


@contextlib.contextmanager
def debugging(elf: Path, remote: str, log: Path) -> Iterator[Gdb]:
    """GDB with this image, connected to the GDB server at `remote`; it is gone after the block.

    Raises MissingToolError without GDB, DeviceError where the server does not answer.
    """
    name = next((found for name in NAMES if (found := shutil.which(name))), None)
    if name is None:
        raise MissingToolError(f"{' or '.join(NAMES)} is not on PATH", HINT)
    command = [name, "-nx", "-q", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off"]
    command += ["--interpreter=mi3", str(elf)]
    with converse_with_tool(command, log, hint=HINT) as conversation:
        gdb = Gdb(conversation, log)
        gdb.command("-gdb-set confirm off")
        gdb.command("-gdb-set mi-async on")
        gdb.command(f"-target-select remote {remote}", CONNECT_S)
        yield gdb


def _unquoted(text: str) -> str:
    """The content of a string of the machine interface."""

    def meant(found: re.Match[str]) -> str:
        word = found[1]
        return chr(int(word, 8)) if len(word) == 3 else _PLAIN.get(word, word)

    return _ESCAPE.sub(meant, text.strip().removeprefix('"').removesuffix('"'))
