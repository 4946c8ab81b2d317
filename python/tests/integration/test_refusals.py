# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Malformed input to the real command: exit status, one line `error: ...`, and the output path as it was.

What the importer and the command refuse by themselves is tested beside them, without compiled tools; here the whole way
is run, so that a build with sanitizers sees everything that reaches compiled code.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from lariat._process import find_tool
from lariat.errors import RuntimeFault
from tests.checkpoints import MODELS
from tests.command import Command

# Smallest of the fixtures, for what has to be copied and damaged.
CHECKPOINT = MODELS / "mor-share"
ARTEFACTS = ("mor-share", "hrm", "huginn", "ouro", "albert")

Edit = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with NAME.lariat and NAME.mlir of some fixtures."""
    for name in ("lariat-opt", "lariat-compile", "lariat-reference"):
        try:
            find_tool(name)
        except RuntimeFault as error:
            pytest.skip(f"the tools are not built: {error}")
    command = Command(tmp_path_factory.mktemp("compiled"))
    for name in ARTEFACTS:
        command.ok("compile", MODELS / name, "-o", f"{name}.lariat")
        command.ok("import", MODELS / name, "-o", f"{name}.mlir")
    return command.folder


@pytest.fixture
def lariat(compiled: Path, tmp_path: Path) -> Command:
    """The command, in a folder that refers to the compiled artefacts."""
    for path in compiled.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "in.json").write_text("[[72, 105]]")
    return Command(tmp_path)


def content(path: Path) -> dict[str, bytes]:
    """What lies at a path: nothing, a file, or a folder's files."""
    if path.is_dir():
        return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    return {".": path.read_bytes()} if path.exists() else {}


def refused(lariat: Command, *arguments: object, output: str) -> str:
    """Message of a command that has to fail, first without and then with something old at its output."""
    path = lariat.folder / output
    assert not path.exists()
    names = {file.name for file in lariat.folder.iterdir()}
    message = lariat.fails(*arguments, "-o", output)
    assert {file.name for file in lariat.folder.iterdir()} == names
    assert "internal error" not in message and "unexpectedly" not in message, message
    return message


def refused_over_old(lariat: Command, *arguments: object, output: str) -> str:
    """As `refused`, for commands that replace a file: the old one has to stay."""
    message = refused(lariat, *arguments, output=output)
    path = lariat.folder / output
    path.write_text("old")
    assert lariat.fails(*arguments, "-o", output) == message
    assert path.read_text() == "old"
    return message


# --- safetensors ----------------------------------------------------------------------------------------------------


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<Q", data)
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header: object, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def edit_header(change: Callable[[dict[str, Any]], object]) -> Edit:
    """Applies a change to the header; the change may return another one."""

    def edit(data: bytes) -> bytes:
        header, body = header_of(data)
        return with_header(change(header) or header, body)

    return edit


