"""What a tokenizer.json asks for, in the few steps that its many parts come down to.

Text goes through the added tokens, the `normalizer`, the `pre_tokenizer`, the model and the post-processor; tokens go
through the decoder. A `Split` knows its pattern as a tree, so that nothing below has to read regular expressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SetSource = str
"""A set of code points, by who decides it: `onig:` and the source of one bracket expression, escape or character as
Oniguruma reads it, or `rust:` and one of white_space, numeric, punctuation, word, space, other (neither of the last
two)."""
MapSource = Literal["NFD", "NFKD", "lowercase", "strip_accents", "nmt", "bert_clean", "bert_ideographs", "bert_accents"]
"""What a code point becomes whatever stands beside it; the forms' maps leave marks in the order they come."""
Behavior = Literal["removed", "isolated", "contiguous", "merged_with_previous", "merged_with_next"]

UNLIMITED = 255
"""`Run.most` of a run without end."""


@dataclass(frozen=True)
class Run:
    """`least` to `most` characters of a set, as many as there are; a possessive run gives none of them back."""

    source: SetSource
    least: int = 1
    most: int = 1
    possessive: bool = False


@dataclass(frozen=True)
class NotNext:
    """The next character is not of the set, or there is none."""

    source: SetSource


@dataclass(frozen=True)
class Choice:
    """The first of these sequences after which the rest of the pattern still matches."""

    sequences: tuple[tuple[Run | NotNext | Choice, ...], ...]


@dataclass(frozen=True)
class CharacterMap:
    """Each character becomes what the source says."""

    source: MapSource


@dataclass(frozen=True)
class Reorder:
    """Combining marks in canonical order."""


@dataclass(frozen=True)
class Compose:
    """Canonical composition of what is decomposed and in order."""


@dataclass(frozen=True)
class Charsmap:
    """SentencePiece's normalizer: a double-array trie of UTF-8 keys and a pool of NUL-terminated replacements."""

    trie: bytes  # uint32, little-endian
    replacements: bytes


@dataclass(frozen=True)
class Strip:
    """White space at the ends goes."""

    left: bool
    right: bool


@dataclass(frozen=True)
class Substitute:
    """Every match of the pattern, left to right, becomes `content`."""

    pattern: Choice
    content: str


@dataclass(frozen=True)
class Prefix:
    """`text` before a piece that is not empty. With `unless_there` only where the piece does not start with it, with
    `first` only where the piece starts the whole text."""

    text: str
    unless_there: bool = False
    first: bool = False


@dataclass(frozen=True)
class Split:
    """Cuts a piece at the pattern's matches, or (inverted) at what lies between them."""

    pattern: Choice
    behavior: Behavior
    inverted: bool = False


TextStep = CharacterMap | Reorder | Compose | Charsmap | Strip | Substitute | Prefix
Step = TextStep | Split


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in the text before the model sees it.

    A `normalized` one is looked for in normalized text, by `pattern`; the others in the text as it came. `shown` is
    what decoders get. `special` ones are left out of a decoded text.
    """

    id: int
    pattern: str
    shown: str
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


@dataclass(frozen=True)
class BytePairs:
    """BPE. `merges` are (left id, right id, merged id) in order of rank."""

    vocabulary: dict[str, int]
    merges: tuple[tuple[int, int, int], ...]
    unknown: int | None
    fuse_unknown: bool
    byte_fallback: bool
    ignore_merges: bool  # a word that is a token is that token


@dataclass(frozen=True)
class WordPieces:
    """The longest token first; `prefix` marks those inside a word."""

    vocabulary: dict[str, int]
    unknown: int
    prefix: str
    longest_word: int  # characters; what is longer is unknown


@dataclass(frozen=True)
class Unigrams:
    """The likeliest sequence of tokens. `pieces` are (token, log probability) by id."""

    pieces: tuple[tuple[str, float], ...]
    unknown: int
    byte_fallback: bool


@dataclass(frozen=True)
class JoinWordPieces:
    prefix: str
    cleanup: bool  # no space before punctuation and contractions


@dataclass(frozen=True)
class JoinBytes:
    """Tokens are bytes; together they are UTF-8, with U+FFFD for what is none."""


@dataclass(frozen=True)
class FallbackBytes:
    """Neighbours of the form <0xE2> become the text they are in UTF-8, or U+FFFD each."""


@dataclass(frozen=True)
class Fuse:
    """All pieces become one."""


@dataclass(frozen=True)
class StripPieces:
    """Up to `start` times `character` goes from the front of each piece, up to `stop` times from its end."""

    character: str
    start: int
    stop: int


@dataclass(frozen=True)
class ReplaceInPieces:
    old: str
    new: str


@dataclass(frozen=True)
class Spaces:
    """Metaspace: `character` is a space, but nothing in the first piece where `drop_first`."""

    character: str
    drop_first: bool


DecoderStep = JoinWordPieces | JoinBytes | FallbackBytes | Fuse | StripPieces | ReplaceInPieces | Spaces


@dataclass(frozen=True)
class Specification:
    """One tokenizer. `decoder` None joins tokens with spaces, which is not what an empty one does."""

    model: BytePairs | WordPieces | Unigrams
    byte_level: bool  # words and tokens are bytes, not characters
    added: tuple[AddedToken, ...]
    normalizer: tuple[TextStep, ...]
    pre_tokenizer: tuple[Step, ...]
    before: tuple[int, ...]  # ids that the post-processor puts around the text's own
    after: tuple[int, ...]
    decoder: tuple[DecoderStep, ...] | None
