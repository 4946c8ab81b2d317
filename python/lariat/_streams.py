# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Standard input, output and error of the command, whatever state and encoding it is started with.

Text that comes in is UTF-8, whatever the locale says; what the encoding of an output lacks is written as a question
mark.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from typing import NoReturn

from lariat.errors import LariatError, RuntimeFault

__all__ = ["ClosedStream", "open_streams", "read_line", "read_text", "settle_streams", "text_argument"]

# A longer line is no message of a conversation.
LONGEST_LINE = 16 * 2**20

BYTE_ORDER_MARK = "\ufeff"


class ClosedStream(LariatError):
    """A stream that is needed was closed before the command started."""


class _Closed(io.TextIOBase):
    """Stands for a stream that was closed: an error where it is used."""

    def __init__(self, descriptor: int, name: str, remedy: str) -> None:
        self._descriptor = descriptor
        self._message = f"{name} is closed: {remedy}"

    @property
    def buffer(self) -> _Closed:
        return self

    def fileno(self) -> int:
        return self._descriptor

    def read(self, size: int | None = -1) -> NoReturn:
        raise ClosedStream(self._message)

    def readline(self, size: int | None = -1) -> NoReturn:
        raise ClosedStream(self._message)

    def write(self, text: str) -> NoReturn:
        raise ClosedStream(self._message)


def open_streams() -> None:
    """Make the three streams usable."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file that is opened would be standard output, here or in a process that is started.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Python leaves out a stream that is closed.
    if sys.stdin is None:
        sys.stdin = _Closed(0, "standard input", "there is no text to read")
    if sys.stdout is None:
        sys.stdout = _Closed(1, "standard output", "there is nowhere to write to")
    if sys.stderr is None:
        # Messages are lost, as the caller wants it.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def settle_streams() -> None:
    """Write out what is left, and drop what cannot be: Python would complain about it when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def text_argument(text: str) -> str:
    """Type of arguments that are text: UTF-8, whatever encoding the locale has for names of files."""
    with contextlib.suppress(UnicodeEncodeError):  # a caller of `main` that has no bytes
        try:
            return os.fsencode(text).decode()
        except UnicodeDecodeError as failure:
            raise argparse.ArgumentTypeError(f"the text {_not_utf8(failure)}") from None
    return text


def read_text() -> str:
    """All of standard input, with line breaks as `\\n` and without a byte order mark.

    Raises:
        RuntimeFault: if it is not UTF-8.
        ClosedStream: if it was closed.
    """
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as failure:
        raise RuntimeFault(f"standard input {_not_utf8(failure)}") from None
    return text.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n").replace("\r", "\n")


def read_line() -> str | None:
    """The next line of standard input without its end; none when there is no more.

    Raises:
        RuntimeFault: if it is not text. The line after it is the next.
        ClosedStream: if standard input was closed.
    """
    data = sys.stdin.buffer.readline(LONGEST_LINE)
    if not data:
        return None
    if len(data) == LONGEST_LINE and not data.endswith(b"\n"):
        while (more := sys.stdin.buffer.readline(LONGEST_LINE)) and not more.endswith(b"\n"):
            pass
        raise RuntimeFault(f"the line is longer than {LONGEST_LINE:,} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as failure:
        raise RuntimeFault(f"the line {_not_utf8(failure)}") from None
    if "\0" in text:
        raise RuntimeFault(f"the line is no text: byte {data.index(0)} is 0x00")
    return text.rstrip("\r\n").removeprefix(BYTE_ORDER_MARK)


def _not_utf8(failure: UnicodeDecodeError) -> str:
    return f"is not UTF-8: byte {failure.start} is 0x{failure.object[failure.start]:02X}"
