# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chat templates render as transformers renders them: in the manner of public models, beside what it wrote."""

from __future__ import annotations

import dataclasses
import enum
import json
from pathlib import Path
from typing import Any

import numpy
import pytest

import lariat
from lariat.chat import ChatTemplate
from tests.conversations import QUESTION, SITUATIONS, TALK, TOKENS, WEATHER, recorded, templates

RECORDED = recorded()

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", templates())
def test_a_template_renders_as_transformers_renders_it(name: str, situation: str) -> None:
    messages, options = SITUATIONS[situation]
    before = json.dumps(messages)
    # transformers has no prompt for an answer unless it is asked.
    options = {"add_generation_prompt": False, **options}
    want = RECORDED[name][situation]
    template = ChatTemplate(templates()[name], TOKENS)
    if "text" in want:
        assert template.render(messages, **options) == want["text"]
    else:
        with pytest.raises(lariat.RuntimeFault) as failure:
            template.render(messages, **options)
        if want["error"] in ("TemplateError", "UndefinedError", "TypeError"):
            reason = " ".join(want["message"].split())
            assert str(failure.value) == f"the template cannot write the conversation: {reason}"
    # The caller's messages are never changed.
    assert json.dumps(messages) == before


def test_every_recording_has_its_template() -> None:
    assert {name: list(situations) for name, situations in RECORDED.items()} == {
        name: list(SITUATIONS) for name in templates()
    }


def test_an_answer_begins_unless_it_is_not_wanted() -> None:
    template = ChatTemplate("{{ add_generation_prompt }}")
    assert [template.render(HELLO), template.render(HELLO, add_generation_prompt=False)] == ["True", "False"]


def test_variables_come_before_special_tokens_but_never_in_place_of_the_conversation() -> None:
    template = ChatTemplate("{{ bos_token }}{{ eos_token }}{{ mood }}", {"bos_token": "<s>", "eos_token": "</s>"})
    assert template.render(HELLO, bos_token="<b>", mood="calm") == "<b></s>calm"


class Role(str, enum.Enum):
    USER = "user"


@dataclasses.dataclass
class Message:
    role: str
    content: object
    name: str | None = None


class Dumped:
    def model_dump(self) -> dict[str, Any]:
        return {"role": "user", "content": None, "n": numpy.int64(3), "flag": numpy.bool_(False), "file": object()}


def test_a_template_sees_plain_values_only() -> None:
    template = ChatTemplate("{{ messages | tojson }}")
    messages: list[Any] = [Message(Role.USER, ("a", 1.5)), Dumped()]
    assert json.loads(template.render(messages)) == [
        {"role": "user", "content": ["a", 1.5]},
        {"role": "user", "n": 3, "flag": False, "file": "<object>"},
    ]


def test_tools_have_a_template_of_their_own() -> None:
    template = ChatTemplate({"default": "plain", "tool_use": "with {{ tools[0].function.name }}", "rag": "{{ 1 / 0 }}"})
    assert template.render(HELLO) == "plain"
    assert template.render(HELLO, tools=[WEATHER]) == "with weather"
    with pytest.raises(lariat.RuntimeFault, match="has no template 'default', only rag$"):
        ChatTemplate({"rag": "x"}).render(HELLO)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"messages": []}, "the conversation has no messages, expected at least one"),
        ({"messages": ["Hello"]}, "message 0 is str, expected an object with role and content"),
        ({"messages": HELLO, "tools": [print]}, "tool 0 is builtin_function_or_method, expected an object"),
        ({"messages": HELLO, "documents": ["text"]}, "document 0 is str, expected an object"),
        ({"messages": HELLO, "continue_final_message": "thoughts"}, "the last message has no 'thoughts' to continue"),
    ],
)
def test_what_is_no_conversation(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(lariat.RuntimeFault, match=f"^{message}$"):
        ChatTemplate("{{ messages }}").render(**arguments)


def test_a_last_message_goes_on() -> None:
    template = ChatTemplate("{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}[end]{% endfor %}")
    chat = [*QUESTION, {"role": "assistant", "content": "It is \n"}]
    assert template.render(chat, continue_final_message=True) == '[user]What\'s 1 < 2 & "3"?[end][assistant]It is'
    with pytest.raises(lariat.RuntimeFault, match="^the template does not write the last message as it is, "):
        ChatTemplate("{{ messages[0].content | upper }}").render(TALK, continue_final_message=True)


def test_a_template_that_never_ends_is_refused() -> None:
    for source in ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% for i in range(10**9) %}{% endfor %}"):
        with pytest.raises(lariat.RuntimeFault, match="^the template cannot write the conversation: "):
            ChatTemplate(source).render(HELLO)
    with pytest.raises(lariat.ArtefactError, match="^the template: "):
        ChatTemplate("{% if x %}" * 100_000)


