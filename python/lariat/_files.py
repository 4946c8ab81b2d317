# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files read and written: of artefacts, token lists in, results out. Nothing half-written is left at an output path."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lariat.errors import ArtefactError, RuntimeFault

__all__ = ["LARGEST_ID", "read_bytes", "read_json", "read_text", "read_tokens", "reason", "replacing"]

# Token ids are int32 in the compiled functions.
LARGEST_ID = 2**31 - 1


def reason(failure: OSError) -> str:
    """`No such file or directory`, without the number and the path."""
    return failure.strerror or str(failure)


def read_text(path: Path) -> str:
    """Text of a file, without a byte order mark.

    Raises:
        ArtefactError: if it cannot be read or is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode()
    except UnicodeDecodeError as failure:
        raise ArtefactError(f"{path}: byte {failure.start} is not UTF-8") from None


def read_bytes(path: Path) -> bytes:
    """A file, without a byte order mark.

    Raises:
        ArtefactError: if it cannot be read.
    """
    try:
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as failure:
        raise ArtefactError(f"cannot read {path}: {reason(failure)}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The object of a file; an empty one where there is no file.

    Raises:
        ArtefactError: if it cannot be read or is not an object.
    """
    if not path.is_file():
        return {}
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise ArtefactError(f"{path}: not JSON") from None
    if not isinstance(data, dict):
        raise ArtefactError(f"{path}: expected an object, found {type(data).__name__}")
    return data


@contextlib.contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A temporary path beside `output` that takes its place when the block succeeds and vanishes when it fails.

    Raises:
        RuntimeFault: if `output` is a folder or its folder cannot be written.
    """
    if output.is_dir():
        raise RuntimeFault(f"cannot write {output}: it is a folder")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", suffix=".tmp", dir=output.parent)
        os.close(handle)
    except OSError as failure:
        raise RuntimeFault(f"cannot write {output}: {reason(failure)}") from None
    temporary = Path(name)
    try:
        yield temporary
        # A temporary file is private; a result has the permissions any new file gets.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(output)
    except OSError as failure:
        raise RuntimeFault(f"cannot write {output}: {reason(failure)}") from None
    finally:
        temporary.unlink(missing_ok=True)


def read_tokens(path: Path) -> list[list[int]]:
    """Token ids of a JSON file: a list of sequences, each a list of ids.

    Raises:
        RuntimeFault: if the file cannot be read or holds anything else; the message names the place.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as failure:
        raise RuntimeFault(f"cannot read {path}: {reason(failure)}") from None
    except UnicodeDecodeError as failure:
        raise RuntimeFault(f"{path}: byte {failure.start} is not UTF-8") from None
    except json.JSONDecodeError as failure:
        raise RuntimeFault(f"{path}:{failure.lineno}:{failure.colno}: not JSON: {failure.msg.lower()}") from None
    except (ValueError, RecursionError):
        raise RuntimeFault(f"{path}: not JSON this program reads: a number or a nesting is too large") from None
    if not isinstance(data, list):
        raise RuntimeFault(f"{path}: expected a list of lists of token ids, found {_kind(data)}")
    for number, sequence in enumerate(data):
        if not isinstance(sequence, list):
            raise RuntimeFault(f"{path}: sequence {number} is {_kind(sequence)}, expected a list of token ids")
        for position, token in enumerate(sequence):
            place = f"{path}: sequence {number}, position {position}"
            if isinstance(token, bool) or not isinstance(token, int):
                raise RuntimeFault(f"{place} is {_kind(token)}, expected a token id")
            if not 0 <= token <= LARGEST_ID:
                raise RuntimeFault(f"{place} is {token}, expected a token id from 0 to {LARGEST_ID}")
    return data


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    names = {dict: "an object", list: "a list", str: "a string", float: "a fraction", int: "a number"}
    return "null" if value is None else names[type(value)]
