"""A model's blocks, each of which can be skipped: what it made of a batch is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


class ModelBlocks:
    """The longest list of a model's modules that follow each other. While `keep` is set, outputs are kept; blocks
    before `skip` give what they made of the batch with number `batch`."""

    def __init__(self, model: nn.Module) -> None:
        import torch

        lists = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)]
        name, blocks = max(lists, key=lambda one: len(one[1]), default=("", torch.nn.ModuleList()))
        self.name: str = name
        self.keep, self.skip, self.batch = False, 0, 0
        self._kept: list[list[Any]] = [[] for _ in blocks]
        if len({id(block) for block in blocks}) != len(blocks):
            self.name, blocks = "", torch.nn.ModuleList()  # ALBERT's layers are one
        for place, block in enumerate(blocks):
            block.forward = self._wrapped(place, block.forward)

    def place_of(self, module: str) -> int:
        """How many blocks have run before it; 0 where that is not known."""
        inside = module.removeprefix(f"{self.name}.")
        return int(inside.split(".")[0]) if self.name and inside != module else 0

    def _wrapped(self, place: int, forward: Any) -> Any:
        def run(*args: Any, **named: Any) -> Any:
            if place < self.skip:
                return self._kept[place][self.batch]
            result = forward(*args, **named)
            if self.keep:
                self._kept[place].append(result)
            return result

        return run