# --- files ----------------------------------------------------------------------------------------------------------


def write(folder: Path, name: str, content: object) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else json.dumps(content).encode())


@pytest.mark.parametrize(
    "found",
    [
        "{{ bos_token }}",
        {"default": "{{ bos_token }}", "tool_use": "x"},
        [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "{{ bos_token }}"}],
    ],
)
def test_templates_of_the_configuration(tmp_path: Path, found: object) -> None:
    write(tmp_path, "tokenizer_config.json", {"chat_template": found, "bos_token": "<s>"})
    assert ChatTemplate.of(tmp_path).render(HELLO) == "<s>"


def test_template_files_come_before_the_configuration(tmp_path: Path) -> None:
    write(tmp_path, "tokenizer_config.json", {"chat_template": [{"name": "tool_use", "template": "of the config"}]})
    write(tmp_path, "chat_template.jinja", "\ufeffdefault\r\nfile\n")
    assert ChatTemplate.of(tmp_path).render(HELLO, tools=[WEATHER]) == "default\nfile"
    write(tmp_path, "additional_chat_templates/tool_use.jinja", "tools: {{ tools | length }}")
    template = ChatTemplate.of(tmp_path)
    assert template.render(HELLO) == "default\nfile"
    assert template.render(HELLO, tools=[WEATHER]) == "tools: 1"


@pytest.mark.parametrize(
    ("files", "want"),
    [
        ({"tokenizer_config.json": {"bos_token": "<s>", "eos_token": None}}, {"bos_token": "<s>"}),
        ({"tokenizer_config.json": {"bos_token": {"content": "<s>", "lstrip": False}}}, {"bos_token": "<s>"}),
        ({"tokenizer_config.json": {"image_token": "<i>", "extra_special_tokens": ["<x>"]}}, {"image_token": "<i>"}),
        ({"tokenizer_config.json": {"extra_special_tokens": {"audio_token": "<a>"}}}, {"audio_token": "<a>"}),
        ({"tokenizer_config.json": {"model_specific_special_tokens": {"image_token": "<i>"}}}, {"image_token": "<i>"}),
        ({"special_tokens_map.json": {"eos_token": {"content": "</s>"}}}, {"eos_token": "</s>"}),
        (
            {"tokenizer_config.json": {"added_tokens_decoder": {}}, "special_tokens_map.json": {"eos_token": "</s>"}},
            {},
        ),
        (
            {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizerFast", "eos_token": "<e>"}},
            {"bos_token": "<s>", "eos_token": "<e>", "unk_token": "<unk>"},
        ),
    ],
)
def test_special_tokens_are_variables(tmp_path: Path, files: dict[str, object], want: dict[str, str]) -> None:
    names = ("bos_token", "eos_token", "unk_token", "image_token", "audio_token", "additional_special_tokens")
    source = "{% set all = {" + ", ".join(f"'{name}': {name}" for name in names) + "} %}"
    write(
        tmp_path,
        "chat_template.jinja",
        source + "{% for k, v in all.items() if v is defined %}{{ k }}={{ v }};{% endfor %}",
    )
    for name, content in files.items():
        write(tmp_path, name, content)
    assert ChatTemplate.of(tmp_path).render(HELLO) == "".join(f"{name}={text};" for name, text in want.items())
