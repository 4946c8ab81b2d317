# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The `lariat` command: exit status, one line of error, nothing half-written."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from lariat._process import find_tool
from lariat._terminal import describe
from lariat.artefact import Artefact, Loops
from lariat.errors import RuntimeFault
from tests import fakes
from tests.command import Command


@pytest.fixture
def lariat(tmp_path: Path) -> Command:
    fakes.make_artefact(tmp_path / "a.lariat")
    (tmp_path / "in.json").write_text("[[1, 2], [3]]")
    return Command(tmp_path, fakes.make_tools(tmp_path / "bin"))


# --- usage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["", "import", "compile", "score", "generate", "run", "chat", "encode", "info"])
def test_help(lariat: Command, command: str) -> None:
    assert lariat.ok(*command.split(), "--help").startswith(f"usage: lariat {command}".rstrip())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND (see lariat --help)"),
        (["walk"], "argument COMMAND: invalid choice: 'walk'"),
        (["info"], "the following arguments are required: NAME.lariat (see lariat info --help)"),
        (["info", "a.lariat", "--js"], "unrecognized arguments: --js"),
        (["score", "a.lariat", "--tokens", "in.json"], "the following arguments are required: -o"),
        (
            ["score", "a.lariat", "--tokens", "in.json", "-o", "o", "--threads", "0"],
            "argument --threads: 0 is not from 1",
        ),
        (
            ["score", "a.lariat", "--tokens", "in.json", "-o", "o", "--loops", "x"],
            "argument --loops: 'x' is not a whole",
        ),
        (
            ["score", "a.lariat", "--tokens", "in.json", "-o", "o", "--exit-threshold", "nan"],
            "argument --exit-threshold: 'nan' is not a finite number",
        ),
        (["generate", "a.lariat", "--max-new-tokens", "3"], "one of the arguments --prompt --tokens is required"),
        (
            ["generate", "a.lariat", "--max-new-tokens", "3", "--prompt", "a", "--temperature", "-1"],
            "argument --temperature: -1 is negative",
        ),
        (["generate", "a.lariat", "--max-new-tokens", "3", "--tokens", "in.json"], "--tokens needs -o OUT.json"),
        (["generate", "a.lariat", "--max-new-tokens", "3", "--prompt", "a", "-o", "x"], "-o goes with --tokens"),
        (["generate", "a.lariat", "--max-new-tokens", "3", "--prompt", "a", "--stop", ""], "a stop text is empty"),
        (["generate", "a.lariat", "--max-new-tokens", "3", "--prompt", ""], "the text has no tokens"),
        (["import", "nowhere", "-o", "m.mlir"], "nowhere: no such checkpoint directory"),
        (["compile", "nowhere", "-o", "b.lariat"], "nowhere: no such file or directory"),
        (["compile", "in.json", "-o", "b.lariat"], "in.json is not IR: give the directory that holds config.json"),
        (
            ["compile", "x", "-o", "b.lariat", "--pipeline", "quick"],
            "argument --pipeline: invalid choice: 'quick' (choose from",
        ),
        (["compile", ".", "-o", "a.lariat"], "a.lariat is there already: --force replaces it"),
        (["info", "nothing.lariat"], "nothing.lariat: no such artefact"),
        (["info", "bin"], "cannot read bin/manifest.json: No such file or directory"),
    ],
)
def test_wrong_usage(lariat: Command, arguments: list[str], message: str) -> None:
    assert message in lariat.fails(*arguments)


def test_a_text_may_follow_options(lariat: Command) -> None:
    assert lariat.ok("run", "a.lariat", "--max-new-tokens", 2, "x") == "In\n"
    assert lariat.ok("run", "--max-new-tokens", 2, "a.lariat", "x") == "In\n"
    assert "unrecognized arguments: x y" in lariat.fails("run", "a.lariat", "--max-new-tokens", 2, "x", "y")
    assert "unrecognized arguments: y" in lariat.fails("run", "a.lariat", "x", "--max-new-tokens", 2, "y")


