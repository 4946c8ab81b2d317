# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Damaged checkpoints and artefacts through the real command, so that a sanitised build sees what reaches it."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lariat.errors import LariatError
from lariat.importer import import_checkpoint
from tests.checkpoints import FIXTURES, MODELS, fixture, write
from tests.command import Command
from tests.integration.damage import CHECKPOINT, DAMAGES, Edit, content, header_of, refused, refused_over_old
from tests.test_import_config import STRANGE

# --- checkpoints ----------------------------------------------------------------------------------------------------


def damaged_checkpoint(folder: Path, edit: Edit) -> Path:
    folder.mkdir()
    shutil.copy(CHECKPOINT / "config.json", folder)
    shutil.copy(CHECKPOINT / "tokenizer.json", folder)
    (folder / "model.safetensors").write_bytes(edit((CHECKPOINT / "model.safetensors").read_bytes()))
    return folder


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_weights_are_not_compiled(lariat: Command, name: str) -> None:
    checkpoint = damaged_checkpoint(lariat.folder / "checkpoint", DAMAGES[name])
    message = refused(lariat, "compile", checkpoint, output="out.lariat")
    assert "model.safetensors" in message or "tensor '" in message, message
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
        ("format_version", "2"),
        ("format_version", 0),
        ("format_version", 1),
        ("format_version", 3),
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
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format_version": 2}', b'{"a": 1' + b"0" * 9999],
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


# --- configs --------------------------------------------------------------------------------------------------------


def accepted_configs(folder: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Strange values that the importer takes, one key at a time, each IR once."""
    values, shapes = fixture(name)
    known = {import_checkpoint(write(folder, values, shapes))}
    for key in values:
        for value in STRANGE:
            changed = {**values, key: value}
            try:
                text = import_checkpoint(write(folder, changed, shapes))
            except LariatError:
                continue
            if text not in known:
                known.add(text)
                yield f"{key} = {value!r}", changed


@pytest.mark.long
@pytest.mark.parametrize("name", FIXTURES)
def test_configs_that_are_imported_run(lariat: Command, name: str) -> None:
    checkpoint = lariat.folder / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "model.safetensors").symlink_to(MODELS / name / "model.safetensors")
    call = "encode" if name == "albert" else "score"
    cases = list(accepted_configs(lariat.folder / "headers", name))
    assert cases
    for case, values in cases:
        (checkpoint / "config.json").write_text(json.dumps(values))
        for arguments in (
            ("compile", checkpoint, "-o", "out.lariat", "--force"),
            (call, "out.lariat", "--tokens", "in.json", "-o", "out"),
        ):
            assert lariat.run(*arguments)[::2] == (0, ""), case
