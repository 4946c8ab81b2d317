# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chat templates, and the commands that talk: `lariat run` and `lariat chat`."""

from __future__ import annotations

import doctest
import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import lariat
from lariat import chat
from lariat._process import find_tool
from lariat.chat import ChatTemplate
from lariat.text import Tokenizer
from tests import counting, fakes
from tests.command import Command

TEMPLATE = """{%- for message in messages %}
<{{ message.role }}>{{ message.content }}{{ eos_token }}
{%- endfor %}
{%- if add_generation_prompt %}<assistant>{% endif %}"""

HELLO = [{"role": "user", "content": "Hello"}]


def write_config(folder: Path, **fields: object) -> Path:
    (folder / "tokenizer_config.json").write_text(json.dumps(fields))
    return folder


# --- templates ------------------------------------------------------------------------------------------------------


def test_examples_run() -> None:
    found = doctest.testmod(chat)
    assert found.attempted > 0 and found.failed == 0


def test_a_template_file_comes_first(tmp_path: Path) -> None:
    write_config(tmp_path, chat_template="from the config", eos_token="</s>")
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    assert ChatTemplate.of(tmp_path).render(HELLO) == "<user>Hello</s><assistant>"


@pytest.mark.parametrize("eos", ["</s>", {"content": "</s>", "special": True}])
def test_templates_of_the_tokenizer_config(tmp_path: Path, eos: object) -> None:
    write_config(tmp_path, chat_template=TEMPLATE, eos_token=eos)
    assert ChatTemplate.of(tmp_path).render(HELLO) == "<user>Hello</s><assistant>"
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": TEMPLATE}]
    write_config(tmp_path, chat_template=named, eos_token=eos)
    assert ChatTemplate.of(tmp_path).render(HELLO) == "<user>Hello</s><assistant>"


def test_what_templates_expect_of_their_surroundings() -> None:
    source = "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m | tojson }}{% endfor %}"
    assert ChatTemplate(source).render([*HELLO, {"role": "é"}]) == '{"role": "é"}'
    assert ChatTemplate("{{ strftime_now('%Y') }}").render(HELLO).isdigit()
    with pytest.raises(lariat.RuntimeFault, match="^the template cannot write the conversation: roles must alternate$"):
        ChatTemplate("{{ raise_exception('roles must alternate') }}").render(HELLO)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].missing.more }}",
        "{{ 1 / 0 }}",
        "{% include 'x' %}",
    ],
)
def test_what_a_template_may_not_do(source: str) -> None:
    with pytest.raises(lariat.RuntimeFault, match="cannot write the conversation: "):
        ChatTemplate(source).render(HELLO)


@pytest.mark.parametrize(
    "source",
    ["{{" + "(" * 5000, "{{ " + "[" * 200 + "1" + "]" * 200 + " }}", "{{ messages | tojson(indent=244444444444444) }}"],
)
def test_a_template_that_takes_too_much_is_refused(source: str) -> None:
    with pytest.raises(lariat.LariatError, match="^the template"):
        ChatTemplate(source).render(HELLO)


def test_no_template(tmp_path: Path) -> None:
    for fields in ({}, {"chat_template": None}, {"chat_template": [{"name": "tool_use", "template": "x"}]}):
        write_config(tmp_path, **fields)
        with pytest.raises(lariat.ArtefactError, match="has no chat template: 'lariat run' continues a plain text"):
            ChatTemplate.of(tmp_path)
    write_config(tmp_path, chat_template="{% if %}")
    with pytest.raises(lariat.ArtefactError, match=r"tokenizer_config\.json: "):
        ChatTemplate.of(tmp_path)
    for text in ("{", "[]"):
        (tmp_path / "tokenizer_config.json").write_text(text)
        with pytest.raises(lariat.ArtefactError, match=r"tokenizer_config\.json: "):
            ChatTemplate.of(tmp_path)


def test_tokens_that_end_an_answer(tmp_path: Path) -> None:
    shutil.copy(fakes.MODELS / "ouro" / "tokenizer.json", tmp_path)
    tokenizer = Tokenizer.of(tmp_path)
    assert chat.stop_tokens(tmp_path, tokenizer) == ()
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    write_config(tmp_path, eos_token="A")
    assert chat.stop_tokens(tmp_path, tokenizer) == (5, 6, 65)


# --- commands -------------------------------------------------------------------------------------------------------


@pytest.fixture
def talk(tmp_path: Path) -> Command:
    """The command, with an artefact of the stand-in and one of the counting model."""
    fakes.make_artefact(tmp_path / "a.lariat")
    code = find_tool("lariat-compile").parents[1] / "unittests" / "counting.so"
    if code.exists():
        folder = counting.write_artefact(tmp_path / "counting.lariat", code, counting.manifest())
        shutil.copy(fakes.MODELS / "ouro" / "tokenizer.json", folder)
        write_config(folder, chat_template=TEMPLATE)
    return Command(tmp_path)


