"""Addresses: ssh://[user@]host[:port]."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.errors import ConfigError
from edgeslm.remote.address import Address, parse_address

NAMES = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,30}[A-Za-z0-9_])?", fullmatch=True)
HOSTS = st.one_of(NAMES, st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
USERS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}[$]?", fullmatch=True)


@given(st.builds(Address, HOSTS, st.none() | USERS, st.none() | st.integers(1, 65535)))
def test_what_is_written_is_read(address: Address) -> None:
    assert parse_address(str(address)) == address


@given(st.text() | st.text().map(lambda text: f"ssh://{text}"))
def test_any_text_is_an_address_or_a_mistake_that_is_explained(text: str) -> None:
    try:
        address = parse_address(text)
    except ConfigError as error:
        explained = bool(error.hint) and "\n" not in error.message
        assert explained, text
        return
    assert parse_address(str(address)) == address
    assert "@" not in address.host
    assert not address.host.startswith("-")  # would be an option to a program that takes it as an argument
    assert address.port is None or 1 <= address.port <= 65535


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssh://pi@raspberrypi.local", Address("raspberrypi.local", "pi")),
        ("ssh://10.0.0.7:2222", Address("10.0.0.7", None, 2222)),
        ("ssh://pi@[fe80::1%eth0]:22", Address("fe80::1%eth0", "pi", 22)),
        ("ssh://[::1]/", Address("::1")),
        ("SSH://box", Address("box")),
    ],
)
def test_forms(text: str, expected: Address) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pi@raspberrypi", "did you mean ssh://pi@raspberrypi?"),
        ("http://box", "no address of a device"),
        ("", "no address of a device"),
        ("ssh://", "no host name"),
        ("ssh://@box", "no user name"),
        ("ssh://-oProxyCommand=x@box", "no user name"),
        ("ssh://-box", "no host name"),
        ("ssh://box:0", "no port"),
        ("ssh://box:65536", "no port"),
        ("ssh://box:", "no port"),
        ("ssh://box:٣", "no port"),
        ("ssh://box/path", "no host name"),
        ("ssh://fe80::1", "goes into brackets"),
        ("ssh://[fe80::1", "no IPv6 address in brackets"),
        ("ssh://[box]", "no IPv6 address in brackets"),
        ("ssh://[::1]22", "no IPv6 address in brackets"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_address(text)
    assert said in f"{raised.value.message} {raised.value.hint}"


@pytest.mark.parametrize(
    "text", ["ssh://pi:hunter2@box", "ssh://:hunter2@b", "ssh://pi:hunter2@b:0", "ftp://pi:hunter2@b"]
)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_address(text)
    told = f"{raised.value.message} {raised.value.hint}"
    assert "hunter2" not in told
    if text.startswith("ssh"):
        assert "EDGESLM_SSH_PASSWORD" in told


@given(st.ip_addresses(v=6))
def test_ipv6_without_brackets_is_told_where_they_go(address: ipaddress.IPv6Address) -> None:
    with pytest.raises(ConfigError):
        parse_address(f"ssh://{address}")
