"""The members of a bundle that people read: README.md, LICENSE, MODEL_CARD.md."""

from __future__ import annotations

from pathlib import Path

from edgeslm.artifacts import PYTORCH, Checkpoint, CompiledModel, Fidelity, QuantPlan
from edgeslm.target import Firmware, Target

LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "COPYING")
MAX_CARD = 1 << 20
"""Bytes taken from a checkpoint's own text files; they are written for people."""

_DEVICE_LICENCE = """\
The Python package edgeslm_device in this bundle is part of edgeslm and licensed under the Apache License, Version 2.0
(SPDX: Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0). Packages named in requirements.txt, and wheels if
there are any here, carry licences of their own.
"""


def readme_text(
    checkpoint: Checkpoint, plan: QuantPlan, target: Target, fidelity: Fidelity, file_name: str, *, vendored: bool
) -> str:
    """Ten lines for whoever opens the bundle on the device."""
    folder = file_name.removesuffix(".edgeslm")
    wheels = f"--no-index --find-links {folder}/wheels " if vendored else ""
    given = "--text 'Some text'" if checkpoint.tokenizer else "--file inputs.npz"
    if checkpoint.generation:
        given = "--prompt 'Once upon a time'"
    lines = [
        f"# {checkpoint.name} for {target.title}",
        f"A model for {purpose_text(checkpoint)} ({plan.backend}, {plan.scheme}); runs on Python 3.11 to 3.13."
        f"{_served(checkpoint)}",
        f"{kept_text(fidelity)}; see MODEL_CARD.md.",
        "Unpack, install, run:",
        "",
        f"    python3 -m zipfile -e {file_name} {folder}",
        f"    python3 -m venv env && env/bin/pip install {wheels}-r {folder}/requirements.txt",
        f"    PYTHONPATH={folder} env/bin/python -m edgeslm_device run {given}",
        "",
        f"`probe` instead of `run` measures it here. From Python: `from edgeslm_device import Model; "
        f"{_call(checkpoint, folder)}`",
    ]
    return "\n".join(lines) + "\n"


def firmware_readme_text(
    checkpoint: Checkpoint,
    plan: QuantPlan,
    target: Target,
    fidelity: Fidelity,
    file_name: str,
    sizes: tuple[int, int],
    *,
    emulated: bool,
) -> str:
    """The same for whoever opens a bundle of firmware. `sizes`: bytes of flash and of RAM. `emulated`: whether a board
    like the target is; if none is, the text says that the image was not run."""
    assert target.firmware is not None
    folder, origin = file_name.removesuffix(".edgeslm"), f"{target.firmware.flash_origin:#010x}"
    flag, line = ("--prompt 'Once upon a time'", "a prompt") if checkpoint.generation else ("--text '…'", "a text")
    talk = f"a line is {line}, Ctrl-C ends an answer"
    if checkpoint.net is not None:
        flag, talk = "--file inputs.npz", "Enter asks who is there; numbers go in frames: protocol/serve.h"
    flash = {
        "openocd": f"openocd {_scripts(target.firmware)}-c 'program {folder}/firmware/firmware.elf verify reset exit'",
        "pyocd": f"pyocd flash {folder}/firmware/firmware.hex",
        "uf2": f"copy {folder}/firmware/firmware.bin to {origin} by the board's boot loader",
        "qemu": f"edgeslm run {file_name} --via qemu {flag}",
    }[target.firmware.flasher]
    lines = [
        f"# {checkpoint.name} for {target.title}",
        f"A model for {purpose_text(checkpoint)} ({plan.backend}, {plan.scheme}) as firmware: {sizes[0]:,} bytes of "
        f"flash, {sizes[1]:,} of RAM.",
        f"{kept_text(fidelity)}; see MODEL_CARD.md.",
        f"firmware/ has the image as ELF, as Intel hex, and as the bytes of flash from {origin} on. "
        "Unpack, flash, talk:",
        "",
        f"    python3 -m zipfile -e {file_name} {folder}",
        f"    {flash}",
        f"    picocom -b 115200 /dev/ttyUSB0      # {talk}",
        "",
        *_with_edgeslm(file_name, target.firmware, flag),
        "The folder is the CMake project of exactly this firmware, for a board and for the host:",
        "",
        f"    cd {folder} && cmake --preset {target.name} && cmake --build --preset {target.name}",
        "    cmake --preset host && cmake --build --preset host && build/host/firmware",
    ]
    if checkpoint.net is not None:
        calls = "edgeslm_net_input(0), edgeslm_net_run(), edgeslm_net_output(0)"
        lines += ["", f"In a program of your own: model/, kernels/ and {calls} of model/edgeslm_net.h."]
    if not emulated:
        lines += ["", *plan.warnings]
    elif target.firmware.flasher != "qemu":
        given = flag if checkpoint.net is not None else f"{flag.split()[0]} '…'"
        lines += ["", f"`edgeslm run {file_name} --via qemu {given}` runs it on an emulated board."]
    return "\n".join(lines) + "\n"