def edit_entry(**values: Any) -> Edit:
    """Changes the entry of the tensor in the middle."""

    def change(header: dict[str, Any]) -> None:
        name = sorted(name for name in header if name != "__metadata__")[len(header) // 2]
        header[name].update(values)

    return edit_header(change)


def swap_offsets(header: dict[str, Any]) -> None:
    """Lets the second tensor overlap the first."""
    first, second = sorted(
        (entry for name, entry in header.items() if name != "__metadata__"), key=lambda entry: entry["data_offsets"]
    )[:2]
    size = second["data_offsets"][1] - second["data_offsets"][0]
    begin = first["data_offsets"][1] - 4
    second["data_offsets"] = [begin, begin + size]


def drop_tensor(header: dict[str, Any]) -> None:
    """Leaves a hole."""
    del header[sorted(header)[len(header) // 2]]


DAMAGES: dict[str, Edit] = {
    "empty": lambda data: b"",
    "length-cut": lambda data: data[:7],
    "length-only": lambda data: data[:8],
    "header-cut": lambda data: data[:500],
    "data-gone": lambda data: data[: 8 + struct.unpack_from("<Q", data)[0]],
    "data-cut": lambda data: data[: len(data) // 2],
    "byte-missing": lambda data: data[:-1],
    "byte-more": lambda data: data + b"\0",
    "doubled": lambda data: data + data,
    "header-of-0": lambda data: struct.pack("<Q", 0) + data[8:],
    "header-of-2**63": lambda data: struct.pack("<Q", 2**63) + data[8:],
    "header-of-2**64-1": lambda data: struct.pack("<Q", 2**64 - 1) + data[8:],
    "header-of-the-file": lambda data: struct.pack("<Q", len(data)) + data[8:],
    "header-into-data": lambda data: struct.pack("<Q", len(data) - 8) + data[8:],
    "header-longer-by-1": lambda data: struct.pack("<Q", struct.unpack_from("<Q", data)[0] + 1) + data[8:],
    "big-endian-length": lambda data: data[:8][::-1] + data[8:],
    "text": lambda data: b"once upon a time there was no header",
    "list": lambda data: with_header([], header_of(data)[1]),
    "deep": lambda data: with_header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b""),
    "not-utf8": lambda data: with_header(b'{"\xff\xfe": 1}', b""),
    "twice": lambda data: with_header(b'{"a": {}, "a": {}}', b""),
    "no-tensors": lambda data: with_header({}, b""),
    "overlapping": edit_header(swap_offsets),
    "hole": edit_header(drop_tensor),
    "reversed-offsets": edit_entry(data_offsets=[400, 0]),
    "offsets-behind-the-end": edit_entry(data_offsets=[2**40, 2**40 + 4]),
    "huge-offsets": edit_entry(data_offsets=[2**63 - 1, 2**63 - 1]),
    "too-huge-offsets": edit_entry(data_offsets=[0, 2**64]),
    "negative-offsets": edit_entry(data_offsets=[-4, 0]),
    "fractional-offsets": edit_entry(data_offsets=[0.5, 4]),
    "three-offsets": edit_entry(data_offsets=[0, 4, 8]),
    "huge-shape": edit_entry(shape=[2**62, 2**62]),
    "wrapping-shape": edit_entry(shape=[2**32, 2**32]),
    "negative-shape": edit_entry(shape=[-1, -1]),
    "zero-shape": edit_entry(shape=[0]),
    "empty-shape": edit_entry(shape=[]),
    "no-shape": edit_entry(shape=None),
    "text-shape": edit_entry(shape="192"),
    "other-dtype": edit_entry(dtype="F16"),
    "unknown-dtype": edit_entry(dtype="F99"),
    "no-dtype": edit_entry(dtype=None),
    "entry-is-a-number": edit_header(lambda header: {**header, next(iter(header)): 3}),
    "metadata-is-a-list": edit_header(lambda header: {**header, "__metadata__": [1]}),
}


def damaged_checkpoint(folder: Path, edit: Edit) -> Path:
    folder.mkdir()
    shutil.copy(CHECKPOINT / "config.json", folder)
    shutil.copy(CHECKPOINT / "tokenizer.json", folder)
    (folder / "model.safetensors").write_bytes(edit((CHECKPOINT / "model.safetensors").read_bytes()))
    return folder


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_weights_are_not_compiled(lariat: Command, name: str) -> None:
    checkpoint = damaged_checkpoint(lariat.folder / "checkpoint", DAMAGES[name])
    assert "safetensors" in refused(lariat, "compile", checkpoint, output="out.lariat")
    # From IR the importer has no part in it.
    arguments = ("compile", "mor-share.mlir", "--weights", checkpoint)
    message = refused(lariat, *arguments, output="out.lariat")
    assert "model.safetensors" in message or "tensor '" in message, message
    shutil.copytree(lariat.folder / "mor-share.lariat", lariat.folder / "old.lariat")
    before = content(lariat.folder / "old.lariat")
    lariat.fails(*arguments, "-o", "old.lariat", "--force")
    assert content(lariat.folder / "old.lariat") == before


@pytest.mark.parametrize("seed", range(16))
def test_random_bytes_in_the_header_are_refused_or_harmless(lariat: Command, seed: int) -> None:
    random_bytes = random.Random(seed)

    def edit(data: bytes) -> bytes:
        changed = bytearray(data)
        (length,) = struct.unpack_from("<Q", data)
        for _ in range(random_bytes.choice((1, 2, 8))):
            changed[random_bytes.randrange(8 + length)] = random_bytes.randrange(256)
        return bytes(changed)

    checkpoint = damaged_checkpoint(lariat.folder / "checkpoint", edit)
    for source in ([checkpoint], ["mor-share.mlir", "--weights", checkpoint]):
        status, _, errors = lariat.run("compile", *source, "-o", "out.lariat", "--force")
        assert status in (0, 1)
        assert re.fullmatch(r"error: [^\n]+\n", errors) if status else not errors, errors
        assert "unexpectedly" not in errors and "internal error" not in errors, errors


def test_shards_that_do_not_belong_together(lariat: Command) -> None:
    checkpoint = damaged_checkpoint(lariat.folder / "checkpoint", lambda data: data)
    (checkpoint / "model.safetensors").rename(checkpoint / "a.safetensors")
    names = [name for name in header_of((checkpoint / "a.safetensors").read_bytes())[0] if name != "__metadata__"]
    for weight_map in (
        dict.fromkeys(names, "b.safetensors"),
        dict.fromkeys(names, "../checkpoint/a.safetensors"),
        dict.fromkeys(names, ""),
        dict.fromkeys(names, 3),
        dict.fromkeys(names[1:], "a.safetensors"),
        dict.fromkeys([*names, "more"], "a.safetensors"),
        [],
    ):
        (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        refused(lariat, "compile", checkpoint, output="out.lariat")
        if weight_map != dict.fromkeys(names[1:], "a.safetensors"):
            refused(lariat, "compile", "mor-share.mlir", "--weights", checkpoint, output="out.lariat")


@pytest.mark.parametrize("text", ['{"eos_token_id": 320}', '{"eos_token_id": -1}', '{"eos_token_id": "x"}', "[]", "{"])
def test_generation_config(lariat: Command, text: str) -> None:
    checkpoint = damaged_checkpoint(lariat.folder / "checkpoint", lambda data: data)
    (checkpoint / "generation_config.json").write_text(text)
    assert "generation_config.json" in refused(lariat, "compile", checkpoint, output="out.lariat")


# --- artefacts ------------------------------------------------------------------------------------------------------


@pytest.fixture
def artefact(lariat: Command) -> Path:
    """An artefact that a test may damage."""
    return Path(shutil.copytree(lariat.folder / "mor-share.lariat", lariat.folder / "damaged.lariat"))


def score_damaged(lariat: Command) -> str:
    return refused_over_old(lariat, "score", "damaged.lariat", "--tokens", "in.json", output="out.safetensors")


def flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


WEIGHTS = "weights/model.safetensors"


@pytest.mark.parametrize("file", ["model.mlir", WEIGHTS, "tokenizer.json"])
@pytest.mark.parametrize(
    "edit",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b" ",
        lambda data: flip(data, 0),
        lambda data: flip(data, len(data) // 2),
        lambda data: flip(data, len(data) - 1),
    ],
    ids=["empty", "cut", "longer", "first-bit", "middle-bit", "last-bit"],
)
def test_damaged_file_of_an_artefact(lariat: Command, artefact: Path, file: str, edit: Edit) -> None:
    (artefact / file).write_bytes(edit((artefact / file).read_bytes()))
    assert f"file {file} of " in score_damaged(lariat)


@pytest.mark.parametrize("file", ["model.mlir", WEIGHTS, "tokenizer.json"])
def test_missing_file_of_an_artefact(lariat: Command, artefact: Path, file: str) -> None:
    copy = (artefact / file).read_bytes()
    (artefact / file).unlink()
    assert f"file {file} of " in score_damaged(lariat)
    (lariat.folder / "out.safetensors").unlink()
    (artefact / file).mkdir()
    assert "is not a regular file" in score_damaged(lariat)
    (lariat.folder / "out.safetensors").unlink()
    (artefact / file).rmdir()
    (lariat.folder / "elsewhere").write_bytes(copy)
    (artefact / file).symlink_to(lariat.folder / "elsewhere")
    assert "is not a regular file" in score_damaged(lariat)


def reseal(artefact: Path) -> None:
    """Makes the checksums right again: damage that is not told by them."""
    manifest = json.loads((artefact / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        data = (artefact / name).read_bytes()
        entry.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (artefact / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_weights_with_right_checksums(lariat: Command, artefact: Path, name: str) -> None:
    (artefact / WEIGHTS).write_bytes(DAMAGES[name]((artefact / WEIGHTS).read_bytes()))
    reseal(artefact)
    message = score_damaged(lariat)
    assert "model.safetensors" in message or "tensor '" in message, message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("func.func @forward", "func.func @backward"),
        ("vocab = 320", "vocab = 321"),
        ("vocab = 320", "vocab = 0"),
        ("layers(2)", "layers(1)"),
        ("320x192", "319x192"),
        ("lariat.recur", "lariat.recurse"),
        ("module", "modul"),
    ],
)
def test_damaged_ir_with_right_checksums(lariat: Command, artefact: Path, before: str, after: str) -> None:
    text = (artefact / "model.mlir").read_text()
    assert before in text
    (artefact / "model.mlir").write_text(text.replace(before, after))
    reseal(artefact)
    score_damaged(lariat)


def edit_manifest(artefact: Path, key: str, value: object) -> None:
    manifest = json.loads((artefact / "manifest.json").read_text())
    *path, last = key.split("/")
    place = manifest
    for step in path:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    (artefact / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", None),
        ("format_version", "1"),
        ("format_version", 0),
        ("format_version", 2),
        ("format_version", 2**70),
        ("lariat_version", None),
        ("pipeline", "fast"),
        ("pipeline", 1),
        ("dtype", "int8"),
        ("dtype", None),
        ("kv_dtype", "f64"),
        ("files", None),
        ("files", {}),
        ("files", []),
        ("files/model.mlir", None),
        ("files/model.mlir", 3),
        ("files/model.mlir/bytes", 7),
        ("files/model.mlir/bytes", -1),
        ("files/model.mlir/bytes", "x"),
        ("files/model.mlir/sha256", "00"),
        ("files/model.mlir/sha256", None),
        ("files/..", {"bytes": 1, "sha256": "00"}),
        ("files/more.txt", {"bytes": 1, "sha256": "00"}),
        ("model", None),
        ("model", []),
        ("model/vocab", "many"),
        ("loops", None),
        ("loops/default", 1.5),
        ("caches", {}),
        ("caches", [3]),
        ("exit", 3),
        ("targets", [1]),
    ],
)
def test_damaged_manifest(lariat: Command, artefact: Path, key: str, value: object) -> None:
    edit_manifest(artefact, key, value)
    message = score_damaged(lariat)
    assert "manifest" in message or "damaged.lariat" in message, message
    assert refused(lariat, "generate", "damaged.lariat", "--tokens", "in.json", "--max-new-tokens", 1, output="o.json")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format_version": 1}', b'{"a": 1' + b"0" * 9999],
    ids=["empty", "open", "list", "number", "null", "bytes", "deep", "bare", "long-number"],
)
def test_manifest_that_is_none(lariat: Command, artefact: Path, text: bytes) -> None:
    (artefact / "manifest.json").write_bytes(text)
    assert "manifest.json" in score_damaged(lariat)
    lariat.fails("info", "damaged.lariat")


def test_artefact_that_is_none(lariat: Command, artefact: Path) -> None:
    (artefact / "manifest.json").unlink()
    for name in ("damaged.lariat", "in.json", "nothing.lariat", MODELS / "ouro"):
        for call in (["score"], ["encode"], ["generate", "--max-new-tokens", 1]):
            refused(lariat, *call, name, "--tokens", "in.json", output="out")
        lariat.fails("info", name)
        lariat.fails("generate", name, "--prompt", "x", "--max-new-tokens", 1)


# --- requests -------------------------------------------------------------------------------------------------------

DECODER_CALLS = {"score": ["score"], "generate": ["generate", "--max-new-tokens", 2]}


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "the batch has no sequences"),
        ([[]], "sequence 0 has no tokens"),
        ([[1], []], "sequence 1 has no tokens"),
        ([[320]], "token 0 of sequence 0 is 320, expected 0 to 319"),
        ([[1], [2, 2**31 - 1]], "token 1 of sequence 1 is 2147483647, expected 0 to 319"),
        ([[-1]], "-1"),
        ([[2**31]], "2147483648"),
        ([[2**63]], "9223372036854775808"),
        ([[10**30]], "1" + "0" * 30),
        ([[1.5]], "a fraction"),
        ([["1"]], "a string"),
        ([[None]], "null"),
        ([[[1]]], "a list"),
        ([{}], "an object"),
        ([1], "a number"),
        ([[1] * 513], "sequence 0 has 513 tokens"),
        ([[1], [1] * 100_000], "sequence 1 has 100000 tokens"),
    ],
    ids=lambda value: "" if isinstance(value, list) else None,
)
@pytest.mark.parametrize("call", [*DECODER_CALLS, "encode"])
def test_token_lists(lariat: Command, call: str, tokens: object, message: str) -> None:
    (lariat.folder / "bad.json").write_text(json.dumps(tokens))
    artefact = "albert.lariat" if call == "encode" else "ouro.lariat"
    command = DECODER_CALLS.get(call, [call])
    assert message in refused_over_old(lariat, *command, artefact, "--tokens", "bad.json", output="out")


