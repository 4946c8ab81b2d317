# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names, types and shapes of the tensors of a checkpoint directory, from the headers of its safetensors files.

A header that does not describe its file exactly is refused: the format allows neither holes nor overlaps. Pickles are
refused by name, whether or not they would load.
"""

from __future__ import annotations

import codecs
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lariat.errors import CheckpointError

__all__ = ["Checkpoint", "StoredTensor", "describe_adapter", "parse_json", "read_checkpoint"]

_MAX_HEADER_BYTES = 100_000_000
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.bin", "*.ckpt", "*.pkl")
_LFS = b"version https://git-lfs"
_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4,
         "F6_E2M3": 6, "F6_E3M2": 6, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16,
         "U8": 8, "BOOL": 8, "C64": 64}  # fmt: skip


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a checkpoint: its name and file, and its bytes there."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str
    begin: int
    end: int


@dataclass(frozen=True)
class Checkpoint:
    """All tensors of a directory by name, which may be another one than that under which they are stored."""

    directory: Path
    tensors: Mapping[str, StoredTensor]


def parse_json(text: bytes, where: str, error: type[Exception]) -> dict[str, Any]:
    """A JSON object with distinct keys, or an error that names the file."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise error(f"{where} has the key '{key}' twice")
            result[key] = value
        return result

    if text.startswith(_LFS):
        raise error(pointer_message(where))
    try:
        value = json.loads(text.removeprefix(codecs.BOM_UTF8).decode("utf-8"), object_pairs_hook=distinct)
    except UnicodeDecodeError as failure:
        raise error(f"{where} is not UTF-8 at byte {failure.start}") from None
    except json.JSONDecodeError as failure:
        raise error(f"{where} is not JSON at line {failure.lineno}, column {failure.colno}") from None
    except RecursionError:
        raise error(f"{where} is nested too deeply") from None
    except ValueError as failure:
        raise error(f"{where} holds a number that cannot be read: {str(failure).splitlines()[0]}") from None
    if not isinstance(value, dict):
        raise error(f"{where} holds {json_kind(value)}, expected an object")
    return value


def pointer_message(where: str) -> str:
    """What is wrong with a file that git-lfs has not filled in."""
    return f"{where} is a git-lfs pointer, not the file itself: 'git lfs pull' in the checkpoint's clone fetches it"


def describe_adapter(directory: Path) -> str:
    """What to do with a directory that has an adapter only; empty where it has none."""
    config = directory / "adapter_config.json"
    if not config.is_file():
        return ""
    try:
        base = parse_json(_read_small(config), config.name, CheckpointError).get("base_model_name_or_path")
    except CheckpointError:
        base = None
    of = f" of '{base}'" if isinstance(base, str) and base else ""
    return (
        f"{directory} holds an adapter{of} and no model: merge it into its base model and save that, "
        f"with peft by merge_and_unload() and save_pretrained()"
    )


def json_kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "a list"}
    return kinds.get(type(value), "an object")


def read_checkpoint(directory: Path) -> Checkpoint:
    """The tensors of model.safetensors, or of the shards that model.safetensors.index.json names.

    Raises:
        CheckpointError: if files are missing, damaged or pickles.
    """
    index = directory / "model.safetensors.index.json"
    single = directory / "model.safetensors"
    if single.is_file():
        return Checkpoint(directory, read_header(single))
    if index.is_file():
        return Checkpoint(directory, _read_shards(directory, index))
    for pattern in _PICKLES:
        for pickle in sorted(directory.glob(pattern)):
            raise CheckpointError(
                f"{pickle.name} is a pickle, which can run code when it is read: convert it to model.safetensors, "
                f"with transformers by from_pretrained('{directory}') and save_pretrained(), where you trust the file"
            )
    adapter = describe_adapter(directory)
    if adapter:
        raise CheckpointError(adapter)
    raise CheckpointError(f"{directory} has neither model.safetensors nor model.safetensors.index.json")


def _read_shards(directory: Path, index: Path) -> dict[str, StoredTensor]:
    parsed = parse_json(_read_small(index), index.name, CheckpointError)
    weight_map = parsed.get("weight_map")
    if not isinstance(weight_map, dict):
        raise CheckpointError(f"{index.name} has {json_kind(weight_map)} as 'weight_map', expected an object")
    for name, file in weight_map.items():
        if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
            raise CheckpointError(
                f"{index.name} puts tensor '{name}' in {json.dumps(file)}, expected a safetensors file beside it"
            )
    _check_presence(directory, index.name, weight_map)
    shards = {file: read_header(directory / file) for file in dict.fromkeys(weight_map.values())}
    result = {}
    for name, file in weight_map.items():
        if name not in shards[file]:
            raise CheckpointError(f"shard {file} has no tensor '{name}', but {index.name} puts it there")
        result[name] = shards[file][name]
    for file, tensors in shards.items():
        for name in tensors:
            if weight_map.get(name) != file:
                raise CheckpointError(f"shard {file} has tensor '{name}', but {index.name} does not put it there")
    return result


