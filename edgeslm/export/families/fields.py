"""The fields of a config.json, read by type, with an error that names field and value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeslm.decoder import Activation
from edgeslm.errors import CheckpointError, UnsupportedError

LARGEST = 1 << 40  # of any whole number: what is larger is no size, and numpy would not say so kindly
LEAST, MOST = 1e-30, 1e30  # of any other number

ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
}

# Fields that change what is computed and that no family here has; each with the values that ask for nothing.
FOREIGN: dict[str, tuple[Any, ...]] = {
    "quantization_config": ({},),
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
    "use_bidirectional_attention": (False,),
    "num_experts": (0, 1),
    "num_local_experts": (0, 1),
    "n_routed_experts": (0, 1),
    "moe_intermediate_size": (0,),
    "attention_sinks": (0, False),
    "attn_sinks": (0, False),
    "num_sink_tokens": (0,),
    "clip_qkv": (),
    "alibi": (False,),
    "logit_scale": (1,),
    "logits_scaling": (1,),
    "embedding_multiplier": (1,),
    "residual_multiplier": (1,),
    "attention_multiplier": (1,),
}


class Fields:
    """A JSON object of a checkpoint's config.json. A field that is null counts as absent.

    `title` says in errors which object it is: "config.json", "config.json: rope_scaling".
    """

    def __init__(self, values: Mapping[str, Any], where: Path, title: str = "config.json") -> None:
        self.values = values
        self.where = where
        self.title = title

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def off(self, name: str, default: object) -> bool:
        """Whether a feature is off that this field switches: by null written out, or absent where `default` is None."""
        return not self.has(name) and (default is None or name in self.values)

    def spelled(self, *names: str) -> str:
        """The first of these spellings of one field that is there, otherwise the first."""
        return next((name for name in names if self.has(name)), names[0])

    def integer(self, name: str, default: int | None = None, *, least: int = 1, most: int = LARGEST) -> int:
        """Raises CheckpointError where it is absent without a default, no whole number, or out of range."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(
                name, f"a whole number from {least} on" if most == LARGEST else f"one from {least} to {most}"
            )
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Raises CheckpointError where it is absent without a default, or no positive number of sane size."""
        value = _sane(self._value(name, default))
        if value is None:
            raise self.wrong(name, "a positive number")
        return value

    def numbers(self, name: str, count: int) -> list[float]:
        """`count` positive numbers. Raises CheckpointError for anything else."""
        values = self._value(name, None)
        if not isinstance(values, list) or len(values) != count:
            raise self.wrong(name, f"a list of {count} numbers")
        found = [value for value in map(_sane, values) if value is not None]
        if len(found) != count:
            raise self.wrong(name, "a list of positive numbers")
        return found

    def flag(self, name: str, default: bool) -> bool:
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self._value(name, default)
        if not isinstance(value, str):
            raise self.wrong(name, "a text")
        return value

    def activation(self, name: str, default: str) -> Activation:
        """Raises UnsupportedError for an activation function that Decoder has no word for."""
        asked = self.text(name, default)
        if asked not in ACTIVATIONS:
            raise UnsupportedError(
                f"{self.where}: {self.title} says {name} {asked!r}, an activation function edgeslm does not build",
                f"those it builds: {', '.join(sorted(ACTIVATIONS))}",
            )
        return ACTIVATIONS[asked]

    def object(self, name: str) -> Fields:
        """The object in this field, or an empty one."""
        value = self._value(name, {})
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Fields(value, self.where, f"{self.title}: {name}")

    def reject_foreign(self) -> None:
        """Raises UnsupportedError for a field that asks for what no family here computes."""
        for name, neutral in FOREIGN.items():
            if self.has(name) and self.values[name] not in neutral:
                raise self.unsupported(name, "edgeslm builds no decoder that does this")

    def wrong(self, name: str, expected: str) -> CheckpointError:
        value = self.values.get(name)
        found = f"says {name} {str(value)[:80]!r}" if self.has(name) else f"has no {name}"
        return CheckpointError(f"{self.where}: {self.title} {found}, where {expected} belongs")

    def unsupported(self, name: str, reason: str) -> UnsupportedError:
        return UnsupportedError(f"{self.where}: {self.title} says {name} {str(self.values.get(name))[:80]}: {reason}")

    def _value(self, name: str, default: Any) -> Any:
        value = self.values.get(name)
        return default if value is None else value


def _sane(value: Any) -> float | None:
    """A number that float32 holds with room to reckon; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not LEAST <= value <= MOST:
        return None
    return float(value)