@pytest.mark.parametrize(
    ("length", "new", "fits"),
    [(512, 1, False), (511, 1, True), (510, 3, False), (1, 512, False), (1, 2**31 - 1, False)],
)
def test_generated_tokens_have_to_fit_the_context(lariat: Command, length: int, new: int, fits: bool) -> None:
    (lariat.folder / "long.json").write_text(json.dumps([[1] * length]))
    arguments = ("generate", "ouro.lariat", "--tokens", "long.json", "--max-new-tokens", new)
    if fits:
        lariat.ok(*arguments, "-o", "out")
    else:
        assert f"sequence 0 has {length} tokens" in refused_over_old(lariat, *arguments, output="out")


def test_a_prompt_has_to_fit_the_context(lariat: Command) -> None:
    message = lariat.fails("generate", "ouro.lariat", "--prompt", "x" * 600, "--max-new-tokens", 1)
    assert "sequence 0 has 600 tokens" in message


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("ouro", ["--loops", 0], "0 loop steps are asked for, but the model takes 1 to 4"),
        ("ouro", ["--loops", 5], "5 loop steps are asked for, but the model takes 1 to 4"),
        ("ouro", ["--loops", 2**31 - 1], "2147483647 loop steps"),
        ("ouro", ["--loops", -1], "-1 is not from 0"),
        ("ouro", ["--loops", 2**31], "2147483648 is not from 0"),
        ("huginn", ["--loops", 0], "0 loop steps"),
        ("mor-share", ["--loops", 2], "the loop count of this model is not free"),
        ("hrm", ["--loops", 1], "the loop count of this model is not free"),
        ("mor-share", ["--exit-threshold", 0.5], "the model declares no exit rule"),
        ("hrm", ["--exit-threshold", 0.5], "the model declares no exit rule"),
        ("ouro", ["--exit-threshold", 1.01], "the exit threshold is 1.01, but the rule 'cumulative-hazard' takes 0 to"),
        ("ouro", ["--exit-threshold", -0.01], "the exit threshold is -0.01"),
        ("ouro", ["--exit-threshold", 1e300], "the exit threshold is 1e+300"),
        ("ouro", ["--exit-threshold", "inf"], "'inf' is not a finite number"),
        ("ouro", ["--exit-threshold", "nan"], "'nan' is not a finite number"),
        ("ouro", ["--exit-threshold", "1e999"], "'1e999' is not a finite number"),
        ("huginn", ["--exit-threshold", -1], "the exit threshold is -1"),
        ("ouro", ["--missing", "skip"], "'skip' is not one the model allows: copy_last, propagate, compute"),
        ("ouro", ["--missing", "somehow"], "'somehow' is not one the model allows"),
        ("ouro", ["--missing", ""], "is not one the model allows"),
        ("mor-share", ["--missing", "copy_last"], "'copy_last' is not one the model allows"),
        ("ouro", ["--prefix", 1], "the model has no prefix mask"),
        ("mor-share", ["--prefix", 1], "the model has no prefix mask"),
        ("hrm", ["--prefix", -1], "-1 is not from 0"),
        ("albert", [], "encode"),
    ],
)
@pytest.mark.parametrize("call", DECODER_CALLS)
def test_options_that_the_model_does_not_allow(
    lariat: Command, call: str, model: str, options: list[object], message: str
) -> None:
    # A value that starts with a minus needs the equals sign.
    written = [f"{options[0]}={options[1]}"] if options else []
    arguments = (*DECODER_CALLS[call], f"{model}.lariat", "--tokens", "in.json", *written)
    assert message in refused_over_old(lariat, *arguments, output="out")


