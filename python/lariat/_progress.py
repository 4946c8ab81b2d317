# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How far `lariat-compile` is: its lines of JSON as values, and what `lariat compile` shows of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TextIO

__all__ = ["CompileProgress", "ProgressPipe", "ProgressPrinter", "listening", "progress_on"]


@dataclass(frozen=True)
class CompileProgress:
    """A report of a compilation.

    Attributes:
        stage: `read`, `kernels`, `code`, `weights` or `checksums`, in this order.
        done, total: bytes of `weights`, targets of `code`; zero for stages without parts.
        seconds: since the stage began.
        seconds_left: of the stage, from its speed so far; none before there is one.
    """

    stage: str
    done: int
    total: int
    seconds: float
    seconds_left: float | None


@dataclass(frozen=True)
class ProgressPipe:
    """What a command needs to report: arguments, and file descriptors that it inherits."""

    arguments: Sequence[str] = ()
    descriptors: Sequence[int] = ()


@contextlib.contextmanager
def listening(report: Callable[[CompileProgress], None] | None) -> Iterator[ProgressPipe]:
    """While a command runs in the block, hands its reports to `report`, on a thread of its own.

    What `report` raises ends the reports, not the command, and is raised again when the block ends.
    """
    if report is None:
        yield ProgressPipe()
        return
    read, write = os.pipe()
    failures: list[BaseException] = []

    def listen() -> None:
        with open(read, encoding="utf-8", errors="replace") as lines:
            try:
                _follow(lines, report)
            except BaseException as failure:  # of the caller's function, for the caller's thread
                failures.append(failure)
            for _ in lines:  # a full pipe would stop the command
                pass

    thread = threading.Thread(target=listen, name="lariat-progress", daemon=True)
    thread.start()
    try:
        yield ProgressPipe(("--progress-fd", str(write)), (write,))
    finally:
        os.close(write)
        thread.join()
    if failures:
        raise failures[0]


def _follow(lines: IO[str], report: Callable[[CompileProgress], None]) -> None:
    stage, begin = "", 0.0
    for line in lines:
        try:
            data = json.loads(line)
            name, done, total = str(data["stage"]), int(data["done"]), int(data["total"])
        except (ValueError, KeyError, TypeError):
            continue  # cut off where the command was killed
        now = time.monotonic()
        if name != stage:
            stage, begin = name, now
        seconds = now - begin
        left = seconds * (total - done) / done if 0 < done <= total else None
        report(CompileProgress(stage, done, total, seconds, left))


class ProgressPrinter:
    """Shows reports on a stream: one line of a terminal that is written over, or a plain line now and then."""

    _NAMES = {
        "read": "reading the model", "kernels": "forming kernels", "code": "generating code",
        "weights": "packing weights", "checksums": "writing checksums",
    }  # fmt: skip
    _SECONDS = 5.0  # between plain lines of a stage

    def __init__(self, stream: TextIO, *, plain: bool) -> None:
        self._stream, self._plain = stream, plain
        self._stage, self._next = "", 0.0

    def __call__(self, progress: CompileProgress) -> None:
        text = self._describe(progress)
        if self._plain:
            now = time.monotonic()
            if progress.stage != self._stage or now >= self._next:
                self._stage, self._next = progress.stage, now + self._SECONDS
                self._write(f"{text}\n")
            return
        width = shutil.get_terminal_size().columns - 1
        self._write(f"\r\x1b[K{text[: max(width, 0)]}")

    def close(self) -> None:
        """Leave the terminal's line empty."""
        if not self._plain:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a closed stream is no reason not to compile
            self._stream.write(text)
            self._stream.flush()

    def _describe(self, progress: CompileProgress) -> str:
        text = self._NAMES.get(progress.stage, progress.stage)
        if progress.total <= 0:
            return text
        if progress.stage != "weights":
            return f"{text}, {progress.done} of {progress.total}"
        share = 100 * progress.done // progress.total
        text += f", {progress.done / 1e9:.2f} of {progress.total / 1e9:.2f} GB ({share} %)"
        if progress.seconds_left is None or progress.seconds < 1:
            return text
        return f"{text}, {_duration(progress.seconds_left)} left"


def progress_on(stream: TextIO, choice: str) -> ProgressPrinter | None:
    """The printer for `auto`, which asks for a terminal that can write over a line, `lines` or `never`."""
    if choice == "lines":
        return ProgressPrinter(stream, plain=True)
    on_terminal = choice == "auto" and stream.isatty() and os.environ.get("TERM") != "dumb"
    return ProgressPrinter(stream, plain=False) if on_terminal else None


def _duration(seconds: float) -> str:
    """`8 s` or `3 min 20 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