def _with_edgeslm(file_name: str, firmware: Firmware, flag: str) -> list[str]:
    """Nothing for a board that is never but emulated: the line above is edgeslm's already."""
    if firmware.flasher == "qemu":
        return []
    return [
        "Where edgeslm is installed, it finds the board, reads back what it wrote, and waits for the image to speak:",
        "",
        f"    edgeslm flash {file_name}",
        f"    edgeslm run {file_name} --via serial:/dev/ttyACM0 {flag}",
        "",
    ]


def _scripts(firmware: Firmware) -> str:
    return "".join(f"-f {script} " for script in (firmware.openocd or "").split())


def kept_text(fidelity: Fidelity) -> str:
    """How much of its reference a model kept, in a clause."""
    kept = f"Cosine similarity to PyTorch: at least {fidelity.cosine_min:.4f} on {fidelity.samples} samples"
    if fidelity.reference != PYTORCH:
        kept = f"The same numbers as {fidelity.reference}, on {fidelity.samples} inputs"
    if fidelity.perplexity:
        kept = f"Perplexity {fidelity.perplexity.compiled:.4f}, PyTorch's {fidelity.perplexity.reference:.4f}"
    return kept + ("" if fidelity.passed else ", BELOW ITS GATE")


def purpose_text(checkpoint: Checkpoint) -> str:
    """What a model is for."""
    return {
        "embedding": "text embeddings",
        "classification": "text classification",
        "token-classification": "token classification",
        "fill-mask": "filling in masked words",
        "generation": "writing text",
        "tensors": "tensors in, tensors out",
    }[checkpoint.task]


def _served(checkpoint: Checkpoint) -> str:
    if checkpoint.task not in ("generation", "embedding"):
        return ""
    return " Over HTTP: `serve`, with requirements-serve.txt too."


def _call(checkpoint: Checkpoint, folder: str) -> str:
    called = {
        "embedding": 'embed(["Some text"])',
        "classification": 'classify(["Some text"])',
        "token-classification": 'classify_tokens(["Some text"])',
        "fill-mask": f'fill_mask(["Some {checkpoint.tokenizer and checkpoint.tokenizer.mask_token}"])',
        "generation": 'generate("Once upon a time")',
        "tensors": 'run({"name": array})',
    }[checkpoint.task]
    return f'Model.open("{folder}").{called}'


_FIRMWARE_LICENCE = """\
The C in this bundle is part of edgeslm, and so is what the firmware was compiled from; licensed under the Apache
License, Version 2.0 (SPDX: Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0). The compiler's own library
(libgcc) is linked under GCC's Runtime Library Exception.
"""


_ANDROID_LICENCE = """\
The Java in this bundle, and the classes compiled from it, are part of edgeslm and licensed under the Apache License,
Version 2.0 (SPDX: Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0). LiteRT, which they call, carries a licence
of its own.
"""
_OWN_LICENCES = {"linux": _DEVICE_LICENCE, "firmware": _FIRMWARE_LICENCE, "android": _ANDROID_LICENCE}