def _check_presence(directory: Path, index: str, weight_map: Mapping[str, str]) -> None:
    missing = sorted({file for file in weight_map.values() if not (directory / file).is_file()})
    if len(missing) == 1:
        name = next(name for name, file in weight_map.items() if file == missing[0])
        raise CheckpointError(f"shard {missing[0]} is missing, but {index} puts tensor '{name}' in it")
    if missing:
        count = len(set(weight_map.values()))
        raise CheckpointError(f"{len(missing)} of the {count} shards of {index} are missing: {', '.join(missing)}")


def _read_small(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_HEADER_BYTES:
            raise CheckpointError(f"{path.name} has {path.stat().st_size} bytes, expected at most {_MAX_HEADER_BYTES}")
        return path.read_bytes()
    except OSError as failure:
        raise CheckpointError(f"cannot read {path}: {failure.strerror}") from None


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Dtype and shape of each tensor of one safetensors file."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header = _header_bytes(file, size, path.name)
    except OSError as failure:
        raise CheckpointError(f"cannot read {path}: {failure.strerror}") from None
    entries = parse_json(header, f"the header of {path.name}", CheckpointError)
    _check_metadata(entries.pop("__metadata__", None), path.name)
    num_data_bytes = size - 8 - len(header)
    tensors, spans = {}, []
    for name, entry in entries.items():
        tensors[name] = tensor = _read_entry(name, entry, path.name, 8 + len(header))
        spans.append((tensor.begin - 8 - len(header), tensor.end - 8 - len(header), name))
    _check_spans(sorted(spans), num_data_bytes, path.name)
    return tensors


def _header_bytes(file: BinaryIO, size: int, name: str) -> bytes:
    if file.read(len(_LFS)) == _LFS:
        raise CheckpointError(pointer_message(name))
    file.seek(0)
    if size < 8:
        raise CheckpointError(f"{name} has {size} bytes, expected at least the 8 of a safetensors header")
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _MAX_HEADER_BYTES:
        raise CheckpointError(f"{name} has a header of {length} bytes, expected at most {_MAX_HEADER_BYTES}")
    if length > size - 8:
        raise CheckpointError(f"{name} is truncated: its header has {length} bytes, but {size - 8} follow")
    header = file.read(length)
    if len(header) != length:
        raise CheckpointError(f"{name} is truncated: its header has {length} bytes, but {len(header)} follow")
    if not header.startswith(b"{"):
        raise CheckpointError(f"{name} is not a safetensors file: its header does not start with '{{'")
    return header


def _check_metadata(metadata: object, file: str) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{file} has a '__metadata__' that does not map strings to strings")


def _read_entry(name: str, entry: object, file: str, start: int) -> StoredTensor:
    """A tensor whose offsets count from byte `start` of the file."""
    where = f"tensor '{name}' of {file}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{where} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise CheckpointError(f"{where} has the unknown dtype {json.dumps(dtype)}")
    if not _are_sizes(shape):
        raise CheckpointError(f"{where} has shape {json.dumps(shape)[:80]}, expected a list of sizes")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{where} has data_offsets {json.dumps(offsets)[:80]}, expected two")
    begin, end = offsets
    num_bits = math.prod(shape) * _BITS[dtype]
    if num_bits % 8 != 0 or end - begin != num_bits // 8:
        raise CheckpointError(
            f"{where} spans {end - begin} bytes, but {dtype} of shape {tuple(shape)} takes {num_bits / 8:g}"
        )
    return StoredTensor(name, dtype, tuple(shape), file, start + begin, start + end)


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(size) is int and 0 <= size < 2**63 for size in value)


def _check_spans(spans: list[tuple[int, int, str]], num_data_bytes: int, file: str) -> None:
    """Tensors lie side by side and fill the file."""
    end, before = 0, ""
    for begin, stop, name in spans:
        if begin < end:
            raise CheckpointError(f"tensor '{name}' of {file} overlaps tensor '{before}'")
        if begin > end:
            raise CheckpointError(f"{file} has a hole of {begin - end} bytes before tensor '{name}'")
        end, before = stop, name
    if end > num_data_bytes:
        raise CheckpointError(f"{file} is truncated: its tensors take {end} bytes, but {num_data_bytes} are there")
    if end < num_data_bytes:
        raise CheckpointError(f"{file} has {num_data_bytes - end} bytes after its last tensor")