@pytest.fixture
def on_reference(talk: Command) -> Command:
    return Command(talk.folder, fakes.make_tools(talk.folder / "bin"))


def require_runtime(talk: Command) -> None:
    pytest.importorskip("lariat._native", reason="the native module is not built")
    if not (talk.folder / "counting.lariat").exists():
        pytest.skip("the unit tests are not built")


def speak(talk: Command, text: str, *arguments: object) -> tuple[int, str, str]:
    process = talk.start(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(text, timeout=60)
    return process.returncode, out, err


def test_run(on_reference: Command) -> None:
    assert on_reference.ok("run", "a.lariat", "x", "--max-new-tokens", 6) == "In the\n"
    assert speak(on_reference, "x", "run", "a.lariat", "--stop", "e b") == (0, "In th\n", "")
    status, out, err = on_reference.run("run", "a.lariat", "x", "--max-new-tokens", 2, "--stats")
    assert (status, out) == (0, "In\n")
    first, *rest = err.splitlines()
    assert first.startswith("prompt of 1 tokens, first new token after ") and first.endswith(" tokens per second")
    assert rest[0].startswith("2 tokens (length), ") and rest[1].startswith("KV @kv: ")


def test_run_refuses(on_reference: Command) -> None:
    assert "the text has no tokens" in on_reference.fails("run", "a.lariat", "")
    assert "the reference path samples by temp" in on_reference.fails("run", "a.lariat", "x", "--top-k", 3)
    assert "argument --top-p: 1.5 is not from 0 to 1" in on_reference.fails("run", "a.lariat", "x", "--top-p", 1.5)
    assert "argument --repetition-penalty: 0 is not above 0" in on_reference.fails(
        "run", "a.lariat", "x", "--repetition-penalty", 0
    )


def test_run_on_the_runtime(talk: Command) -> None:
    require_runtime(talk)
    # The sum is 65 + 65, then twice as much: 130, 260, 200.
    with lariat.load(talk.folder / "counting.lariat") as session:
        (want,) = session.generate(["AA"], lariat.GenerateOptions(max_new_tokens=3))
    assert want.tokens == (130, 260, 200)
    assert talk.ok("run", "counting.lariat", "AA", "--max-new-tokens", 3, "--threads", 2) == f"{want.text}\n"
    talk.ok("run", "counting.lariat", "AA", "--top-k", 3, "--temperature", 1, "--seed", 4, "--min-p", 0.1)


def test_chat(on_reference: Command) -> None:
    write_config(on_reference.folder / "a.lariat", chat_template=TEMPLATE)
    arguments = ("chat", "a.lariat", "--max-new-tokens", 6, "--system", "Be brief.")
    assert speak(on_reference, "Hi\n\nAnd\n", *arguments) == (0, "In the\nIn the\n", "")
    request = json.loads((on_reference.folder / "a.lariat" / "request.json").read_text())
    text = "<system>Be brief.<user>Hi<assistant>In the<user>And<assistant>"
    assert bytes(request["sequences"][0]).decode() == text
    assert speak(on_reference, "Hi\n/reset\nAnd", *arguments)[:2] == (0, "In the\nIn the\n")
    request = json.loads((on_reference.folder / "a.lariat" / "request.json").read_text())
    assert bytes(request["sequences"][0]).decode() == "<system>Be brief.<user>And<assistant>"
    assert speak(on_reference, "", *arguments) == (0, "", "")


@pytest.mark.parametrize("line", ["/quit", " /exit "])
def test_a_chat_ends_at_a_line_that_says_so(on_reference: Command, line: str) -> None:
    write_config(on_reference.folder / "a.lariat", chat_template=TEMPLATE)
    arguments = ("chat", "a.lariat", "--max-new-tokens", 6)
    assert speak(on_reference, f"Hi\n{line}\nAnd\n", *arguments) == (0, "In the\n", "")


def test_chat_without_a_template(on_reference: Command) -> None:
    message = on_reference.fails("chat", "a.lariat")
    assert message == "a.lariat has no chat template: 'lariat run' continues a plain text"


def test_chat_on_the_runtime(talk: Command) -> None:
    require_runtime(talk)
    status, out, err = speak(talk, "Hi\nHo\n", "chat", "counting.lariat", "--max-new-tokens", 2, "--stats")
    assert status == 0 and out.count("\n") >= 2 and err.count("prompt of ") == 2


@pytest.mark.parametrize("command", [["run", "counting.lariat"], ["chat", "counting.lariat"]])
def test_an_interrupt_while_it_waits_for_a_text(talk: Command, command: list[str]) -> None:
    require_runtime(talk)
    process = talk.start(
        *command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "error: interrupted\n")
