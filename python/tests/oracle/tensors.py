# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""safetensors files read and written with numpy only (bf16 included)."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .pieces import Array

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("bool"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def to_bf16(array: Array) -> Array:
    """uint16 bit patterns of bf16, rounded to nearest even; finite input only."""
    bits = np.ascontiguousarray(array, dtype="<f4").view("<u4").astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return rounded.astype("<u2")


def from_bf16(bits: Array) -> Array:
    return (bits.astype("<u4") << 16).view("<f4")


def read_tensors(path: str | Path) -> dict[str, Array]:
    """Tensors by name; bf16 comes back as the float32 of the same value."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    tensors: dict[str, Array] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        is_bf16 = entry["dtype"] == "BF16"
        dtype: np.dtype[Any] = np.dtype("<u2") if is_bf16 else _DTYPES[entry["dtype"]]
        flat = np.frombuffer(body[begin:end], dtype)
        tensors[name] = (from_bf16(flat) if is_bf16 else flat).reshape(entry["shape"])
    return tensors


def write_tensors(path: str | Path, tensors: Mapping[str, Array], *, bf16: bool = False) -> None:
    """Writes in name order. bf16: floating tensors are stored as bf16."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    parts: list[bytes] = []
    offset = 0
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        as_bf16 = bf16 and array.dtype.kind == "f"
        raw = (to_bf16(array) if as_bf16 else array).tobytes()
        header[name] = {
            "dtype": "BF16" if as_bf16 else _NAMES[array.dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [offset, offset + len(raw)],
        }
        parts.append(raw)
        offset += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
