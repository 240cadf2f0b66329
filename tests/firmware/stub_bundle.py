"""Firmware bundles of the stub model (stub/): its next token follows by arithmetic, so that answers are known."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgeslm.artifacts import (
    Bundle,
    Checkpoint,
    CompiledModel,
    Fidelity,
    Gate,
    GenerationSpec,
    LanguageSpec,
    OutputScore,
    Perplexity,
    QuantPlan,
)
from edgeslm.backends.cortexm.emit_tokenizer import HEADER, TABLE, emit_tokenizer
from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.bundle.firmware import Built, write_firmware_bundle
from edgeslm.digest import files_digest, json_digest
from edgeslm.firmware.image import STACK_BYTES, build_image
from edgeslm.firmware.presets import presets_text
from edgeslm.firmware.qemu import is_emulated, not_run_here
from edgeslm.target import load_target
from edgeslm.tokenizer.read import read_specification
from edgeslm.tokenizer.table import compile_table

STUB = Path(__file__).resolve().parent / "stub"
FILES = ("stub.c", "model_config.h", TABLE, HEADER)
CONTEXT = 48
BOS = 1
CACHE_BYTES = 2 * 2 * 1024


def make_stub(folder: Path) -> Path:
    """The stub as a generated model lies there: its tokenizer's tokens are the 256 bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True)
    for name in ("stub.c", "model_config.h"):
        shutil.copy(STUB / name, folder / name)
    tokenizer = Tokenizer(models.BPE({letter: byte for byte, letter in byte_letters().items()}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    emit_tokenizer(compile_table(read_specification(tokenizer.to_str().encode(), "the stub's")), folder)
    return folder


def byte_letters() -> dict[int, str]:
    """The letter that byte-level tokenizers write a byte as (GPT-2's encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def stub_answer(prompt: bytes, count: int) -> list[int]:
    """The tokens that the stub gives: each is 5 × the last one + the sum of all + 3, modulo 64; 0 ends."""
    entered = [BOS, *prompt]
    answer: list[int] = []
    while len(answer) < count:
        token = (5 * entered[-1] + sum(entered) + 3) % 64
        answer.append(token)
        entered.append(token)
        if token == 0:
            break
    return answer


def write_stub_bundle(target_name: str, folder: Path) -> Bundle:
    """Build the stub for this target and bundle it, in `folder`."""
    target = load_target(target_name)
    model = make_stub(folder / "model")
    image = build_image(target, model, folder / "image")
    checkpoint = Checkpoint(
        name="stub",
        source="a test",
        digest=json_digest("stub"),
        task="generation",
        architecture="stub",
        parameters=(),
        generation=GenerationSpec(bos=BOS, eos=(0,), add_bos=True),
    )
    plan = QuantPlan(
        target=target.name,
        backend="cortexm",
        scheme="fp32",
        choices={},
        reasons=(),
        warnings=not_run_here(target),
        lengths=(CONTEXT,),
        weight_bytes=0,
        resident_bytes=0,
        digest=json_digest(["stub", target.name]),
    )
    compiled = CompiledModel(
        root=model,
        digest=files_digest(model, FILES),
        parent=checkpoint.digest,
        backend="cortexm",
        scheme="fp32",
        runtime="firmware",
        files=FILES,
        lengths=(),
        stored=(),
        kept_float=(),
        language=LanguageSpec(CONTEXT, 256, 2, 1, 1, "float32"),
    )
    fidelity = Fidelity(
        texts="a test",
        samples=1,
        scores=(OutputScore("logits", 1.0, 1.0, 0.0),),
        gates=(Gate("perplexity", 1.0, 1.0, True),),
        perplexity=Perplexity(2.0, 2.0, 10),
    )
    built = Built(
        root=image.elf.parent,
        flash=image.memory.flash,
        ram=image.memory.ram,
        stack_bytes=STACK_BYTES,
        compiler=image.compiler,
        digest=image.digest,
        presets=presets_text([target], choose_variant(target.cpu.isa)),
        emulated=is_emulated(target),
    )
    return write_firmware_bundle(
        checkpoint, plan, target, compiled, fidelity, built, folder, below_gate=False, force=False
    )
