"""A specification as one binary table that runtimes read where it lies: docs/tokenizer.md gives the format."""

from __future__ import annotations

import struct
import zlib
from typing import Final

from edgeslm.errors import InternalError, UnsupportedError
from edgeslm.tokenizer import graphemes
from edgeslm.tokenizer.classes import classes_of
from edgeslm.tokenizer.code_points import combining_classes, compositions, members
from edgeslm.tokenizer.programs import StepWriter, sources_of
from edgeslm.tokenizer.specification import (
    AddedToken,
    Charsmap,
    Compose,
    DecoderStep,
    FallbackBytes,
    Fuse,
    JoinBytes,
    JoinWordPieces,
    Reorder,
    ReplaceInPieces,
    Spaces,
    Specification,
    StripPieces,
)
from edgeslm.tokenizer.text_pool import TextPool
from edgeslm.tokenizer.vocabulary import token_bytes, vocabulary_sections

MAGIC: Final = b"edgetok\0"
VERSION: Final = 1
_MOST_BYTES: Final = 0xFFFFFFFF
_ALIGNMENT = 8


def compile_table(specification: Specification) -> bytes:
    """The table; the same bytes for the same specification and the same version of tokenizers.

    Raises UnsupportedError for what does not fit into one.
    """
    steps = (*specification.normalizer, *specification.pre_tokenizer)
    sources = set(sources_of(steps))
    if any(token.single_word or token.lstrip or token.rstrip for token in specification.added):
        sources |= {"rust:space", "rust:word"}
    charsmaps = [step for step in steps if isinstance(step, Charsmap)]
    sets = [(source, members(source)) for source in sources] + (graphemes.sets() if charsmaps else [])
    classes = classes_of(sets)
    pool = TextPool()
    writer = StepWriter(classes, pool)
    sections = {
        "NORM": writer.write(specification.normalizer),
        "PRET": writer.write(specification.pre_tokenizer),
        "ADDT": b"".join(_added(token, specification.byte_level, pool) for token in specification.added),
        "POST": _ids(len(specification.before), *specification.before, *specification.after),
        **vocabulary_sections(specification, classes, pool),
    }
    order = sorted(range(len(specification.added)), key=lambda place: specification.added[place].pattern.encode())
    sections["ADDS"] = _ids(*order)
    if specification.decoder is not None:
        sections["DECO"] = b"".join(_decoder(step, pool) for step in specification.decoder)
    if any(isinstance(step, Reorder) for step in steps):
        sections["MARK"] = _marks()
    if any(isinstance(step, Compose) for step in steps):
        pairs = sorted(compositions().items())
        sections["COMP"] = b"".join(struct.pack("<III", *pair, composite) for pair, composite in pairs)
    if charsmaps:
        if len(charsmaps) > 1:
            raise UnsupportedError("normalizer: more than one Precompiled")
        sections["TRIE"] = charsmaps[0].trie
        sections["REPL"] = charsmaps[0].replacements
        sections["GRAP"] = _ids(*(classes.masks[name] for name in graphemes.NAMES))
    if classes.masks:
        sections["CLAS"] = classes.content
    sections |= {"MAPS": bytes(writer.maps), "PROG": bytes(writer.programs), "TEXT": pool.content}
    return _assembled({tag: content for tag, content in sections.items() if content or tag == "DECO"})


def _assembled(sections: dict[str, bytes]) -> bytes:
    """Header, directory, sections in order of tag, each at a multiple of 8 bytes."""
    at = 32 + 16 * len(sections)
    directory, body = bytearray(), bytearray()
    for tag, content in sorted(sections.items()):
        directory += struct.pack("<4sIII", tag.encode(), at + len(body), len(content), 0)
        body += content + bytes(-len(content) % _ALIGNMENT)
    rest = bytes(directory + body)
    size = 32 + len(rest)
    if size > _MOST_BYTES:
        raise UnsupportedError(f"the tokenizer's table would have {size:,} bytes")
    return struct.pack("<8sIIIIII", MAGIC, VERSION, size, zlib.crc32(rest), len(sections), 0, 0) + rest


def _ids(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _added(token: AddedToken, byte_level: bool, pool: TextPool) -> bytes:
    flags = (token.single_word, token.lstrip, token.rstrip, token.normalized, token.special)
    return struct.pack(
        "<IIII",
        token.id,
        pool.add(token.pattern.encode()),
        pool.add(token_bytes(token.shown, byte_level)),
        sum(flag << place for place, flag in enumerate(flags)),
    )


def _marks() -> bytes:
    """8 bytes a range of one combining class: first code point, count, class."""
    ranges: list[list[int]] = []
    for code_point, number in sorted(combining_classes().items()):
        if ranges and ranges[-1][2] == number and sum(ranges[-1][:2]) == code_point:
            ranges[-1][1] += 1
        else:
            ranges.append([code_point, 1, number])
    return b"".join(struct.pack("<IHH", *one) for one in ranges)


def _decoder(step: DecoderStep, pool: TextPool) -> bytes:
    a, x, y = 0, 0, 0
    if isinstance(step, JoinWordPieces):
        kind, a, x = 1, int(step.cleanup), pool.add(step.prefix.encode())
    elif isinstance(step, JoinBytes):
        kind = 2
    elif isinstance(step, FallbackBytes):
        kind = 3
    elif isinstance(step, Fuse):
        kind = 4
    elif isinstance(step, StripPieces):
        kind, a, x, y = 5, ord(step.character), step.start, step.stop
    elif isinstance(step, ReplaceInPieces):
        kind, x, y = 6, pool.add(step.old.encode()), pool.add(step.new.encode())
    elif isinstance(step, Spaces):
        kind, a, x = 7, int(step.drop_first), ord(step.character)
    else:
        raise InternalError(f"a decoder step without a number: {step}")
    return struct.pack("<IIII", kind, a, x, y)
