"""Mixtures of experts without a loop over the experts that were hit, which no static graph can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def dense_switch_experts(
    experts: Any, hidden_states: torch.Tensor, selected_experts: torch.Tensor, routing_weights: torch.Tensor
) -> torch.Tensor:
    """Switch Transformers' experts: every expert sees every token, and its answer counts where it was selected.

    `hidden_states` (…, tokens, width), `selected_experts` (…, tokens, experts) of 0 and 1, `routing_weights`
    (…, tokens, 1). Costs as many products as there are experts; the sum is the same.
    """
    selected = selected_experts.to(hidden_states.dtype).reshape(*hidden_states.shape[:-1], experts.num_experts)
    weights = routing_weights.reshape(*hidden_states.shape[:-1], 1)
    answers = [
        experts[f"expert_{index}"](hidden_states) * (weights * selected[..., index : index + 1])
        for index in range(experts.num_experts)
    ]
    total: torch.Tensor = sum(answers[1:], start=answers[0])
    return total


EXPORTABLE = {"SwitchTransformersExperts": dense_switch_experts}
"""Class of a layer -> what stands in for its forward while it is traced."""
