"""Address: where a device is, as ssh://[user@]host[:port]."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from edgeslm.errors import ConfigError

SCHEME = "ssh://"
EXAMPLES = "for example ssh://pi@raspberrypi.local, ssh://10.0.0.7:2222 or ssh://pi@[fe80::1%eth0]"

_USER = re.compile(r"[^\s:@/?#\[\]-][^\s:@/?#\[\]]*")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_ZONE = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Address:
    """What the address says; user and port are None where it leaves them to ~/.ssh/config, or to ssh's defaults."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{SCHEME}{user}{host}{port}"


def parse_address(text: str) -> Address:
    """Raises ConfigError that says what is wrong, with examples. Never repeats a password."""
    if not text.lower().startswith(SCHEME):
        hint = f"did you mean {SCHEME}{text}?" if text and "://" not in text and "/" not in text else EXAMPLES
        raise ConfigError(f"{_shown(text)} is no address of a device", hint)
    user, separator, place = text[len(SCHEME) :].removesuffix("/").rpartition("@")
    if ":" in user:
        raise ConfigError(
            f"{SCHEME}{user.partition(':')[0]}:…@{place} has a password in it",
            "it would stay in the shell's history: leave it out and type it when asked, or set EDGESLM_SSH_PASSWORD",
        )
    if separator and not _USER.fullmatch(user):
        raise ConfigError(f"{_shown(text)}: {user!r} is no user name", EXAMPLES)
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        if not bracket or (port and not port.startswith(":")) or not _is_ipv6(host):
            raise ConfigError(f"{_shown(text)}: {place!r} is no IPv6 address in brackets", EXAMPLES)
    else:
        host, colon, port = place.partition(":")
        if _is_ipv6(place):
            raise ConfigError(f"{_shown(text)}: an IPv6 address goes into brackets", f"{SCHEME}[{place}]")
        if not _HOST.fullmatch(host):
            raise ConfigError(f"{_shown(text)}: {host!r} is no host name", EXAMPLES)
        port = colon + port
    return Address(host, user or None, _port(port[1:], text) if port else None)


def _port(text: str, address: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ConfigError(f"{_shown(address)}: {text!r} is no port, a number from 1 to 65535", EXAMPLES)
    return int(text)


def _is_ipv6(text: str) -> bool:
    host, percent, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return not percent or bool(_ZONE.fullmatch(zone))


def _shown(text: str) -> str:
    """The text as it can be repeated: one line, and no password."""
    return repr(re.sub(r":[^@/]*@", ":…@", text)[:200])