# --- token files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "in.json:1:1: not JSON: expecting value"),
        (b"[[1, 2", "in.json:1:7: not JSON"),
        (b"\xff", "in.json: byte 0 is not UTF-8"),
        (b"[" * 100_000, "in.json: not JSON this program reads"),
        (b"[[" + b"9" * 5000 + b"]]", "in.json: not JSON this program reads"),
        (b'{"a": 1}', "in.json: expected a list of lists of token ids, found an object"),
        (b"3", "in.json: expected a list of lists of token ids, found a number"),
        (b"[1]", "in.json: sequence 0 is a number, expected a list of token ids"),
        (b"[[1], null]", "in.json: sequence 1 is null, expected"),
        (b"[[1, true]]", "in.json: sequence 0, position 1 is true, expected a token id"),
        (b"[[1.0]]", "in.json: sequence 0, position 0 is a fraction, expected a token id"),
        (b"[[NaN]]", "in.json: sequence 0, position 0 is a fraction, expected a token id"),
        (b'[["a"]]', "in.json: sequence 0, position 0 is a string, expected a token id"),
        (b"[[-1]]", "in.json: sequence 0, position 0 is -1, expected a token id from 0 to 2147483647"),
        (b"[[2147483648]]", "is 2147483648, expected a token id"),
    ],
)
def test_token_files_that_are_refused(lariat: Command, text: bytes, message: str) -> None:
    (lariat.folder / "in.json").write_bytes(text)
    assert message in lariat.fails("score", "a.lariat", "--tokens", "in.json", "-o", "out")
    assert not (lariat.folder / "out").exists()


def test_no_token_file(lariat: Command) -> None:
    assert lariat.fails("encode", "a.lariat", "--tokens", "no.json", "-o", "out") == (
        "cannot read no.json: No such file or directory"
    )
    assert "cannot read bin: Is a directory" in lariat.fails("encode", "a.lariat", "--tokens", "bin", "-o", "out")


# --- results --------------------------------------------------------------------------------------------------------


def test_a_result_replaces_what_was_there(lariat: Command) -> None:
    out = lariat.folder / "out"
    out.write_text("old")
    assert lariat.ok("score", "a.lariat", "--tokens", "in.json", "-o", "out") == ""
    assert out.read_text() == "written"
    assert out.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("token", [fakes.REFUSE, fakes.CRASH, fakes.NONSENSE, fakes.COMPLAIN])
@pytest.mark.parametrize("command", [["score"], ["encode"], ["generate", "--max-new-tokens", "3"]])
def test_a_failure_leaves_the_old_result(lariat: Command, command: list[str], token: int) -> None:
    (lariat.folder / "in.json").write_text(f"[[{token}]]")
    (lariat.folder / "out").write_text("old")
    lariat.fails(*command, "a.lariat", "--tokens", "in.json", "-o", "out")
    assert (lariat.folder / "out").read_text() == "old"


def test_outputs_that_cannot_be_written(lariat: Command) -> None:
    message = lariat.fails("score", "a.lariat", "--tokens", "in.json", "-o", "no/out")
    assert message == "cannot write no/out: No such file or directory"
    assert "it is a folder" in lariat.fails("score", "a.lariat", "--tokens", "in.json", "-o", "bin")


def test_generate_to_a_file(lariat: Command) -> None:
    lariat.ok("generate", "a.lariat", "--tokens", "in.json", "--max-new-tokens", 2, "-o", "out.json")
    assert (
        json.loads((lariat.folder / "out.json").read_text())
        == [{"tokens": [73, 110], "steps": [2, 3], "finish": "length"}] * 2
    )
    lariat.ok("generate", "a.lariat", "--tokens", "in.json", "--max-new-tokens", 9, "--stop", "the", "-o", "out.json")
    assert [one["finish"] for one in json.loads((lariat.folder / "out.json").read_text())] == ["stop", "stop"]


def test_generate_text(lariat: Command) -> None:
    assert lariat.ok("generate", "a.lariat", "--prompt", "x", "--max-new-tokens", 6) == "In the\n"
    assert lariat.ok("generate", "a.lariat", "--prompt", "x", "--max-new-tokens", 9, "--stop", "e b") == "In th\n"


def test_colors_when_asked(lariat: Command) -> None:
    status, out, err = lariat.run("generate", "a.lariat", "--prompt", "x", "--max-new-tokens", 2, "--color", "always")
    assert (status, out) == (0, "\x1b[38;5;35mI\x1b[0m\x1b[38;5;166mn\x1b[0m\n")
    assert "2 tokens (length)" in err and "mean 2.50" in err


