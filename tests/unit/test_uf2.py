"""UF2 files, and the digest that a firmware image tells of itself."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.errors import BundleError
from edgeslm.formats.image_digest import image_digest, tells_digest
from edgeslm.formats.uf2 import BLOCK, PAYLOAD, read_uf2, write_uf2

WORDS = st.integers(0, 0xFFFFFFFF)


@given(st.binary(min_size=1, max_size=2000), st.integers(0, 0xFFFF00), WORDS)
def test_what_is_written_is_read(content: bytes, address: int, family: int) -> None:
    file = write_uf2(content, address, family)
    carried = read_uf2(file, "a file")
    assert (carried.address, carried.family) == (address, family)
    assert carried.content == content.ljust(-(-len(content) // PAYLOAD) * PAYLOAD, b"\0")
    assert len(file) == BLOCK * len(carried.content) // PAYLOAD


def test_a_block_is_as_the_format_says() -> None:
    first, second = (write_uf2(bytes(range(256)) + b"ab", 0x10000000, 0xE48BFF56)[n * 512 :][:512] for n in (0, 1))
    numbers = struct.unpack_from("<8I", first)
    assert numbers == (0x0A324655, 0x9E5D5157, 0x2000, 0x10000000, 256, 0, 2, 0xE48BFF56)
    assert first[:4] == b"UF2\n"
    assert first[32:288] == bytes(range(256))
    assert struct.unpack("<I", first[508:]) == (0x0AB16F30,)
    assert struct.unpack_from("<8I", second)[3:7] == (0x10000100, 256, 1, 2)
    assert second[32:288] == b"ab".ljust(256, b"\0")


@given(st.binary(min_size=1, max_size=1000), st.integers(0, 10_000), st.integers(1, 255))
def test_damage_outside_of_payloads_is_told(content: bytes, place: int, change: int) -> None:
    file = bytearray(write_uf2(content, 0x08000000, 7))
    place %= len(file)
    file[place] ^= change
    try:
        carried = read_uf2(bytes(file), "a file")
    except BundleError:
        return
    assert place % BLOCK in range(32, 508) or place in (12, 13, 14, 15, 28, 29, 30, 31)
    assert (carried.content, carried.address, carried.family) != (content, 0x08000000, 7)


@pytest.mark.parametrize("file", [b"", b"x" * 511, bytes(512), write_uf2(b"a" * 600, 0, 0)[:1024]])
def test_what_is_none_is_told(file: bytes) -> None:
    with pytest.raises(BundleError):
        read_uf2(file, "a file")


@given(st.binary(min_size=8, max_size=300), st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 255))
def test_an_image_tells_its_own_digest_and_no_other(content: bytes, place: int, wrong: int, change: int) -> None:
    place %= len(content) - 7
    digest = image_digest(content, place)
    image = content[:place] + bytes.fromhex(digest)[:8] + content[place + 8 :]
    assert image_digest(image, place) == digest
    assert tells_digest(image, digest)
    damaged = bytearray(image)
    damaged[wrong % len(image)] ^= change
    assert not tells_digest(bytes(damaged), digest)
    assert not tells_digest(image, image_digest(b"x" + content, place))
