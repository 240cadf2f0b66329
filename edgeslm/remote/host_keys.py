"""The host keys that are known: ~/.ssh/known_hosts, as ssh reads and writes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from asyncssh import SSHKey
    from asyncssh.known_hosts import SSHKnownHosts

VARIABLE = "EDGESLM_KNOWN_HOSTS"
DEFAULT_PORT = 22


@dataclass(frozen=True)
class KnownHosts:
    """The keys in `files`; a new one goes into the first of them."""

    files: tuple[Path, ...]
    book: SSHKnownHosts

    def keys(self, host: str, port: int | None) -> tuple[list[SSHKey], list[SSHKey], list[SSHKey]]:
        """Trusted keys, trusted authorities and revoked keys of this very host and port.

        The host's address is not looked up as well: at home, addresses wander from one device to another.
        """
        found = self.book.match(_name(host, port), "", None)
        return list(found[0]), list(found[1]), list(found[2])

    def add(self, host: str, port: int | None, key: SSHKey) -> None:
        """Append the key. Raises StorageError where the file cannot be written."""
        file = self.files[0]
        kind, content = key.export_public_key().decode().split()[:2]
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "rb+") as sink:
                cut_short = file.stat().st_size > 0 and os.pread(sink.fileno(), 1, file.stat().st_size - 1) != b"\n"
                sink.write(b"\n" * cut_short + f"{_name(host, port)} {kind} {content}\n".encode())
        except OSError as error:
            raise StorageError(
                f"the host key cannot be added to {file}: {error.strerror}", f"{VARIABLE}=FILE names another file"
            ) from None

    def lines(self, host: str, port: int | None) -> list[str]:
        """FILE:LINE of every plain entry for this host: what a person has to look at when its key changed."""
        name = _name(host, port)
        found = []
        for file in self.files:
            for number, line in enumerate(_read(file).splitlines(), 1):
                words = line.split()
                if words and name in words[0].split(","):
                    found.append(f"{file}:{number}")
        return found


def read_known_hosts(configured: Sequence[str], override: Path | None = None) -> KnownHosts:
    """The files that a caller, EDGESLM_KNOWN_HOSTS, ~/.ssh/config (`configured`) or else ssh itself names.

    Raises ConfigError where one of them cannot be understood.
    """
    from asyncssh.known_hosts import import_known_hosts

    variable = os.environ.get(VARIABLE)
    if override is not None or variable:
        files = [override or Path(str(variable))]
    else:
        files = [Path(name).expanduser() for name in configured] or [Path("~/.ssh/known_hosts").expanduser()]
    text = "\n".join(_read(file) for file in files)
    try:
        return KnownHosts(tuple(files), import_known_hosts(text))
    except ValueError as error:
        raise ConfigError(
            f"{', '.join(map(str, files))} is no file of known host keys: {error}",
            f"repair that line, or name another file: {VARIABLE}=FILE",
        ) from None


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", f"{VARIABLE}=FILE names another file") from None


def _name(host: str, port: int | None) -> str:
    return host if port in {None, DEFAULT_PORT} else f"[{host}]:{port}"
