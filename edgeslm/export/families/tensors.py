"""The tensors of a checkpoint by name, each held against the sizes that config.json gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgeslm.decoder import Matrix, Norm, NormKind, Part
from edgeslm.errors import CheckpointError, UnsupportedError
from edgeslm.export.families.sizes import Size, Sizes
from edgeslm.export.weights_file import TensorHeader

DIFFERENT = "config.json and the weights are of different models"
# What old versions of transformers wrote beside the parameters: causal masks, and frequencies that follow from config.
BUFFERS = re.compile(r"(^|\.)(rotary_emb\.inv_freq|h\.\d+\.attn\.(bias|masked_bias))$")


class Tensors:
    """Hands out matrices and norms; `finish` answers for what was missing and what nobody asked for."""

    def __init__(self, headers: Sequence[TensorHeader], where: Path) -> None:
        self.where = where
        self._headers = {header.name: header for header in headers if not BUFFERS.search(header.name)}
        self._taken: set[str] = set()
        self._missing: list[str] = []

    def has(self, name: str) -> bool:
        return name in self._headers

    def body(self, prefix: str) -> str:
        """`prefix` where tensors have it; "" where the body was saved without its head."""
        return prefix if any(name.startswith(prefix) for name in self._headers) else ""

    def check_layers(self, prefix: str, said: Size) -> None:
        """Raises CheckpointError where `prefix`0, 1, … are not as many as config.json says."""
        found = [re.match(rf"{re.escape(prefix)}(\d+)\.", name) for name in self._headers]
        count = max((int(match.group(1)) + 1 for match in found if match), default=0)
        if count != said.value:
            raise CheckpointError(
                f"{self.where}: config.json says {said.says}, the weights have {count} layers ({prefix}…)", DIFFERENT
            )

    def linear(self, name: str, rows: Size, columns: Size, *, bias: bool = False, transposed: bool = False) -> Matrix:
        """[rows, columns] of `name`.weight, which is stored as [columns, rows] where it is `transposed`."""
        self._take(f"{name}.weight", *((columns, rows) if transposed else (rows, columns)))
        parts = (Part(f"{name}.weight", rows.value, transposed=transposed),)
        if not bias:
            return Matrix(parts, columns.value)
        self._take(f"{name}.bias", rows)
        return Matrix(parts, columns.value, (Part(f"{name}.bias", rows.value),))

    def norm(
        self, kind: NormKind, name: str, size: Size, epsilon: float, *, bias: bool = False, offset: float = 0.0
    ) -> Norm:
        self._take(f"{name}.weight", size)
        if bias:
            self._take(f"{name}.bias", size)
        return Norm(kind, f"{name}.weight", f"{name}.bias" if bias else None, epsilon, offset)

    def vocabulary(self, table: str, sizes: Sizes, *, tied: bool, head_bias: bool = False) -> tuple[Matrix, Matrix]:
        """Embedding and head, [V, D] each, shared as transformers' tie_weights does it: a head that is stored is used,
        whatever the config says, and stands in for a table that is not stored.

        Raises CheckpointError where they are not tied and there is no head.
        """
        source = "lm_head" if tied and not self.has(f"{table}.weight") and self.has("lm_head.weight") else table
        embedding = self.linear(source, sizes.vocabulary, sizes.width)
        stored = self.has("lm_head.weight")
        if not stored and not tied:
            raise CheckpointError(
                f"{self.where}: config.json says tie_word_embeddings false, but the weights have no lm_head.weight",
                "it is a model without its head, or config.json should say tie_word_embeddings true",
            )
        head = self.linear("lm_head", sizes.vocabulary, sizes.width) if stored else embedding
        if head_bias:
            self._take("lm_head.bias", sizes.vocabulary)
            head = replace(head, bias=(Part("lm_head.bias", sizes.vocabulary.value),))
        return embedding, head

    def finish(self) -> None:
        """Raises CheckpointError for tensors that are missing, UnsupportedError for those that nothing reads."""
        if self._missing:
            more = f" and {len(self._missing) - 1} more" if len(self._missing) > 1 else ""
            raise CheckpointError(
                f"{self.where}: the weights have no {self._missing[0]}{more} ({len(self._missing)} missing in all)",
                "the download may be incomplete, or config.json is of another model",
            )
        left = sorted(self._headers.keys() - self._taken)
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise UnsupportedError(
                f"{self.where} has tensor {left[0]}{more}, which this family as config.json describes it does not have",
                "a model that is computed without some of its weights gives other answers; is config.json its own?",
            )

    def _take(self, name: str, *sizes: Size) -> None:
        header = self._headers.get(name)
        self._taken.add(name)
        if header is None:
            self._missing.append(name)
            return
        if not header.floating:
            raise UnsupportedError(
                f"{self.where}: {name} is stored as {header.dtype}, and edgeslm reads F64, F32, F16 and BF16",
                "quantized checkpoints are not read: take the original one, edgeslm quantizes it itself",
            )
        asked = tuple(size.value for size in sizes)
        if header.shape != asked:
            says = "; ".join(size.says for size, found in zip(sizes, header.shape, strict=False) if size.value != found)
            raise CheckpointError(
                f"{self.where}: {name} has shape {list(header.shape)}, but config.json asks for {list(asked)}"
                f" ({says or 'of another number of dimensions'})",
                DIFFERENT,
            )


def stack(*matrices: Matrix) -> Matrix:
    """The rows of all, in order. Either all have biases or none."""
    return Matrix(
        tuple(part for matrix in matrices for part in matrix.parts),
        matrices[0].columns,
        tuple(part for matrix in matrices for part in matrix.bias),
    )


def rows_of(matrix: Matrix, start: int, count: int) -> Matrix:
    """`count` rows from `start` of a matrix of one part without bias."""
    (part,) = matrix.parts
    return Matrix((replace(part, start=part.start + start, rows=count),), matrix.columns)
