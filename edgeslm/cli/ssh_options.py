"""The flags of commands that go to a device over SSH, and the questions they may have to ask."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgeslm.remote.address import Address
    from edgeslm.remote.ask import Ask
    from edgeslm.remote.login import Login

F = TypeVar("F", bound=Callable[..., Any])

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_OPTIONS = (
    click.option("--identity", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
                 help="ssh: the private key to log in with. Default: the agent's, and those ~/.ssh/config names."),
    click.option("--accept-host-key", "accept_host_keys", multiple=True, metavar="SHA256:…",
                 help="ssh: trust a new device with this host key without a question; may be given more than once."),
    click.option("--remote-dir", metavar="DIR",
                 help="ssh: where on the device everything goes."),
)  # fmt: skip


def login_options(command: F) -> F:
    """Add --identity, --accept-host-key and --remote-dir to a click command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_login(flags: Mapping[str, Any]) -> Login:
    """The Login of these flags. Raises ConfigError for a fingerprint that is none."""
    from edgeslm.errors import ConfigError
    from edgeslm.remote.login import Login

    for fingerprint in flags["accept_host_keys"]:
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise ConfigError(
                f"--accept-host-key {fingerprint} is no fingerprint",
                "SHA256: and 43 characters, as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on the device",
            )
    accepted = tuple(fingerprint.rstrip("=") for fingerprint in flags["accept_host_keys"])
    return Login(_make_ask(), flags["identity"], accepted)


def _make_ask() -> Ask:
    """Questions on stderr, one at a time whatever the number of devices; none where nobody can answer."""
    from edgeslm.remote.ask import NOBODY, Ask

    if sys.stdin is None or not sys.stdin.isatty():
        return NOBODY
    one_at_a_time = threading.Lock()

    def confirm_host_key(address: Address, kind: str, fingerprint: str) -> bool:
        with one_at_a_time:
            click.echo(f"{address} is new here. Its host key is {kind}\n  {fingerprint}", err=True)
            return _type("Is that the device's key? [y/N] ").lower() in {"y", "yes"}

    def password(address: Address) -> str | None:
        with one_at_a_time:
            return _type(f"password for {address}: ", hidden=True) or None

    def passphrase(path: Path) -> str | None:
        with one_at_a_time:
            return _type(f"passphrase of {path}: ", hidden=True) or None

    return Ask(confirm_host_key, password, passphrase)


def _type(question: str, *, hidden: bool = False) -> str:
    """A line typed at the terminal, "" where that is at its end.

    Not by way of Python's stdin or getpass: Ctrl-C leaves the thread that waits here behind, and it must then hold no
    lock that the end of the program needs, nor keep the terminal mute.
    """
    import atexit
    import termios

    terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    before = termios.tcgetattr(terminal)
    click.echo(question, nl=False, err=True)
    try:
        if hidden:
            atexit.register(termios.tcsetattr, terminal, termios.TCSADRAIN, before)
            mute = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
            termios.tcsetattr(terminal, termios.TCSADRAIN, mute)
        typed = b""
        while not typed.endswith(b"\n"):
            piece = os.read(terminal, 1024)
            if not piece:
                break
            typed += piece
    finally:
        if hidden:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
            atexit.unregister(termios.tcsetattr)
            click.echo(err=True)
        os.close(terminal)
    return typed.decode(errors="replace").rstrip("\r\n")