@pytest.mark.parametrize(("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colors_on_a_terminal(lariat: Command, variables: dict[str, str], colored: bool) -> None:
    lariat.environment |= {"TERM": "xterm", "NO_COLOR": "", **variables}
    here, terminal = pty.openpty()
    arguments = ("generate", "a.lariat", "--prompt", "x", "--max-new-tokens", 2)
    process = lariat.start(*arguments, stdout=terminal, stderr=subprocess.PIPE)
    process.communicate(timeout=60)
    os.close(terminal)
    out = os.read(here, 1000)
    os.close(here)
    assert (b"\x1b[" in out) == colored


def test_summary(lariat: Command) -> None:
    status, out, err = lariat.run("generate", "a.lariat", "--prompt", "x", "--max-new-tokens", 2, "--summary")
    assert (status, out) == (0, "In\n")
    assert err.splitlines() == [
        "2 tokens (length), 2 steps: 1, 3 steps: 1; mean 2.50",
        "KV @kv: 48 entries, 73,728 bytes, 100 % of every row at every depth",
    ]


def test_info(lariat: Command) -> None:
    lines = lariat.ok("info", "a.lariat").splitlines()
    assert lines[1:5] == [
        "family        ouro (decoder)",
        "loop          4 layers x 4 loop steps",
        "loops R       4 by default; --loops takes 1 to 4",
        "order         free",
    ]
    assert "KV per token  24,576 bytes when a token runs all 4 loop steps" in lines
    assert json.loads(lariat.ok("info", "a.lariat", "--json")) == fakes.MANIFEST


def test_info_of_a_loop_of_one_step(lariat: Command) -> None:
    once = dataclasses.replace(Artefact.open(lariat.folder / "a.lariat"), loops=Loops(1, 1, 1, 1))
    lines = describe(once)
    assert "loops R       1, fixed" in lines
    assert "KV per token  24,576 bytes" in lines


def test_info_of_targets(lariat: Command) -> None:
    folder = lariat.folder / "fast.lariat"
    folder.mkdir()
    files = {"code/avx512.so": 70_000, "code/avx2.so": 50_000, "weights.bin": 8_192}
    manifest = {
        **fakes.MANIFEST,
        "pipeline": "fast",
        "targets": ["avx512", "avx2"],
        "files": {name: {"bytes": size, "sha256": "00"} for name, size in files.items()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    lines = lariat.ok("info", "fast.lariat").splitlines()
    assert "targets       avx512 (70,000 bytes of code), avx2 (50,000 bytes of code)" in lines
    assert "weights       8,192 bytes, packed" in lines


# --- interruptions --------------------------------------------------------------------------------------------------


def test_an_interrupt(lariat: Command) -> None:
    (lariat.folder / "in.json").write_text(f"[[{fakes.HANG}]]")
    # A shell starts background jobs with the signal ignored, and children inherit that.
    process = lariat.start(
        *("score", "a.lariat", "--tokens", "in.json", "-o", "out"),
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (lariat.folder / "a.lariat" / "request.json").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "error: interrupted\n")
    assert not list(lariat.folder.glob("*out*"))


@pytest.mark.parametrize("command", [["info"], ["generate", "--prompt", "x", "--max-new-tokens", "5"]])
def test_an_output_that_nobody_reads(lariat: Command, command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = lariat.start(*command, "a.lariat", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


def test_a_full_output(lariat: Command) -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        process = lariat.start("info", "a.lariat", stdout=full.fileno(), stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=60)
    assert process.returncode > 0
    assert err == "error: No space left on device\n"


# --- with the real tools --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Command:
    for name in ("lariat-opt", "lariat-compile", "lariat-reference"):
        try:
            find_tool(name)
        except RuntimeFault:
            pytest.skip(f"{name} is not built")
    command = Command(tmp_path_factory.mktemp("real"))
    command.ok("compile", fakes.MODELS / "mor-expert", "-o", "mor.lariat")
    (command.folder / "in.json").write_text("[[72, 105], [1]]")
    return command


def test_compile_from_ir_and_replace(real: Command) -> None:
    real.ok("import", fakes.MODELS / "mor-expert", "-o", "mor.mlir")
    assert "lariat.recur" in (real.folder / "mor.mlir").read_text()
    assert "--force" in real.fails("compile", "mor.mlir", "-o", "mor.lariat")
    assert re.search(r"^family +mor \(decoder\)$", real.ok("info", "mor.lariat"), re.M)


def test_compile_for_targets(real: Command) -> None:
    checkpoint = fakes.MODELS / "mor-expert"
    chosen = ("--pipeline", "fast", "--target", "avx2", "--report", "report.json")
    if platform.machine() == "x86_64":
        real.ok("compile", checkpoint, "-o", "fast.lariat", *chosen)
        assert json.loads((real.folder / "report.json").read_text())["targets"]["avx2"]["code_bytes"] > 0
        assert re.search(r"^targets +avx2 \([\d,]+ bytes of code\)$", real.ok("info", "fast.lariat"), re.M)
    refusal = real.fails("compile", checkpoint, "-o", "no.lariat", "--pipeline", "fast", "--target", "sse")
    assert re.fullmatch(r"option --target is 'sse', expected .*native or all", refusal)
    other = ("--pipeline", "reference", "--target", "all")
    assert "--target is of the fast" in real.fails("compile", checkpoint, "-o", "no.lariat", *other)
    assert not (real.folder / "no.lariat").exists()


def test_the_memory_table_fits_a_screen_and_has_the_rest_on_request(real: Command) -> None:
    checkpoint = fakes.MODELS / "ouro"
    table = real.ok("compile", "--print-memory", checkpoint, "-o", "ouro.lariat", "--target", "native").splitlines()
    assert len(table) < 20
    longest = real.ok("compile", "--print-memory=all", checkpoint, "-o", "ouro.lariat", "--force").splitlines()
    assert longest[: len(table)] == table
    calls = [line.split(":")[0] for line in longest[len(table) :]]
    assert "call of core (generate, missing = propagate, derived)" in calls
    assert len(set(calls)) == len(calls) > 20


def test_compile_broken_ir(real: Command) -> None:
    (real.folder / "broken.mlir").write_text("module {\n  lariat.nothing\n}\n")
    assert "broken.mlir:2:" in real.fails("compile", "broken.mlir", "-o", "broken.lariat")
    assert not (real.folder / "broken.lariat").exists()


def test_score_and_generate(real: Command) -> None:
    import safetensors.numpy

    real.ok("score", "mor.lariat", "--tokens", "in.json", "-o", "out.safetensors", "--mode", "generate")
    tensors = safetensors.numpy.load_file(real.folder / "out.safetensors")
    assert {name: (str(t.dtype), t.shape) for name, t in tensors.items()} == {
        "logits.0": ("float32", (2, 320)),
        "steps.0": ("int32", (2,)),
        "logits.1": ("float32", (1, 320)),
        "steps.1": ("int32", (1,)),
    }
    real.ok("generate", "mor.lariat", "--tokens", "in.json", "--max-new-tokens", 1, "-o", "out.json")
    chosen = [one["tokens"] for one in json.loads((real.folder / "out.json").read_text())]
    assert chosen == [[int(tensors[f"logits.{at}"][-1].argmax())] for at in (0, 1)]


@pytest.mark.parametrize(
    ("tokens", "options"),
    [
        ("[]", []),
        ("[[]]", []),
        ("[[1], []]", []),
        ("[[320]]", []),
        (f"[{[1] * 513}]", []),
        ("[[1]]", ["--loops", "2"]),
        ("[[1]]", ["--exit-threshold", "0.5"]),
        ("[[1]]", ["--missing", "somehow"]),
        ("[[1]]", ["--initial-state", "nothing.safetensors"]),
    ],
)
def test_requests_that_are_refused(real: Command, tokens: str, options: list[str]) -> None:
    (real.folder / "bad.json").write_text(tokens)
    real.fails("score", "mor.lariat", "--tokens", "bad.json", "-o", "bad.safetensors", *options)
    assert not (real.folder / "bad.safetensors").exists()


def test_encode_a_decoder(real: Command) -> None:
    real.fails("encode", "mor.lariat", "--tokens", "in.json", "-o", "bad.safetensors")
