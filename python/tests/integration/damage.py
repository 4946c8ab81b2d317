# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Malformed input and what has to become of it: one line `error: ...`, and the output path as it was."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.checkpoints import MODELS
from tests.command import Command

# Smallest of the fixtures, for what has to be copied and damaged.
CHECKPOINT = MODELS / "mor-share"

Edit = Callable[[bytes], bytes]


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
