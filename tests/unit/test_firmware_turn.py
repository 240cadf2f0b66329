"""What a board's terminal puts around a line: the chat template's text, where it is the same around every message."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.artifacts import Checkpoint, Turn
from edgeslm.backends.cortexm.c_text import literal
from edgeslm.bundle.manifest import FilePart, GenerationPart, Manifest, TokenizerPart
from edgeslm.errors import UnsupportedError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.firmware.board_chat import chat_prompt
from edgeslm.formats.archive import write_archive
from edgeslm.stages.firmware_turn import find_turn
from tests.firmware.host_program import require_tool


@pytest.fixture(scope="module")
def assistant() -> Checkpoint:
    return open_checkpoint("demo:assistant")


def turn_of(checkpoint: Checkpoint, template: str | None, *, add_bos: bool = True) -> Turn | None:
    generation = checkpoint.generation
    assert generation is not None
    return find_turn(checkpoint, dataclasses.replace(generation, chat_template=template, add_bos=add_bos))


@pytest.mark.parametrize(
    ("template", "turn"),
    [
        ("{{ bos_token }}{{ messages[-1]['content'] }}\t", Turn("", "\t")),
        (
            "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}>",
            Turn("[user] ", "\n>"),
        ),
        ("{{ bos_token }}Be brief. {{ messages[0]['content'] | trim }}</s>", Turn("Be brief. ", "</s>")),
    ],
)
def test_what_is_around_every_message(assistant: Checkpoint, template: str, turn: Turn) -> None:
    assert turn_of(assistant, template, add_bos=True) == turn


@pytest.mark.parametrize(
    "template",
    [
        None,
        "{{ messages[-1]['content'] }}\t",  # without the token that the board begins every text with
        "{{ bos_token }}{{ messages[-1]['content'] | upper }}\t",
        "{{ bos_token }}{{ messages[-1]['content'] }} {{ messages[-1]['content'] }}",
        "{{ bos_token }}{{ messages[-1]['content'] | length }}: {{ messages[-1]['content'] }}",
        "{{ bos_token }}{{ raise_exception('no') }}",
        "{{ bos_token }}{% broken",
        "{{ bos_token }}" + "a system prompt " * 40 + "{{ messages[-1]['content'] }}",
    ],
)
def test_other_templates_have_no_turn(assistant: Checkpoint, template: str | None) -> None:
    """A person then types all that the model wants."""
    assert turn_of(assistant, template) is None


@settings(max_examples=5)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=40, max_size=40))
def test_a_literal_of_c_is_its_bytes(texts: list[str]) -> None:
    require_tool("cc", "build-essential")
    texts = [*texts, '"\\', "??/", "\x01" + "1", "é7", "%s\n\t"]
    lines = ",\n".join(f"  {literal(text)}" for text in texts)
    program = f"#include <stdio.h>\nstatic const char *all[] = {{\n{lines}\n}};\n"
    program += f"int main(void) {{ for (int i = 0; i < {len(texts)}; i++) {{ fputs(all[i], stdout); putchar(0); }} }}\n"
    folder = Path(tempfile.mkdtemp(prefix="edgeslm-literals-"))
    (folder / "all.c").write_text(program)
    subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", str(folder / "all.c"), "-o", str(folder / "all")], check=True)
    said = subprocess.run([str(folder / "all")], capture_output=True, check=True).stdout
    shutil.rmtree(folder)
    assert said.split(b"\0")[:-1] == [text.encode() for text in texts]


@pytest.mark.parametrize(
    ("template", "asked"),
    [
        ("{{ bos_token }}[{{ messages[0]['content'] | upper }}]\t", "[RAIN?]\t"),
        ("{{ messages[0]['content'] }}", None),
        (None, None),
    ],
)
def test_what_a_board_is_asked_in_a_chat(
    tmp_path: Path, assistant: Checkpoint, template: str | None, asked: str | None
) -> None:
    """Any template, as long as the board's tokens are the template's."""
    generation, tokenizer = assistant.generation, assistant.tokenizer
    assert generation is not None
    assert tokenizer is not None
    assert assistant.root is not None
    members: dict[str, bytes | Path] = {
        "manifest.json": b"{}",
        "tokenizer.json": (assistant.root / tokenizer.file).read_bytes(),
    }
    if template is not None:
        members["chat_template.jinja"] = template.encode()
    bundle = tmp_path / "bundle.edgeslm"
    write_archive(bundle, members)
    manifest = Manifest.model_construct(
        name="assistant",
        files={name: FilePart(bytes=1 << 20, sha256="0" * 64) for name in members},
        tokenizer=TokenizerPart(file="tokenizer.json", max_length=256, pad_id=0, mask_token=None),
        generation=GenerationPart(
            context=256,
            bos=generation.bos,
            eos=generation.eos,
            add_bos=generation.add_bos,
            chat_template=None if template is None else "chat_template.jinja",
            special=dict(generation.special),
        ),
    )
    if asked is None:
        with pytest.raises(UnsupportedError):
            chat_prompt(bundle, manifest, "rain?")
    else:
        assert chat_prompt(bundle, manifest, "rain?") == asked
