# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Standard input, output and error of the command: closed ones, other encodings, texts that are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fakes
from tests.command import Command

COMMANDS = {
    "run": ["run", "a.lariat", "x", "--max-new-tokens", "3"],
    "generate": ["generate", "a.lariat", "--prompt", "x", "--max-new-tokens", "3"],
    "tokens": ["generate", "a.lariat", "--tokens", "in.json", "-o", "out.json", "--max-new-tokens", "3", "--summary"],
    "score": ["score", "a.lariat", "--tokens", "in.json", "-o", "out.safetensors"],
    "chat": ["chat", "a.lariat", "--max-new-tokens", "3"],
    "info": ["info", "a.lariat"],
    "help": ["--help"],
    "version": ["--version"],
    "usage": ["score"],
}

# Those that write their result to standard output, or read a text from standard input.
WRITING = ("run", "generate", "chat", "info", "help", "version")


@pytest.fixture
def lariat(tmp_path: Path) -> Command:
    artefact = fakes.make_artefact(tmp_path / "a.lariat", "In the beginning — 日")
    template = "{% for m in messages %}{{ m.content }}|{% endfor %}"
    (artefact / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    (tmp_path / "in.json").write_text("[[65]]")
    return Command(tmp_path, fakes.make_tools(tmp_path / "bin"))


def run(
    lariat: Command, arguments: list[str], data: bytes = b"", redirection: str = "", **environment: str
) -> tuple[int, bytes, bytes]:
    """Run with `data` as standard input, after a redirection as a shell writes it."""
    script = f'exec "$0" -m lariat "$@" {redirection}'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, *arguments],
        input=data,
        capture_output=True,
        cwd=lariat.folder,
        env=lariat.environment | environment,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


# --- closed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chat", "generate", "tokens"])
def test_a_closed_input(lariat: Command, name: str) -> None:
    status, _, err = run(lariat, COMMANDS[name], redirection="<&-")
    if name == "chat":
        assert (status, err) == (1, b"error: standard input is closed: there is no text to read\n")
    else:
        assert (status, b"error" in err) == (0, False)


def test_a_text_from_a_closed_input(lariat: Command) -> None:
    want = b"error: standard input is closed: there is no text to read\n"
    assert run(lariat, ["run", "a.lariat"], redirection="<&-") == (1, b"", want)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_closed_output(lariat: Command, name: str) -> None:
    status, _, err = run(lariat, COMMANDS[name], b"Hi\n", redirection=">&-")
    if name in WRITING:
        assert (status, err) == (1, b"error: standard output is closed: there is nowhere to write to\n")
    else:
        assert (status, b"internal" in err) == (2 if name == "usage" else 0, False)


@pytest.mark.parametrize("name", ["run", "tokens", "chat", "usage"])
def test_a_closed_error(lariat: Command, name: str) -> None:
    status, out, _ = run(lariat, COMMANDS[name], b"Hi\n", redirection="2>&-")
    assert status == (2 if name == "usage" else 0)
    # Messages do not go to the output in its stead.
    assert b"error" not in out and b"mean" not in out


def test_all_streams_closed(lariat: Command) -> None:
    assert run(lariat, COMMANDS["tokens"], redirection="<&- >&- 2>&-") == (0, b"", b"")
    (result,) = json.loads((lariat.folder / "out.json").read_text())
    assert result["tokens"] == list(b"In ")


