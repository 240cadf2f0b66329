"""An adbd on loopback for tests: enough of adb's protocol for Debian's own client, with faults on demand.

Protocol: the Android Open Source Project's packages/modules/adb, protocol.txt, SYNC.TXT and shell_protocol.h. The shell
runs commands with the folder `root` as the device's root; sync reads and writes files in it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

VERSION = 0x01000001  # no checksums
MAX_PAYLOAD = 256 << 10
BANNER = b"device::ro.product.name=fake;ro.product.model=Fake_Phone;ro.product.device=fake;features=shell_v2,cmd\0"
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
TOKEN, PUBLIC_KEY = 1, 3  # of AUTH: what the other side is to sign, and the key that it offers


class LostError(Exception):
    """The connection is to end now, as where a cable is pulled."""


class ClosedError(Exception):
    """The other side has no more use for this stream."""


@dataclass
class Faults:
    """What goes wrong, and when. Each may be set while the daemon runs."""

    unauthorized: bool = False  # answers every signature with another token
    lose_after: int | None = None  # bytes that a push may bring until the connection drops
    full_after: int | None = None  # bytes that a push may bring until the disk is full
    damage: bool = False  # the first byte of what is pushed arrives as another one
    lost: bool = False  # the cable is out: no connection stays
    lose_at: str | None = None  # the line of a command's output with this text in it is the last that gets through


@dataclass
class Adbd:
    """A daemon that listens; `shell` starts a command (its last word is for sh -c) on the device."""

    root: Path
    shell: Sequence[str]
    faults: Faults = field(default_factory=Faults)
    port: int = 0
    commands: list[str] = field(default_factory=list)  # all that the shell was asked for
    pushed: list[str] = field(default_factory=list)
    pulled: list[str] = field(default_factory=list)
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def drop(self) -> None:
        """The cable is pulled."""
        self.faults.lost = True
        for link in self.links:
            link.drop()

    def local(self, path: str) -> Path:
        return self.root / path.lstrip("/")


@contextlib.contextmanager
def listening(daemon: Adbd) -> Iterator[Adbd]:
    """The daemon at a port of its own, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        daemon.port = server.getsockname()[1]

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    link = Link(daemon, server.accept()[0])
                    daemon.links.append(link)
                    threading.Thread(target=link.serve, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield daemon
        finally:
            server.shutdown(socket.SHUT_RDWR)
            daemon.drop()


class Link:
    """One connection of an adb server, with many streams in it."""

    def __init__(self, daemon: Adbd, connection: socket.socket) -> None:
        self.daemon = daemon
        self._connection = connection
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._ids = iter(range(1, 1 << 30))

    def serve(self) -> None:
        with contextlib.suppress(OSError, LostError):
            while True:
                command, first, second, payload = self._receive()
                self._take(command, first, second, payload)
        self.drop()

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        for stream in list(self._streams.values()):
            stream.close()

    def send(self, command: bytes, first: int, second: int, payload: bytes = b"") -> None:
        number = int.from_bytes(command, "little")
        header = struct.pack("<4s5I", command, first, second, len(payload), 0, number ^ 0xFFFFFFFF)
        with self._sending:
            self._connection.sendall(header + payload)

    def _receive(self) -> tuple[bytes, int, int, bytes]:
        command, first, second, length, _, _ = struct.unpack("<4s5I", self._exactly(24))
        return command, first, second, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            piece = self._connection.recv(count - len(content))
            if not piece:
                raise LostError
            content += piece
        return content

    def _take(self, command: bytes, first: int, second: int, payload: bytes) -> None:
        faults = self.daemon.faults
        if faults.lost:
            raise LostError
        if command in (b"CNXN", b"AUTH"):
            if faults.unauthorized:
                if first != PUBLIC_KEY:  # that one waits until a person has looked at it
                    self.send(b"AUTH", TOKEN, 0, os.urandom(20))
            else:
                self.send(b"CNXN", VERSION, MAX_PAYLOAD, BANNER)
        elif command == b"OPEN":
            stream = Stream(self, next(self._ids), first)
            self._streams[stream.local] = stream
            self.send(b"OKAY", stream.local, first)
            threading.Thread(target=stream.serve, args=(payload.rstrip(b"\0").decode(),), daemon=True).start()
        elif command == b"WRTE" and second in self._streams:
            self._streams[second].incoming.put(payload)
            self.send(b"OKAY", second, first)
        elif command == b"OKAY" and second in self._streams:
            self._streams[second].ready.release()
        elif command == b"CLSE" and second in self._streams:
            self._streams.pop(second).close()


class Stream:
    """One service that was asked for."""

    def __init__(self, link: Link, local: int, remote: int) -> None:
        self.local = local
        self.incoming: queue.Queue[bytes | None] = queue.Queue()
        self.ready = threading.Semaphore(1)  # one WRTE at a time waits for its OKAY
        self._link, self._remote = link, remote
        self._rest = b""
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def serve(self, service: str) -> None:
        try:
            if service.startswith("shell,v2"):
                self._shell(service.partition(":")[2])
            elif service == "sync:":
                self._sync()
        except LostError:
            self._link.drop()
        except (ClosedError, OSError):
            pass
        finally:
            with contextlib.suppress(OSError):
                self._link.send(b"CLSE", self.local, self._remote)

    def close(self) -> None:
        """The other side is gone: as adbd does, the command hears SIGHUP and the end of its stdin."""
        self._closed.set()
        self.incoming.put(None)
        self.ready.release()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    def _write(self, content: bytes) -> None:
        for start in range(0, len(content), MAX_PAYLOAD):
            self.ready.acquire()
            if self._closed.is_set():
                raise ClosedError
            self._link.send(b"WRTE", self.local, self._remote, content[start : start + MAX_PAYLOAD])

    def _read(self, count: int) -> bytes:
        while len(self._rest) < count:
            piece = self.incoming.get()
            if piece is None:
                raise ClosedError
            self._rest += piece
        content, self._rest = self._rest[:count], self._rest[count:]
        return content

    # The shell: packets of a kind (one byte), a length and a content in either direction.

    def _shell(self, command: str) -> None:
        daemon = self._link.daemon
        daemon.commands.append(command)
        process = subprocess.Popen(
            [*daemon.shell, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._process = daemon.running[process.pid] = process
        writing = threading.Lock()
        threading.Thread(target=self._feed, args=(process,), daemon=True).start()
        assert process.stdout is not None
        assert process.stderr is not None
        errors = threading.Thread(target=self._tell, args=(process.stderr.fileno(), STDERR, writing), daemon=True)
        errors.start()
        try:
            with process.stdout, process.stderr:
                self._tell(process.stdout.fileno(), STDOUT, writing)
                errors.join()
        finally:
            status = process.wait()
            del daemon.running[process.pid]
        self._write(struct.pack("<BIB", EXIT, 1, status if status >= 0 else 128 - status))

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(ClosedError, OSError), process.stdin:
            while True:
                kind, length = struct.unpack("<BI", self._read(5))
                content = self._read(length)
                if kind == CLOSE_STDIN:
                    return
                if kind == STDIN:
                    process.stdin.write(content)
                    process.stdin.flush()

    def _tell(self, pipe: int, kind: int, writing: threading.Lock) -> None:
        faults = self._link.daemon.faults
        while printed := os.read(pipe, 64 << 10):
            mark = -1 if faults.lose_at is None else printed.find(faults.lose_at.encode())
            if mark >= 0:  # on a busy machine all the lines behind it may have come with it
                printed = printed[: printed.find(b"\n", mark) + 1] or printed
            try:
                with writing:
                    self._write(struct.pack("<BI", kind, len(printed)) + printed)
            except (ClosedError, OSError):
                return
            if mark >= 0:
                faults.lost = True
                self._link.drop()
                return

    # Sync: requests of four letters and a length.

    def _sync(self) -> None:
        daemon = self._link.daemon
        while True:
            request, length = struct.unpack("<4sI", self._read(8))
            path = self._read(length).decode()
            if request == b"QUIT":
                return
            if request == b"STAT":
                self._write(b"STAT" + _stat(daemon.local(path)))
            elif request == b"RECV":
                self._send_file(daemon, path)
            elif request == b"SEND":
                self._receive_file(daemon, path.rpartition(",")[0])

    def _send_file(self, daemon: Adbd, path: str) -> None:
        daemon.pulled.append(path)
        try:
            content = daemon.local(path).read_bytes()
        except OSError as error:
            self._fail(error.strerror or "no reason")
            return
        for start in range(0, len(content), 64 << 10):
            piece = content[start : start + (64 << 10)]
            self._write(struct.pack("<4sI", b"DATA", len(piece)) + piece)
        self._write(struct.pack("<4sI", b"DONE", 0))

    def _receive_file(self, daemon: Adbd, path: str) -> None:
        daemon.pushed.append(path)
        place, problem, written = daemon.local(path), None, 0
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            sink = place.open("wb")
        except OSError as error:
            problem, sink = error.strerror, open(os.devnull, "wb")  # noqa: SIM115  # closed below
        with sink:
            while True:
                part, length = struct.unpack("<4sI", self._read(8))
                if part == b"DONE":
                    break
                content = self._read(length)
                sink.write(b"?" + content[1:] if daemon.faults.damage and not written else content)
                sink.flush()
                written += length
                if daemon.faults.lose_after is not None and written > daemon.faults.lose_after:
                    daemon.faults.lost = True
                    raise LostError
                if daemon.faults.full_after is not None and written > daemon.faults.full_after:
                    problem = "write failed: No space left on device"
                    break
        if problem is None:
            self._write(struct.pack("<4sI", b"OKAY", 0))
            return
        self._fail(problem)  # as adbd does: it says so at once, and passes over what still comes
        place.unlink(missing_ok=True)
        while written and struct.unpack("<4sI", self._read(8))[0] != b"DONE":
            pass

    def _fail(self, why: str) -> None:
        self._write(struct.pack("<4sI", b"FAIL", len(why)) + why.encode())


def _stat(path: Path) -> bytes:
    try:
        found = path.stat()
    except OSError:
        return struct.pack("<3I", 0, 0, 0)
    return struct.pack("<3I", found.st_mode, min(found.st_size, 0xFFFFFFFF), int(found.st_mtime))