@pytest.mark.parametrize("model", ["ouro", "hrm"])
def test_encoding_with_a_decoder(lariat: Command, model: str) -> None:
    refused_over_old(lariat, "encode", f"{model}.lariat", "--tokens", "in.json", output="out")


@pytest.mark.parametrize("new", [0, -1, 2**31, "x"])
def test_number_of_new_tokens(lariat: Command, new: object) -> None:
    arguments = ("generate", "ouro.lariat", "--tokens", "in.json", f"--max-new-tokens={new}")
    assert "--max-new-tokens" in refused_over_old(lariat, *arguments, output="out")


def write_states(path: Path, **states: Any) -> None:
    safetensors.numpy.save_file({name.replace("_", "."): value for name, value in states.items()}, path)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({"state_0": np.zeros((2, 191), np.float32)}, "has shape [2, 191], expected [2, 192]"),
        ({"state_0": np.zeros((3, 192), np.float32)}, "has shape [3, 192], expected [2, 192]"),
        ({"state_0": np.zeros((384,), np.float32)}, "has shape [384], expected [2, 192]"),
        ({"state_0": np.zeros((0, 192), np.float32)}, "has shape [0, 192], expected [2, 192]"),
        ({"state_0": np.zeros((2, 192), np.float64)}, "has type F64, expected F32"),
        ({"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}, "has no tensor 'state.0'"),
        ({}, "has no tensor 'state.0'"),
    ],
    ids=["columns", "rows", "rank", "no-rows", "dtype", "names", "empty"],
)
def test_initial_states(lariat: Command, states: dict[str, Any], message: str) -> None:
    write_states(lariat.folder / "state.safetensors", **states)
    arguments = ("score", "huginn.lariat", "--tokens", "in.json", "--initial-state", "state.safetensors")
    assert message in refused_over_old(lariat, *arguments, output="out")


