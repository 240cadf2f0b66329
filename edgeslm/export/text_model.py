"""The module that is exported: ids and mask in, one named output out, in a form that every backend can take.

Positions are given explicitly, the padding mask is added to the scores as -1e4 (it survives half precision, where
the usual -3.4e38 turns into NaN), and pooling, dense layers and normalization are part of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

MASKED = -1e4
MaskForm = Literal["additive", "tokens"]
"""How the transformer is given its mask: (1, 1, 1, tokens) float to add to the scores, or (1, tokens) of 0 and 1."""


class TextModel(nn.Module):
    """forward(input_ids, attention_mask[, token_type_ids]) -> sentence_embedding or logits; ids (1, tokens) int32."""

    def __init__(
        self,
        model: nn.Module,
        accepts: frozenset[str],
        *,
        pooling: str | None,
        dense: Sequence[nn.Module] = (),
        normalize: bool = False,
        type_ids: bool = False,
        position_offset: int = 0,
        mask_form: MaskForm = "additive",
    ) -> None:
        super().__init__()
        self.model = model
        self.dense = nn.ModuleList(dense)
        self.accepts = accepts
        self.pooling = pooling
        self.normalize = normalize
        self.type_ids = type_ids
        self.position_offset = position_offset
        self.mask_form = mask_form

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        extra = {}
        if "position_ids" in self.accepts:
            positions = torch.arange(input_ids.shape[1], dtype=torch.int32, device=input_ids.device)
            extra["position_ids"] = (positions + self.position_offset).unsqueeze(0)
        if "token_type_ids" in self.accepts:
            extra["token_type_ids"] = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        mask = attention_mask
        if self.mask_form == "additive":
            mask = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * MASKED
        result = self.model(input_ids=input_ids, attention_mask=mask, **extra)
        if self.pooling is None:
            logits: torch.Tensor = result.logits
            return logits
        pooled = pool(result.last_hidden_state, attention_mask, self.pooling)
        for layer in self.dense:
            pooled = layer(pooled)
        if self.normalize:
            pooled = pooled / torch.sqrt((pooled * pooled).sum(-1, keepdim=True)).clamp(min=1e-12)
        return pooled


def pool(states: torch.Tensor, attention_mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(1, tokens, width) and the mask (1, tokens) -> (1, width), as sentence-transformers' Pooling does it."""
    mask = attention_mask.unsqueeze(-1).to(states.dtype)
    if pooling == "cls":
        return states[:, 0]
    if pooling == "max":
        return (states + (1.0 - mask) * MASKED).amax(1)
    if pooling == "lasttoken":
        # The last token is where the running count of tokens reaches the total and the mask is still set.
        following = torch.cat([attention_mask[:, 1:], torch.zeros_like(attention_mask[:, :1])], 1)
        last = (attention_mask - following).clamp(min=0).unsqueeze(-1).to(states.dtype)
        return (states * last).sum(1)
    if pooling == "weightedmean":
        weights = torch.arange(1, states.shape[1] + 1, dtype=torch.int32).to(states.dtype)
        mask = mask * weights.reshape(1, -1, 1)
    total = (states * mask).sum(1)
    count = mask.sum(1).clamp(min=1e-9)
    return total / (torch.sqrt(count) if pooling == "mean_sqrt_len_tokens" else count)


class DenseLayer(nn.Module):
    """sentence-transformers' Dense: a linear layer and an activation."""

    def __init__(self, linear: nn.Linear, activation: str) -> None:
        super().__init__()
        self.linear = linear
        self.activation: nn.Module = {
            "tanh": nn.Tanh(), "identity": nn.Identity(), "relu": nn.ReLU(), "gelu": nn.GELU(), "sigmoid": nn.Sigmoid()
        }[activation]  # fmt: skip

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.activation(self.linear(pooled))
        return out
