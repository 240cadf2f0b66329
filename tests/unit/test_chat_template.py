"""Chat templates give what transformers makes of them, and say where they fail."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.device.chat import ChatTemplate
from edgeslm.device.errors import BundleError, MissingPackageError, UsageError
from tests.unit.language_bundles import CHATML

LLAMA2 = """
{%- if messages[0]['role'] == 'system' %}
    {%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = '' %}
{%- endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {{- bos_token + '[INST] ' + (system if loop.first else '') + message['content'].strip() + ' [/INST]' }}
    {%- else %}
        {{- ' ' + message['content'] | trim + ' ' + eos_token }}
    {%- endif %}
{%- endfor %}
"""
BLOCKS = """{% set ns = namespace(count=0) %}
{% for message in messages %}
    {% if message.role == 'tool' %}
        {% continue %}
    {% endif %}
    {% set ns.count = ns.count + 1 %}
{{ ns.count }} {{ message | tojson }} {{ {'b': 1, 'a': '<é>'} | tojson(indent=2, sort_keys=True) }}
    {% if message.role == 'assistant' %}{% generation %}{{ message.content }}{% endgeneration %}{% endif %}
    {% if ns.count == 3 %}{% break %}{% endif %}
{% endfor %}
{{ strftime_now('%Y') if strftime_now is defined }} {{ tools is none }} {{ unk_token is defined }}
{%- if add_generation_prompt %}>>{% endif %}
"""
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": None}
TURNS = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": st.text()}),
    min_size=1,
    max_size=5,
)


def theirs(template: str, messages: list[dict[str, str]]) -> str:
    """What transformers makes of it. Raises jinja2's TemplateError where the template refuses."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models

    tokenizer: Any = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>"
    )
    text: str = tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=False, add_generation_prompt=True
    )
    return text


@pytest.mark.parametrize("template", [CHATML, LLAMA2, BLOCKS])
@given(messages=TURNS)
def test_it_is_the_text_of_transformers(template: str, messages: list[dict[str, str]]) -> None:
    jinja2 = pytest.importorskip("jinja2")
    refused: str | None = None
    try:
        wanted = theirs(template, messages)
    except jinja2.TemplateError as error:
        refused = str(error)
    if refused is None:
        assert ChatTemplate(template, SPECIAL).render(messages) == wanted
    else:
        with pytest.raises(UsageError) as caught:
            ChatTemplate(template, SPECIAL).render(messages)
        assert refused in caught.value.message


def test_well_known_shapes_are_as_they_are_known() -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    assert ChatTemplate(CHATML, SPECIAL).render(turns[1:2]) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert ChatTemplate(LLAMA2, SPECIAL).render(turns) == (
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Bye [/INST]"
    )


def test_a_refusal_is_told_with_its_line() -> None:
    template = ChatTemplate(LLAMA2, SPECIAL)
    with pytest.raises(UsageError, match="refuses these messages in line 10: Conversation roles must alternate"):
        template.render([{"role": "assistant", "content": "a"}])


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("a\n{% for %}", "cannot be read: line 2: "),
        ("a\nb {{ messages[0].content.nothing.more }}", "fails in line 2: UndefinedError"),
        ("\n\n{{ 1 / 0 }}", "fails in line 3: ZeroDivisionError"),
        ("{{ messages.__class__.__mro__ }}", "fails.* SecurityError"),
        ("{{ messages.append(1) }}", "fails.* SecurityError"),
        ("{{ messages + 1 }}", "fails in line 1: TypeError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "fails.* RecursionError"),
    ],
)
def test_a_failing_template_is_a_broken_bundle_with_its_line(source: str, told: str) -> None:
    with pytest.raises(BundleError, match=told):
        ChatTemplate(source, SPECIAL).render([{"role": "user", "content": "a"}])


@pytest.mark.parametrize("messages", [[], [1], [{"role": "user"}], [{"role": "user", "content": None}]])
def test_what_are_no_messages_is_told(messages: list[Any]) -> None:
    with pytest.raises(UsageError, match="message"):
        ChatTemplate(CHATML, SPECIAL).render(messages)


def test_missing_and_unsafe_jinja_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    jinja2 = pytest.importorskip("jinja2")
    monkeypatch.setattr(jinja2, "__version__", "3.1.5")
    with pytest.raises(MissingPackageError, match=r"from 3\.1\.6 on; 3\.1\.5 is here"):
        ChatTemplate(CHATML, SPECIAL)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match="a chat needs the package jinja2") as caught:
        ChatTemplate(CHATML, SPECIAL)
    assert "pip install jinja2" in (caught.value.hint or "")