def licence_text(checkpoint: Checkpoint, packaging: str = "linux") -> str:
    """The checkpoint's own licence text, or its SPDX name, or that it names none; then that of our own code."""
    own = _first_text(checkpoint.root, LICENCE_FILES)
    if own is None:
        own = (
            f"The model {checkpoint.name}: according to its model card, licensed under {checkpoint.licence} (SPDX).\n"
            if checkpoint.licence
            else f"The model {checkpoint.name}: its checkpoint names no licence. Ask its author before passing it on.\n"
        )
    return f"{own.rstrip()}\n\n{'-' * 40}\n\n{_OWN_LICENCES[packaging]}"


def model_card_text(checkpoint: Checkpoint, plan: QuantPlan, compiled: CompiledModel, fidelity: Fidelity) -> str:
    """How this bundle was made and what it scored, then the checkpoint's own card."""
    lines = [
        f"# {checkpoint.name}: {plan.backend}, {plan.scheme}, for {plan.target}",
        "",
        f"Scored against {fidelity.reference} on {fidelity.samples} samples ({fidelity.texts}).",
        *([] if fidelity.passed else ["", "**Below its gate: this model is less faithful than its scheme promises.**"]),
        "",
        *_perplexity_lines(fidelity),
        "| output | cosine, worst | cosine, mean | largest error | same label |",
        "| --- | --- | --- | --- | --- |",
        *[
            f"| {score.output} | {score.cosine_min:.6f} | {score.cosine_mean:.6f} | {score.max_abs_error:.2e} "
            f"| {'' if score.label_agreement is None else f'{score.label_agreement:.1%}'} |"
            for score in fidelity.scores
        ],
        "",
        "| gate | value | limit | |",
        "| --- | --- | --- | --- |",
        *[
            f"| {gate.name} | {gate.value:.6g} | {gate.threshold:.6g} | {'passed' if gate.passed else 'MISSED'} |"
            for gate in fidelity.gates
        ],
        "",
    ]
    for title, entries in (
        ("Tensors that lost most", [f"{name}: relative error {error:.4f}" for name, error in fidelity.worst_tensors]),
        ("Operators that compute in float", list(compiled.kept_float)),
        ("Assumed where the checkpoint says nothing", list(checkpoint.notes)),
        ("Not as the plan wanted", [f"{t.parameter}: {t.precision} ({t.note})" for t in compiled.stored if t.note]),
    ):
        if entries:
            lines += [f"{title}:", "", *[f"- {entry}" for entry in entries], ""]
    card = _first_text(checkpoint.root, ("README.md",))
    lines += (
        ["---", "", "The checkpoint's own model card:", "", card.rstrip()]
        if card
        else ["The checkpoint has no model card."]
    )
    return "\n".join(lines) + "\n"


def _perplexity_lines(fidelity: Fidelity) -> list[str]:
    found = fidelity.perplexity
    if found is None:
        return []
    return [
        f"Perplexity on {found.tokens:,} tokens: {found.compiled:.6g}; PyTorch in float32 {found.reference:.6g}.",
        "",
    ]


def _first_text(root: Path | None, names: tuple[str, ...]) -> str | None:
    """The first of these files in the folder, as text; None where there is none."""
    if root is None:
        return None
    for name in names:
        path = root / name
        if path.is_file() and _belongs(path, root):
            with path.open("rb") as source:
                return source.read(MAX_CARD).decode("utf-8", errors="replace")
    return None


def _belongs(path: Path, root: Path) -> bool:
    """False for a link out of the checkpoint: a stranger's folder must not put the user's files into a bundle.

    In Hugging Face's cache every file is a link from snapshots/REVISION to the blobs beside it.
    """
    whole = root.resolve()
    blobs = whole.parent.parent / "blobs" if whole.parent.name == "snapshots" else whole
    return path.resolve().is_relative_to(whole) or path.resolve().is_relative_to(blobs)
