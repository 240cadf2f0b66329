"""The flags that `plan`, `build` and `search` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from edgeslm.limits import Limits

OBJECTIVES = ("fidelity", "size", "ram", "latency", "instructions")
F = TypeVar("F", bound=Callable[..., Any])


def _complete_target(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgeslm.target import list_targets

    return [CompletionItem(t.name, help=t.title) for t in list_targets() if t.name.startswith(incomplete)]


def _complete_scheme(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgeslm.quantize.schemes import SCHEMES

    return [CompletionItem(s.name, help=s.title) for s in SCHEMES.values() if s.name.startswith(incomplete)]


def _complete_backend(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in ("tflite", "openvino") if name.startswith(incomplete)]


def _complete_converter(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in ("edgeslm", "onnx2tf") if name.startswith(incomplete)]


def _complete_demo(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgeslm.demos import DEMOS

    return [CompletionItem(name) for name in DEMOS if name.startswith(incomplete)]


def _limit(parse: str) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """A callback that reads an amount by edgeslm.limits' function of that name."""

    def read(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
        from edgeslm import limits
        from edgeslm.errors import ConfigError

        try:
            return None if value is None else getattr(limits, parse)(value)
        except ConfigError as error:
            raise ConfigError(f"{parameter.opts[0]}: {error.message}", error.hint) from None

    return read


def take_limits(flags: dict[str, Any]) -> Limits:
    """The limits among a command's flags, which are taken out of them."""
    from edgeslm.limits import Limits

    return Limits(
        size=flags.pop("max_size"),
        ram=flags.pop("max_ram"),
        latency_ms=flags.pop("max_latency"),
        instructions=flags.pop("max_instructions"),
        objective=flags.pop("objective", None),
        profile=flags.pop("target_profile"),
    )


def chosen_model(model: str | None, demo: str | None) -> str:
    """What --model and --demo ask for together. Raises ConfigError where that is two models, or none."""
    from edgeslm.demos import DEMOS
    from edgeslm.errors import ConfigError

    if demo is None:
        return model or "demo"
    if model is not None:
        raise ConfigError("--model and --demo exclude each other", "leave one of them out")
    if demo not in DEMOS:
        raise ConfigError(f"no demo is named {demo!r}", f"known: {', '.join(DEMOS)}")
    return DEMOS[demo]


def request_options(command: F) -> F:
    """Add every flag of a build request to a click command."""
    return _with((*_SUBJECT, *_WAYS, *_TEXTS, *_LIMITS, *_BUNDLE), command)


def search_options(command: F) -> F:
    """Those that say what is built and within which limits; how it is stored is what a search is for."""
    return _with((*_SUBJECT, *_BACKENDS, *_TEXTS, *_LIMITS), command)


def _with(options: Sequence[Callable[[F], F]], command: F) -> F:
    for option in reversed(options):
        command = option(command)
    return command


_SUBJECT = (
    click.option("--target", "-t", required=True, metavar="T", shell_complete=_complete_target,
                 help="The device: a name from `edgeslm targets`, or a target file (PATH.toml)."),
    click.option("--model", "-m", metavar="M",
                 help="A Hugging Face checkpoint folder (encoder or decoder); module:function returning "
                 "(nn.Module, example inputs); or, for microcontrollers, a .tflite file of static int8."),
    click.option("--demo", metavar="D", shell_complete=_complete_demo,
                 help="In place of --model: minilm, a sentence encoder (the default), or assistant, a language model "
                 "that turns requests into JSON calls."),
)  # fmt: skip
_BACKENDS = (
    click.option("--backend", metavar="B", shell_complete=_complete_backend,
                 help="tflite or openvino. Default: the better one on the target."),
    click.option("--converter", metavar="C", shell_complete=_complete_converter,
                 help="edgeslm or onnx2tf: what writes the tflite backend's float model. Default: edgeslm."),
)  # fmt: skip
_WAYS = (
    click.option("--scheme", "-s", metavar="S", shell_complete=_complete_scheme, multiple=True,
                 help="fp32, fp16, int8, int8-weight-only, int8-static, int4. Default: the best for the target. For "
                 "Android it may be given more than once: a model of each in one bundle."),
    click.option("--plan", "plan", type=click.Path(path_type=Path), metavar="F",
                 help="A plan file, as `edgeslm plan --save` writes it: what each tensor is stored as."),
    *_BACKENDS,
)  # fmt: skip
_TEXTS = (
    click.option("--max-length", type=click.IntRange(min=2), metavar="N",
                 help="Longest text in tokens. Default: the checkpoint's own limit, at most 256."),
    click.option("--context", type=click.IntRange(min=1), metavar="N",
                 help="Language models: tokens of prompt and answer together. Default: the model's own limit, "
                 "at most 2048."),
    click.option("--kv-cache", metavar="K",
                 help="Language models: how keys and values are kept: float32, int8, or float16 on "
                 "microcontrollers. Default: float32."),
    click.option("--calibration", type=click.Path(path_type=Path), metavar="F",
                 help="Texts that calibrate integer schemes, one a line. Default: built-in ones."),
    click.option("--eval", "eval_", type=click.Path(path_type=Path), metavar="F",
                 help="Texts that score the model against PyTorch, one a line. Default: built-in ones."),
)  # fmt: skip
_LIMITS = (
    click.option("--min-fidelity", type=float, metavar="X",
                 help="Least cosine similarity to PyTorch on any text; for language models, perplexity fp32 ÷ built. "
                 "Default: the scheme's gate."),
    click.option("--max-size", metavar="S", callback=_limit("parse_bytes"),
                 help="Most bytes of the model's files, as in 14MB: precisions are then chosen tensor by tensor."),
    click.option("--max-ram", metavar="S", callback=_limit("parse_bytes"),
                 help="Most resident memory, as in 90MB."),
    click.option("--max-latency", metavar="T", callback=_limit("parse_milliseconds"),
                 help="Longest inference, as in 25ms; where a profile of the target was measured."),
    click.option("--max-instructions", metavar="N", callback=_limit("parse_count"),
                 help="Most instructions of an inference, or of a token, as in 20M."),
    click.option("--target-profile", type=click.Path(path_type=Path), metavar="F",
                 help="What kernels cost on the target, as `edgeslm profile-target` writes it."),
)  # fmt: skip
_BUNDLE = (
    click.option("--objective", metavar="O", type=click.Choice(OBJECTIVES),
                 help="What is best under the limits: fidelity (the default), size, ram, latency or instructions."),
    click.option("--allow-below-gate", is_flag=True,
                 help="Build even if a gate is missed; the bundle is marked so."),
    click.option("--vendor-wheels", is_flag=True,
                 help="Put the target's own Python packages into the bundle: the device then needs no network."),
    click.option("--litert-aar", multiple=True, type=click.Path(path_type=Path, dir_okay=False), metavar="F",
                 help="Android: a file of LiteRT's library (litert-*.aar, litert-api-*.aar) to put into ours, which "
                 "then needs no Maven repository for it. May be given more than once."),
    click.option("--force", is_flag=True, help="Overwrite an existing bundle."),
    click.option("-o", "--output", "out", type=click.Path(path_type=Path, file_okay=False), default=".",
                 metavar="DIR", help="Where the bundle goes. Default: the current folder."),
)  # fmt: skip