@pytest.mark.parametrize("name", ["empty", "header-cut", "data-cut", "overlapping", "huge-shape", "deep"])
def test_damaged_initial_state(lariat: Command, name: str) -> None:
    (lariat.folder / "bad.safetensors").write_bytes(DAMAGES[name]((CHECKPOINT / "model.safetensors").read_bytes()))
    arguments = ("score", "huginn.lariat", "--tokens", "in.json", "--initial-state", "bad.safetensors")
    assert "bad.safetensors" in refused_over_old(lariat, *arguments, output="out")


def test_initial_state_that_is_none(lariat: Command) -> None:
    for path in ("absent", "huginn.lariat"):
        arguments = ("score", "huginn.lariat", "--tokens", "in.json", "--initial-state", path)
        assert path in refused(lariat, *arguments, output="out")
    write_states(lariat.folder / "state", state_0=np.zeros((2, 192), np.float32))
    arguments = ("score", "ouro.lariat", "--tokens", "in.json", "--initial-state", "state")
    assert "the model takes none" in refused(lariat, *arguments, output="out")


# --- IR -------------------------------------------------------------------------------------------------------------


def replaced(before: str, after: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert re.search(before, text), before
        return re.sub(before, after, text)

    return change


POLICY = r"policy\(#lariat\.own<[^>]*>\)"
KV_CACHE = r"(lariat\.cache @kv [^\n]*)"

BROKEN_IR: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "", ""),
    "bytes": (lambda text: "\0\1\2", ""),
    "prose": (lambda text: "once upon a time", ""),
    "cut": (lambda text: text[: len(text) // 2], "broken.mlir:"),
    "bytecode": (lambda text: "ML\xefR", ""),
    "unknown op": (replaced(r"lariat\.recur ", "lariat.recurse "), "broken.mlir:"),
    "unknown attribute": (replaced(r"#lariat\.own<", "#lariat.mine<"), "broken.mlir:"),
    "unknown weight": (replaced(r"@embed_tokens :", "@embedding :"), "embed_tokens"),
    "unknown cache": (replaced(r"lariat\.cache @kv ", "lariat.cache @vk "), "kv"),
    "no forward": (replaced("func.func @forward", "func.func @backward"), "forward"),
    "no model": (replaced(r"lariat\.model = #lariat\.model<[^>]*>, ", ""), "lariat.model"),
    "no loops": (replaced(r"lariat\.loops = #lariat\.loops<[^>]*>, ", ""), "lariat.loops"),
    "no weights": (replaced(r', lariat\.weights = "[^"]*"', ""), "--weights"),
    "weights elsewhere": (replaced(r'lariat\.weights = "[^"]*"', 'lariat.weights = "nowhere"'), "nowhere"),
    "no tensor": (replaced('"model.norm.weight"', '"model.morn.weight"'), "model.morn.weight"),
    "other shape": (replaced(r"@embed_tokens : tensor<320x192xf32>", "@embed_tokens : tensor<319x192xf32>"), ""),
    "no vocabulary": (replaced("vocab = 320", "vocab = 0"), ""),
    "other vocabulary": (replaced("vocab = 320", "vocab = 4000000000"), ""),
    "no context": (replaced("context = 512", "context = 0"), ""),
    "huge context": (replaced("context = 512", "context = 9223372036854775807"), ""),
    "negative eos": (replaced(r"eos = \[257\]", "eos = [-1]"), ""),
    "wrong loops": (replaced(r"default = 4, min = 1, max = 4", "default = 9, min = 1, max = 4"), ""),
    "no layers": (replaced(r"@kv layers\(4\)", "@kv layers(0)"), ""),
    "layer outside": (replaced(r"@kv layers\(4\)", "@kv layers(2)"), ""),
    "huge layers": (replaced(r"@kv layers\(4\)", "@kv layers(99999999999999999999)"), "broken.mlir:"),
    "odd heads": (replaced(r"heads\(6\) dim\(32\)", "heads(5) dim(32)"), ""),
    "ring": (replaced(POLICY, "policy(#lariat.ring<2>)"), "not built yet"),
    "last": (replaced(POLICY, "policy(#lariat.last)"), "not built yet"),
    "phased": (replaced(POLICY, "policy(#lariat.phased)"), "not built yet"),
    "input name": (replaced(r'lariat\.input = "ids"', 'lariat.input = "idols"'), ""),
    "output name": (replaced(r'lariat\.output = "logits"', 'lariat.output = "logins"'), ""),
    "no input name": (replaced(r' {lariat\.input = "ids"}', ""), ""),
    "twice": (lambda text: text + text, ""),
}


@pytest.mark.parametrize("name", BROKEN_IR)
def test_broken_ir(lariat: Command, name: str) -> None:
    change, message = BROKEN_IR[name]
    (lariat.folder / "broken.mlir").write_text(change((lariat.folder / "ouro.mlir").read_text()), encoding="latin-1")
    found = refused(lariat, "compile", "broken.mlir", output="out.lariat")
    assert message in found, found


@pytest.mark.parametrize("seed", range(16))
def test_randomly_broken_ir(lariat: Command, seed: int) -> None:
    """Words of one place put at another one: refused or compiled, and what is compiled runs or says why not."""
    choose = random.Random(seed)
    words = re.split(
        r"(\W+)", re.sub(r" loc\(.*?\)$|^#loc.*$", "", (lariat.folder / "ouro.mlir").read_text(), flags=re.M)
    )
    for _ in range(choose.choice((1, 2, 4))):
        words[choose.randrange(len(words))] = choose.choice(words)
    (lariat.folder / "broken.mlir").write_text("".join(words))
    status, _, errors = lariat.run("compile", "broken.mlir", "-o", "out.lariat")
    assert re.fullmatch(r"error: [^\n]+\n", errors) if status else not errors, errors
    assert "unexpectedly" not in errors and "internal error" not in errors, errors
    assert (lariat.folder / "out.lariat").exists() == (status == 0)
    if status == 0:
        status, _, errors = lariat.run("score", "out.lariat", "--tokens", "in.json", "-o", "out")
        assert re.fullmatch(r"error: [^\n]+\n", errors) if status else not errors, errors
        assert "unexpectedly" not in errors, errors


# --- outputs --------------------------------------------------------------------------------------------------------


def test_an_artefact_is_replaced_only_by_force(lariat: Command, artefact: Path) -> None:
    before = content(artefact)
    for source in (MODELS / "ouro", "ouro.mlir"):
        assert "--force" in lariat.fails("compile", source, "-o", "damaged.lariat")
        assert content(artefact) == before
    lariat.ok("compile", "ouro.mlir", "-o", "damaged.lariat", "--force")
    assert json.loads((artefact / "manifest.json").read_text())["model"]["family"] == "ouro"


def test_force_replaces_only_artefacts(lariat: Command) -> None:
    (lariat.folder / "folder").mkdir()
    (lariat.folder / "folder" / "precious.txt").write_text("precious")
    (lariat.folder / "file").write_text("precious")
    for output in ("folder", "file"):
        before = content(lariat.folder / output)
        lariat.fails("compile", "ouro.mlir", "-o", output)
        lariat.fails("compile", "ouro.mlir", "-o", output, "--force")
        assert content(lariat.folder / output) == before


@pytest.mark.parametrize("output", ["absent/out", "in.json/out", "folder", "folder/", "/dev/null/out", "x" * 300])
def test_outputs_that_cannot_be_written(lariat: Command, output: str) -> None:
    (lariat.folder / "folder").mkdir()
    (lariat.folder / "folder" / "precious.txt").write_text("precious")
    before = content(lariat.folder)
    lariat.fails("score", "ouro.lariat", "--tokens", "in.json", "-o", output)
    lariat.fails("generate", "ouro.lariat", "--tokens", "in.json", "--max-new-tokens", 1, "-o", output)
    lariat.fails("encode", "albert.lariat", "--tokens", "in.json", "-o", output)
    lariat.fails("import", MODELS / "ouro", "-o", output)
    lariat.fails("compile", "ouro.mlir", "-o", output)
    assert content(lariat.folder) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission(lariat: Command) -> None:
    (lariat.folder / "closed").mkdir(mode=0o500)
    lariat.fails("score", "ouro.lariat", "--tokens", "in.json", "-o", "closed/out")
    lariat.fails("compile", "ouro.mlir", "-o", "closed/out.lariat")


def test_a_full_disk(lariat: Command) -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full")
    lariat.fails("score", "ouro.lariat", "--tokens", "in.json", "-o", "/dev/full/out")