@pytest.mark.parametrize("name", ["run", "chat", "help"])
def test_an_output_that_nobody_reads_ends_a_command_quietly(lariat: Command, name: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = lariat.start(*COMMANDS[name], stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    _, err = process.communicate("Hi\n", timeout=60)
    assert err == ""


# --- encodings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "utf-8:strict"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_a_text_is_utf8_whatever_the_locale_says(lariat: Command, environment: dict[str, str]) -> None:
    lines = b"caf\xe9 au lait"
    want = b"error: standard input is not UTF-8: byte 3 is 0xE9\n"
    assert run(lariat, ["run", "a.lariat"], lines, **environment) == (1, b"", want)
    status, out, err = run(lariat, ["run", "a.lariat", os.fsdecode(lines)], **environment)
    assert (status, out) == (2, b"")
    assert err.endswith(b"the text is not UTF-8: byte 3 is 0xE9 (see lariat run --help)\n")
    text = "日本 ".encode()
    assert run(lariat, ["run", "a.lariat", "--max-new-tokens", "2"], text, **environment)[0] == 0
    request = json.loads((lariat.folder / "a.lariat" / "request.json").read_text())
    assert bytes(request["sequences"][0]) == text
    run(lariat, ["run", "a.lariat", os.fsdecode(text), "--max-new-tokens", "2", "--stop", "é"], **environment)
    request = json.loads((lariat.folder / "a.lariat" / "request.json").read_text())
    assert bytes(request["sequences"][0]) == text


@pytest.mark.parametrize(("name", "encoding"), [("run", "ascii"), ("chat", "latin-1:strict"), ("generate", "utf-8")])
def test_an_output_that_lacks_a_character_does_not_end_a_run(lariat: Command, name: str, encoding: str) -> None:
    arguments = [*COMMANDS[name][:-1], "25"]
    status, out, err = run(lariat, arguments, b"Hi\n", PYTHONIOENCODING=encoding)
    text = "In the beginning — 日\n"
    assert (status, err) == (0, b"")
    assert out == text.encode(encoding.partition(":")[0], "replace")


def test_line_breaks_and_a_byte_order_mark_of_a_text(lariat: Command) -> None:
    assert run(lariat, ["run", "a.lariat"], b"\xef\xbb\xbfa\r\nb\rc\n")[0] == 0
    request = json.loads((lariat.folder / "a.lariat" / "request.json").read_text())
    assert bytes(request["sequences"][0]) == b"a\nb\nc\n"


def test_token_ids_after_a_byte_order_mark(lariat: Command) -> None:
    (lariat.folder / "in.json").write_bytes(b"\xef\xbb\xbf[\r\n[65]\r\n]\r\n")
    assert run(lariat, COMMANDS["tokens"])[0] == 0


# --- a conversation that goes on ------------------------------------------------------------------------------------


def sequences(lariat: Command) -> list[bytes]:
    request = json.loads((lariat.folder / "a.lariat" / "request.json").read_text())
    return [bytes(one) for one in request["sequences"]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"caf\xe9", "the line is not UTF-8: byte 3 is 0xE9"),
        (b"a\0b", "the line is no text: byte 1 is 0x00"),
        (b"x" * 600, "the conversation has 607 tokens, and the context of the model is 512: /reset starts a new one"),
        (b"x" * (17 * 2**20), "the line is longer than 16,777,216 bytes"),
    ],
    ids=["not UTF-8", "NUL", "context", "length"],
)
def test_a_chat_goes_on_after_a_bad_line(lariat: Command, line: bytes, message: str) -> None:
    status, out, err = run(lariat, COMMANDS["chat"], b"\xef\xbb\xbfA\r\n" + line + b"\nB")
    assert (status, out.decode(), err.decode()) == (0, "In \nIn \n", f"error: {message}\n")
    # The bad line is no part of the conversation.
    assert sequences(lariat) == [b"A|In |B|"]


def test_a_chat_that_has_outgrown_its_context_begins_anew(lariat: Command) -> None:
    lines = [b"x" * 300, b"y" * 300, b"/reset", b"A"]
    status, out, err = run(lariat, COMMANDS["chat"], b"\n".join(lines))
    assert (status, out) == (0, b"In \nIn \n")
    assert err.startswith(b"error: the conversation has 606 tokens, ")
    assert sequences(lariat) == [b"A|"]


def test_an_answer_is_as_long_as_the_context_leaves(lariat: Command) -> None:
    status, out, err = run(lariat, [*COMMANDS["chat"][:-1], "20"], b"x" * 510)
    assert (status, out, err) == (0, b"In\n", b"")


def test_a_chat_without_any_answer_fails(lariat: Command) -> None:
    (lariat.folder / "a.lariat" / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
    status, out, err = run(lariat, COMMANDS["chat"], b"A\nB\n")
    assert (status, out) == (1, b"")
    assert err.count(b"chat_template.jinja cannot write the conversation: no\n") == 2
