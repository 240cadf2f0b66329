"""Connection: an SSH connection to a device whose host key was checked.

A person is asked between two attempts, never within one: a server waits two minutes for a login, a person may take
longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeslm.errors import ConfigError, ConnectionLostError, DeviceNotFoundError, MissingExtraError
from edgeslm.remote.address import Address
from edgeslm.remote.ask import Ask, put
from edgeslm.remote.host_keys import KnownHosts, read_known_hosts
from edgeslm.remote.login import Login

if TYPE_CHECKING:
    from asyncssh import SSHClient, SSHClientConnection, SSHClientConnectionOptions, SSHKey

PASSWORD = "EDGESLM_SSH_PASSWORD"
CONNECT_S = 30.0
"""For one attempt, login included; a Raspberry Pi Zero 2 W takes about two seconds."""
KEEPALIVE_S = 5.0
KEEPALIVE_COUNT = 3
"""A link that is silent for KEEPALIVE_S × (KEEPALIVE_COUNT + 1) seconds is lost."""
TRIES = 3
"""Passwords or passphrases a person may type."""


@dataclass(frozen=True)
class Connection:
    """An open connection; `address` is what the user wrote."""

    address: Address
    ssh: SSHClientConnection


@contextlib.asynccontextmanager
async def connected(address: Address, login: Login, known_hosts: Path | None = None) -> AsyncIterator[Connection]:
    """A connection, closed at the end.

    Honours ~/.ssh/config and the agent. A host key must be in known_hosts or be accepted by `login`; then it is added
    to known_hosts. Raises DeviceNotFoundError, ConfigError for an unusable key or file, MissingExtraError without
    asyncssh.
    """
    ssh = await _connect(address, login, known_hosts)
    try:
        yield Connection(address, ssh)
    finally:
        ssh.abort()


@contextlib.contextmanager
def link_to(connection: Connection, doing: str) -> Iterator[None]:
    """Tell of a link that breaks inside as ConnectionLostError: while `doing` what."""
    import asyncssh

    try:
        yield
    except (
        asyncssh.DisconnectError,
        asyncssh.ChannelOpenError,
        asyncssh.SFTPConnectionLost,
        asyncssh.SFTPNoConnection,
        ConnectionError,
    ) as error:
        raise lost(connection, doing, str(error)) from None


def lost(connection: Connection, doing: str, why: str) -> ConnectionLostError:
    return ConnectionLostError(
        f"the connection to {connection.address} was lost while {doing}{f' ({why})' if why else ''}",
        "is it still on, and the network there? The same command goes on from what was copied",
    )


@dataclass
class _Attempt:
    """One attempt to connect, and what came up in it."""

    known: KnownHosts
    accepted: set[str]
    host: str = ""  # as known_hosts names it
    port: int | None = None
    refused_key: SSHKey | None = None
    password_wanted: bool = False
    trusted: list[SSHKey] = field(default_factory=list)

    def look_up(self, host: str, _address: str, port: int | None) -> tuple[Any, ...]:
        """What asyncssh asks known_hosts for."""
        self.host, self.port = host, port
        trusted, authorities, revoked = self.known.keys(host, port)
        self.trusted = trusted
        return trusted, authorities, revoked, [], [], [], []


def _client(attempt: _Attempt) -> Callable[[], SSHClient]:
    import asyncssh

    class Client(asyncssh.SSHClient):
        def validate_host_public_key(self, host: str, addr: str, port: int, key: SSHKey) -> bool:
            # Only asked about keys that known_hosts does not hold.
            attempt.refused_key = None if key.get_fingerprint() in attempt.accepted else key
            return attempt.refused_key is None

        def password_auth_requested(self) -> None:
            attempt.password_wanted = True

        def kbdint_auth_requested(self) -> Any:
            attempt.password_wanted = True
            return NotImplemented  # asyncssh answers the one question for a password by itself

    return Client


async def _connect(address: Address, login: Login, known_hosts: Path | None) -> SSHClientConnection:
    try:
        import asyncssh
    except ImportError:
        raise MissingExtraError("ssh", "asyncssh", "a device behind ssh://") from None

    chosen, options = await _options(address, login)
    known = read_known_hosts(options.known_hosts if isinstance(options.known_hosts, list) else [], known_hosts)
    accepted: set[str] = set()
    password = os.environ.get(PASSWORD)
    asked = 0
    while True:
        attempt = _Attempt(known, accepted)
        try:
            return await asyncssh.connect(
                **chosen,
                known_hosts=attempt.look_up,
                client_factory=_client(attempt),
                password=password,
                connect_timeout=CONNECT_S,
                login_timeout=CONNECT_S,
                keepalive_interval=KEEPALIVE_S,
                keepalive_count_max=KEEPALIVE_COUNT,
                agent_forwarding=False,
                request_pty=False,
                encoding=None,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            key = attempt.refused_key
            if key is None:
                raise DeviceNotFoundError(f"{address}: {error}", "its host key is not to be trusted") from None
            await _accept_host_key(address, login, attempt, key)
            accepted.add(key.get_fingerprint())
        except asyncssh.PermissionDenied:
            if not attempt.password_wanted or asked == TRIES:
                raise _shut_out(address, options, password, attempt) from None
            asked += 1
            typed = await put(lambda: login.ask.password(address))
            if typed is None:
                raise _shut_out(address, options, password, attempt) from None
            password = typed
        except asyncssh.KeyExchangeFailed as error:
            if attempt.trusted and "host key" in str(error).lower():
                raise _changed(address, attempt, None) from None
            raise _unreachable(address, options, f"shares no way of encryption with this machine ({error})") from None
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise _unreachable(address, options, _reason(error, options)) from None


async def _options(address: Address, login: Login) -> tuple[dict[str, Any], SSHClientConnectionOptions]:
    """What the address and the flags say, and what that makes together with ~/.ssh/config."""
    import asyncssh

    chosen: dict[str, Any] = {"host": address.host}
    if address.user:
        chosen["username"] = address.user
    if address.port:
        chosen["port"] = address.port
    if login.identity is not None:
        chosen["client_keys"] = [await _read_identity(login.identity, login.ask)]
    try:
        return chosen, await asyncssh.SSHClientConnectionOptions.construct(**chosen)
    except (ValueError, OSError) as error:  # asyncssh's errors of configuration and of keys are ValueErrors
        raise ConfigError(
            f"the settings for {address} cannot be used: {error}", "see ~/.ssh/config and the keys it names"
        ) from None


async def _read_identity(path: Path, ask: Ask) -> SSHKey:
    import asyncssh

    passphrase: str | None = None
    for tries in range(TRIES + 1):
        try:
            return await asyncio.to_thread(asyncssh.read_private_key, path.expanduser(), passphrase)
        except asyncssh.KeyEncryptionError:
            pass  # the passphrase was a wrong one
        except asyncssh.KeyImportError as error:
            if "passphrase" not in str(error).lower():
                raise ConfigError(f"{path} is no private key: {error}", "ssh-keygen -t ed25519 makes one") from None
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read: {error.strerror}", "--identity names the private key's file"
            ) from None
        if tries < TRIES:
            passphrase = await put(lambda: ask.passphrase(path))
            if passphrase is None:
                break
    raise ConfigError(
        f"the key {path} is locked, and no passphrase opened it", f"ssh-add {path} gives it to the agent, unlocked"
    )


async def _accept_host_key(address: Address, login: Login, attempt: _Attempt, key: SSHKey) -> None:
    """Return where the new key may be trusted, and note it; raise DeviceNotFoundError otherwise."""
    kind, fingerprint = key.get_algorithm(), key.get_fingerprint()
    if attempt.trusted:
        raise _changed(address, attempt, key)
    if fingerprint not in login.accept_host_keys:
        confirmed = await put(lambda: login.ask.confirm_host_key(address, kind, fingerprint))
        if not confirmed:
            other = "" if not login.accept_host_keys else ", which is not what --accept-host-key names"
            raise DeviceNotFoundError(
                f"the host key of {address} is unknown: {kind} {fingerprint}{other}",
                "compare it with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on the device's own"
                f" screen, then: --accept-host-key {fingerprint}",
            )
    attempt.known.add(attempt.host, attempt.port, key)


def _changed(address: Address, attempt: _Attempt, key: SSHKey | None) -> DeviceNotFoundError:
    known = ", ".join(key.get_fingerprint() for key in attempt.trusted)
    shown = f"{key.get_algorithm()} {key.get_fingerprint()}" if key else "of another kind"
    lines = attempt.known.lines(attempt.host, attempt.port)
    name = attempt.host if attempt.port is None else f"[{attempt.host}]:{attempt.port}"
    return DeviceNotFoundError(
        f"THE HOST KEY OF {address} HAS CHANGED: it is {shown}, and known_hosts has {known}"
        + (f" ({', '.join(lines)})" if lines else ""),
        "somebody may be listening in, or the device was installed anew. If you know that it was:\n"
        + shlex.join(["ssh-keygen", "-f", str(attempt.known.files[0]), "-R", name]),
    )


def _shut_out(
    address: Address, options: SSHClientConnectionOptions, password: str | None, attempt: _Attempt
) -> DeviceNotFoundError:
    tried = "no key that it knows" if password is None else "neither a key that it knows nor the right password"
    port = f" -p {options.port}" if options.port != 22 else ""
    ways = [f"ssh-copy-id{port} {options.username}@{options.host} puts your key there", "--identity FILE names a key"]
    if attempt.password_wanted:
        ways.append(f"{PASSWORD} gives a password")
    return DeviceNotFoundError(f"{address} does not let {options.username} in: {tried}", "; ".join(ways))


def _unreachable(address: Address, options: SSHClientConnectionOptions, reason: str) -> DeviceNotFoundError:
    port = f" -p {options.port}" if options.port != 22 else ""
    return DeviceNotFoundError(
        f"{address} {reason}",
        f"is it on and in this network, and is ssh enabled there? Try: ssh{port} {options.username}@{options.host}",
    )


def _reason(error: Exception, options: SSHClientConnectionOptions) -> str:
    import asyncssh

    if isinstance(error, socket.gaierror):
        return f"cannot be found: no address is known for the name {options.host}"
    if isinstance(error, TimeoutError):
        return f"does not answer within {CONNECT_S:.0f} s"
    # Several addresses of one name give one plain OSError that repeats what each of them said.
    if isinstance(error, ConnectionRefusedError) or "refused" in str(error).lower():
        return f"refuses the connection: nothing listens on port {options.port}"
    if isinstance(error, asyncssh.Error | ConnectionError):
        return f"ends the connection before a login ({error or type(error).__name__}): is that an SSH server?"
    return f"cannot be reached: {error}"
