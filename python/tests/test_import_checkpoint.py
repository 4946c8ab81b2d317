# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reading of safetensors headers, shards and indices: what is damaged is refused with its reason."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lariat._checkpoint import read_checkpoint, read_header
from lariat.errors import CheckpointError, LariatError
from lariat.importer import import_checkpoint
from tests.checkpoints import MODELS, SMALL_LLAMA, header, llama_values, write, write_file

ENTRY: dict[str, Any] = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def entries(**more: Any) -> dict[str, Any]:
    return {"a": {**ENTRY, **more}}


def other(begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("content", "num_data_bytes", "message"),
    [
        (entries(), 15, "is truncated: its tensors take 16 bytes, but 15 are there"),
        (entries(), 17, "has 1 bytes after its last tensor"),
        ({**entries(), "b": other(8, 24)}, 24, "tensor 'b' of .* overlaps tensor 'a'"),
        ({**entries(), "b": other(24, 32)}, 32, "has a hole of 8 bytes before tensor 'b'"),
        (entries(shape=[2, 3]), 16, "tensor 'a' of .* spans 16 bytes, but F32 of shape .2, 3. takes 24"),
        (entries(shape=[2**62, 2**62]), 16, "spans 16 bytes"),
        (entries(shape=[-2, -2]), 16, "expected a list of sizes"),
        (entries(shape="x"), 16, "expected a list of sizes"),
        (entries(shape=[True, 4]), 16, "expected a list of sizes"),
        (entries(dtype="F33"), 16, 'tensor .a. of .* has the unknown dtype "F33"'),
        (entries(dtype=[]), 16, "unknown dtype"),
        (entries(data_offsets=[16, 0]), 16, "spans -16 bytes"),
        (entries(data_offsets=[0]), 16, "expected two"),
        ({"a": {"dtype": "F32", "shape": [2, 2]}}, 0, "is not described by dtype, shape and data_offsets"),
        ({"a": 3}, 0, "is not described by"),
        ({"__metadata__": {"format": 3}}, 0, "does not map strings to strings"),
    ],
)
def test_damaged_entries(tmp_path: Path, content: object, num_data_bytes: int, message: str) -> None:
    write_file(tmp_path / "model.safetensors", content, num_data_bytes)
    with pytest.raises(CheckpointError, match=message):
        read_header(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes"),
        (b"\x10\0\0", "has 3 bytes"),
        (struct.pack("<Q", 20) + b"{}", "is truncated: its header has 20 bytes, but 2 follow"),
        (struct.pack("<Q", 2**63) + b"{}", "has a header of 9223372036854775808 bytes, expected at most"),
        (struct.pack("<Q", 2) + b"[]", "is not a safetensors file"),
        (struct.pack("<Q", 2) + b"{x", "is not JSON at line 1, column 2"),
        (struct.pack("<Q", 3) + b"{\xff}", "is not UTF-8 at byte 1"),
        (struct.pack("<Q", 13) + b'{"a":1,"a":2}', "has the key 'a' twice"),
        (struct.pack("<Q", 200005) + b'{"a":' + b"[" * 200000, "is nested too deeply|is not JSON"),
    ],
)
def test_damaged_headers(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_header(path)


@given(position=st.integers(0, 3000), byte=st.integers(0, 255))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_changed_byte_never_escapes_as_another_error(tmp_path: Path, position: int, byte: int) -> None:
    path = tmp_path / "model.safetensors"
    write_file(path, *header(SMALL_LLAMA))
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(bytes(content))
    try:
        read_header(path)
    except CheckpointError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "model.pt", "model.pth"])
def test_pickles_are_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(llama_values()))
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(CheckpointError, match=f"{name} is a pickle.*convert it to model.safetensors"):
        import_checkpoint(tmp_path)


def test_no_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has neither model.safetensors nor model.safetensors.index.json"):
        read_checkpoint(tmp_path)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(LariatError, match="cannot read .*config.json"):
        import_checkpoint(tmp_path / "absent")


def sharded(directory: Path) -> dict[str, str]:
    """A Llama in two shards; the weight map."""
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(llama_values()))
    names = list(SMALL_LLAMA)
    weight_map: dict[str, str] = {}
    for index, part in enumerate((names[:7], names[7:])):
        file = f"model-0000{index + 1}-of-00002.safetensors"
        write_file(directory / file, *header({name: SMALL_LLAMA[name] for name in part}))
        weight_map |= dict.fromkeys(part, file)
    write_index(directory, weight_map)
    return weight_map


def write_index(directory: Path, weight_map: object) -> None:
    content = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(content))


def test_shards_import_as_one_file(tmp_path: Path) -> None:
    sharded(tmp_path / "model")
    text = import_checkpoint(tmp_path / "model")
    for file in (tmp_path / "model").glob("model*"):
        file.unlink()
    write(tmp_path / "model", llama_values(), SMALL_LLAMA)
    assert import_checkpoint(tmp_path / "model") == text


def test_missing_shard(tmp_path: Path) -> None:
    sharded(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="shard model-00002-of-00002.safetensors is missing, but .* puts tensor"):
        import_checkpoint(tmp_path)


def test_tensor_absent_from_its_shard(tmp_path: Path) -> None:
    weight_map = sharded(tmp_path)
    write_index(tmp_path, {**weight_map, "extra": "model-00001-of-00002.safetensors"})
    with pytest.raises(CheckpointError, match="shard model-00001.* has no tensor 'extra', but .* puts it there"):
        import_checkpoint(tmp_path)


def test_tensor_absent_from_the_index(tmp_path: Path) -> None:
    weight_map = sharded(tmp_path)
    del weight_map["model.norm.weight"]
    write_index(tmp_path, weight_map)
    with pytest.raises(CheckpointError, match="has tensor 'model.norm.weight', but .* does not put it there"):
        import_checkpoint(tmp_path)


@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/passwd", "model.bin", 3])
def test_index_names_other_files(tmp_path: Path, file: object) -> None:
    sharded(tmp_path)
    write_index(tmp_path, {"model.norm.weight": file})
    with pytest.raises(CheckpointError, match="expected a safetensors file beside it"):
        import_checkpoint(tmp_path)


@pytest.mark.parametrize("weight_map", [None, [], "x"])
def test_index_without_a_map(tmp_path: Path, weight_map: object) -> None:
    sharded(tmp_path)
    write_index(tmp_path, weight_map)
    with pytest.raises(CheckpointError, match="as 'weight_map', expected an object"):
        import_checkpoint(tmp_path)


def test_fixture_headers_are_read() -> None:
    assert len(read_checkpoint(MODELS / "ouro").tensors) == 4 * 11 + 5
