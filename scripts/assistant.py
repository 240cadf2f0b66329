"""The assistant's models, batches and answers: what scripts/train_demo.py trains and measures."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812  # as everywhere in torch's own documents
from torch import nn

from edgeslm.distill import losses
from scripts.snips import Utterance, Variation

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor
    from transformers import LlamaForCausalLM

VOCABULARY = 960
CONTEXT = 256
BATCH = 32
BEGIN, END = 1, 2
SEPARATOR = "\t"
RELATION_HEADS = {"q_proj": 4, "k_proj": 2, "v_proj": 2}
Terms = Literal["none", "logits", "hidden", "relations"]
"""What a student learns from its teacher: nothing; its logits; these and hidden states; these and relations."""


def create_model(size: Literal["teacher", "student"], seed: int) -> LlamaForCausalLM:
    """Untrained. The student's sizes are multiples of 32, embeddings included 0.76 million parameters; the teacher's
    2.2 million."""
    from transformers import LlamaConfig, LlamaForCausalLM

    width, layers, feed, heads, kv_heads = {"teacher": (192, 5, 512, 6, 3), "student": (128, 4, 288, 4, 2)}[size]
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=feed,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=width // heads,
        tie_word_embeddings=True,
        max_position_embeddings=CONTEXT,
        bos_token_id=BEGIN,
        eos_token_id=END,
        pad_token_id=None,
        initializer_range=width**-0.5 / 2,
    )
    torch.manual_seed(seed)
    return LlamaForCausalLM(config)


@dataclass(frozen=True)
class Batch:
    """Texts that run together, padded at their ends."""

    tokens: Tensor  # (texts, tokens)
    real: Tensor  # the same shape: false for padding
    asked: Tensor  # the same shape: whether the next token is the call's; what people say is not asked of the model

    @property
    def wanted(self) -> Tensor:
        """The tokens that follow the places asked for."""
        return self.tokens.roll(-1, 1)[self.asked]


class Batches:
    """The batches of an epoch: every utterance once, varied, texts of like length together. The same for the same
    seed and epoch."""

    def __init__(self, utterances: Sequence[Utterance], tokenizer: Tokenizer, seed: int) -> None:
        self._utterances = utterances
        self._variation = Variation(utterances)
        self._tokenizer = tokenizer
        self._seed = seed

    def __call__(self, epoch: int) -> list[Batch]:
        draw = random.Random(f"{self._seed}/{epoch}")
        varied = [self._variation.of(utterance, draw) for utterance in self._utterances]
        heard = self._tokenizer.encode_batch([utterance.text + SEPARATOR for utterance in varied])
        said = self._tokenizer.encode_batch([utterance.call for utterance in varied])
        pairs = [
            ([BEGIN, *one.ids], [*other.ids, END])
            for one, other in zip(heard, said, strict=True)
            if len(one.ids) + len(other.ids) + 2 <= CONTEXT
        ]
        draw.shuffle(pairs)
        batches: list[Batch] = []
        for start in range(0, len(pairs), 16 * BATCH):
            near = sorted(pairs[start : start + 16 * BATCH], key=lambda pair: len(pair[0]) + len(pair[1]))
            batches += [_batch(near[place : place + BATCH]) for place in range(0, len(near), BATCH)]
        draw.shuffle(batches)
        return batches


def _batch(pairs: list[tuple[list[int], list[int]]]) -> Batch:
    length = max(len(heard) + len(said) for heard, said in pairs)
    tokens = torch.full((len(pairs), length), END)
    real, asked = (torch.zeros(len(pairs), length, dtype=torch.bool) for _ in range(2))
    for row, (heard, said) in enumerate(pairs):
        end = len(heard) + len(said)
        tokens[row, :end] = torch.tensor(heard + said)
        real[row, :end] = True
        asked[row, len(heard) - 1 : end - 1] = True
    return Batch(tokens, real, asked)


@dataclass(frozen=True)
class Heard:
    """What a model made of a batch."""

    logits: Tensor  # (places asked for, vocabulary)
    layers: tuple[Tensor, ...]  # hidden states, the embeddings first: (texts, tokens, width) each
    last: dict[str, Tensor]  # what the last layer's projections gave: q_proj, k_proj, v_proj


class Learner(nn.Module):
    """A model, and what it learns from: `terms`."""

    def __init__(self, model: LlamaForCausalLM, terms: Terms = "none", teacher: Learner | None = None) -> None:
        super().__init__()
        self.model = model
        self.terms = terms
        self._last = _listen(model)
        if terms == "hidden":
            assert teacher is not None
            self.projection = nn.Linear(model.config.hidden_size, teacher.model.config.hidden_size, bias=False)

    def hear(self, batch: Batch) -> Heard:
        given = self.model.model(input_ids=batch.tokens, output_hidden_states=True, use_cache=False)
        logits = self.model.lm_head(given.last_hidden_state[batch.asked])
        return Heard(logits, given.hidden_states, dict(self._last))

    def loss(self, batch: Batch, taught: Heard | None) -> Tensor:
        """`taught` is what the teacher made of it; only terms "none" go without."""
        own = self.hear(batch)
        told = F.cross_entropy(own.logits, batch.wanted)
        if self.terms == "none":
            return told
        assert taught is not None
        total = 0.5 * told + 0.5 * losses.logit_loss(own.logits, taught.logits)
        if self.terms == "hidden":
            total = total + self._hidden_loss(own, taught, batch.real)
        if self.terms == "relations":
            for name, heads in RELATION_HEADS.items():
                total = total + losses.relation_loss(own.last[name], taught.last[name], batch.real, heads)
        return total

    def _hidden_loss(self, own: Heard, taught: Heard, real: Tensor) -> Tensor:
        """Each of the student's layers is held to the teacher's at the same share of the depth."""
        depth, deeper = len(own.layers) - 1, len(taught.layers) - 1
        distances = [
            losses.hidden_loss(
                self.projection(own.layers[layer][real]), taught.layers[round(layer * deeper / depth)][real]
            )
            for layer in range(1, depth + 1)
        ]
        return torch.stack(distances).mean()


def batch_losses(learners: Sequence[Learner], teacher: Learner | None) -> Callable[[Batch], Tensor]:
    """The losses of a batch, one for each learner; the teacher hears it once."""

    def each(batch: Batch) -> Tensor:
        taught = None
        if teacher is not None:
            with torch.no_grad():
                taught = teacher.hear(batch)
        return torch.stack([learner.loss(batch, taught) for learner in learners])

    return each


def _listen(model: LlamaForCausalLM) -> dict[str, Tensor]:
    """What the last layer's projections gave in the latest run, by their names."""
    heard: dict[str, Tensor] = {}

    def note(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda module, given, output: heard.__setitem__(name, output)

    attention = model.model.layers[-1].self_attn
    for name in ("q_proj", "k_proj", "v_proj"):
        getattr(attention, name).register_forward_hook(note(name))
    return heard


def answers(model: LlamaForCausalLM, tokenizer: Tokenizer, utterances: Sequence[Utterance]) -> list[str]:
    """The model's greedy answers. Prompts of the same length run together, so nothing is padded."""
    prompts = [[BEGIN, *tokenizer.encode(utterance.text + SEPARATOR).ids] for utterance in utterances]
    by_length: dict[int, list[int]] = {}
    for place, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(place)
    texts = [""] * len(prompts)
    model.train(False)
    generate: Any = model.generate  # type: ignore[misc]  # transformers types it for a class of its own
    with torch.inference_mode():
        for places in by_length.values():
            given = torch.tensor([prompts[place] for place in places])
            said = generate(
                given, attention_mask=torch.ones_like(given), max_length=CONTEXT, do_sample=False, pad_token_id=END
            )
            for place, row in zip(places, said[:, given.shape[1] :].tolist(), strict=True):
                call = row[: row.index(END)] if END in row else row
                texts[place] = tokenizer.decode(call, skip_special_tokens=False)
    model.train(True)
    return texts
