"""The digest of a firmware image, which the image itself tells: its first bytes lie in what it is a digest of.

It is the SHA-256 of the bytes of flash with those first bytes zero.
"""

from __future__ import annotations

import hashlib

TOLD_BYTES = 8
"""Of the digest, in the image and on the line."""
TOLD_DIGITS = 2 * TOLD_BYTES


def image_digest(content: bytes, place: int) -> str:
    """The digest in hexadecimal, of an image that tells it at `place`, whatever lies there now."""
    return hashlib.sha256(content[:place] + bytes(TOLD_BYTES) + content[place + TOLD_BYTES :]).hexdigest()


def tells_digest(content: bytes, digest: str) -> bool:
    """Whether the image has this digest and tells it. Its place need not be known: only there it is right."""
    told = bytes.fromhex(digest)[:TOLD_BYTES]
    place = content.find(told)
    while place >= 0:
        if image_digest(content, place) == digest:
            return True
        place = content.find(told, place + 1)
    return False
