"""Losses between a student and its teacher. Both read the same tokens.

Shapes: N places in texts, V vocabulary, B texts, T tokens, S and R the widths of student and teacher. Every loss is a
mean over places, so that terms of several papers can be added.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  # as everywhere in torch's own documents

if TYPE_CHECKING:
    from torch import Tensor


def logit_loss(student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """Kullback-Leibler divergence from the teacher's distribution to the student's, both softened by `temperature` and
    scaled by its square (Hinton, Vinyals, Dean 2015). Logits [N, V]."""
    wanted = F.log_softmax(teacher / temperature, dim=-1)
    given = F.log_softmax(student / temperature, dim=-1)
    return F.kl_div(given, wanted, reduction="batchmean", log_target=True) * temperature**2


def hidden_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of normalized hidden states of one layer (Patient-KD, Sun et al. 2019), both [N, R]: what the
    student has is projected to the teacher's width by a matrix that learns with it (TinyBERT, Jiao et al. 2020)."""
    return (F.normalize(student, dim=-1) - F.normalize(teacher, dim=-1)).square().sum(-1).mean()


def relation_loss(student: Tensor, teacher: Tensor, counted: Tensor, heads: int) -> Tensor:
    """Divergence of the self-relations of queries, keys or values of one layer (MiniLMv2, Wang et al. 2021): for each
    token the softmax over itself and the tokens before it of scaled dot products, in `heads` relation heads. Widths
    [B, T, S] and [B, T, R] may differ; each must be a multiple of `heads`. `counted` [B, T]: false for padding."""
    wanted, given = _relations(teacher, heads), _relations(student, heads)
    # Where a token may not look, both are -inf and the difference is no number; nothing is expected there.
    divergence = torch.where(wanted.isinf(), 0.0, wanted.exp() * (wanted - given)).sum(-1).mean(1)
    return divergence[counted].mean()


def _relations(vectors: Tensor, heads: int) -> Tensor:
    """Log probabilities [B, heads, T, T]."""
    batch, length, width = vectors.shape
    split = vectors.view(batch, length, heads, width // heads).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) / math.sqrt(width // heads)
    ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
    return F.log_softmax(scores.masked_fill(ahead, -math.inf), dim=-1)
