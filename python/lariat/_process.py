# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiled tools as programs: where they are, how one is run, and the conversation with `lariat-reference`.

`lariat-reference` reads one JSON request a line and answers with JSON lines: any number of events, then one object with
"ok" or "error". It ends when its input is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from lariat.errors import ArtefactError, Diagnostic, LariatError, RuntimeFault

__all__ = ["Json", "ReferenceProcess", "Ran", "find_tool", "read_diagnostics", "run_tool", "status_text"]

# What json.loads gives for an object.
Json = dict[str, object]

# How long a process may take to end once its input is closed.
CLOSING_SECONDS = 5.0


class Ran(NamedTuple):
    """A tool that ran: its status and what it wrote."""

    status: int
    output: str
    messages: str


def find_tool(name: str) -> Path:
    """Path of a compiled tool: in LARIAT_BIN_DIR, which the launcher sets, else in this checkout's release build.

    Raises:
        RuntimeFault: if it is not there.
    """
    default = Path(__file__).resolve().parents[2] / "build" / "release" / "bin"
    path = Path(os.environ.get("LARIAT_BIN_DIR") or default) / name
    if not os.access(path, os.X_OK):
        raise RuntimeFault(f"cannot run {path}: it is not there, scripts/setup.sh builds it")
    return path


def status_text(status: int) -> str:
    """`3`, or `-11, SIGSEGV` for a program that a signal ended."""
    if status >= 0:
        return str(status)
    with contextlib.suppress(ValueError):
        return f"{status}, {signal.Signals(-status).name}"
    return str(status)


def read_diagnostics(text: str) -> list[Diagnostic]:
    """Errors and warnings of a tool's standard error: `[PLACE:] error: MESSAGE`, each with the notes that follow it."""
    found: list[Diagnostic] = []
    for line in text.splitlines():
        for severity in ("error", "warning", "note"):
            place, mark, message = line.partition(f"{severity}: ")
            if not mark or (place and not place.endswith(": ")):
                continue
            if severity == "note" and found:
                last = found[-1]
                found[-1] = Diagnostic(
                    last.severity, last.message, last.file, last.line, last.column, (*last.notes, message)
                )
            elif severity != "note":
                found.append(Diagnostic(severity, message, *_read_place(place.removesuffix(": "))))
            break
    return found


def _read_place(place: str) -> tuple[str, int, int]:
    """File, line and column of `FILE:3:14` or `loc("FILE":3:14)`."""
    found = re.fullmatch(r'(?:loc\(")?(.*?)"?:(\d+):(\d+)\)?', place)
    return (found[1], int(found[2]), int(found[3])) if found else (place, 0, 0)


def tool_environment() -> dict[str, str]:
    """The environment of a tool that is to end with this process, however this process ends."""
    return {**os.environ, "LARIAT_PARENT": str(os.getpid())}


def run_tool(
    command: Sequence[str | Path],
    *,
    text: str | None = None,
    stdout: int | None = subprocess.PIPE,
    descriptors: Sequence[int] = (),
) -> Ran:
    """Run a tool to its end. Where this is interrupted the tool is told to end, and removes what it had begun to write.

    Args:
        text: for its standard input.
        stdout: as of `subprocess.Popen`.
        descriptors: of files that it inherits.

    Raises:
        OSError: if it cannot be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=tool_environment(),
        pass_fds=descriptors,
    )
    try:
        output, messages = process.communicate(None if text is None else text.encode())
    except BaseException:
        process.terminate()
        try:
            process.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return Ran(process.returncode, (output or b"").decode(errors="replace"), messages.decode(errors="replace"))


class ReferenceProcess:
    """A running `lariat-reference`, started by the first request and started again after it was stopped.

    One request at a time. A request that was refused leaves the process usable; one whose answer was not read to its
    end stops it.
    """

    def __init__(self, artefact: Path) -> None:
        self._artefact = artefact
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: IO[bytes] | None = None
        self._owner = os.getpid()
        self._cancelled: subprocess.Popen[bytes] | None = None

    def request(self, call: str, **arguments: object) -> Json:
        """Send a request and return its last answer.

        Raises:
            RuntimeFault: if it is refused, or the process ends.
        """
        return list(self.stream(call, **arguments))[-1]

    def stream(self, call: str, **arguments: object) -> Generator[Json, None, None]:
        """Send a request and yield its answers, the one with "ok" last.

        Raises:
            RuntimeFault: if it is refused, or the process ends.
        """
        process = self._start()
        complete = False
        try:
            self._send(process, json.dumps({"call": call, **arguments}, allow_nan=False))
            while not complete:
                answer = self._receive(process)
                complete = "ok" in answer or "error" in answer
                if "error" in answer:
                    raise RuntimeFault(_one_line(str(answer["error"])))
                yield answer
        finally:
            if not complete:
                self.stop()

    def cancel(self) -> None:
        """End the request that another thread waits for."""
        process = self._process
        if process is not None and not self._is_inherited():
            self._cancelled = process
            process.kill()

    def stop(self) -> None:
        """End the process now, whatever it is doing."""
        if self._process is not None and not self._is_inherited():
            self._process.kill()
        self.close()

    def close(self) -> None:
        """Let the process end by closing its input."""
        process, self._process = self._process, None
        messages, self._messages = self._messages, None
        if process is not None and self._is_inherited():
            # The parent goes on talking to it; only this process's ends of the pipes are closed.
            _pipe(process.stdout).close()
            with contextlib.suppress(OSError):
                _pipe(process.stdin).close()
            process.returncode = 0
        elif process is not None:
            with contextlib.suppress(OSError):
                _pipe(process.stdin).close()
            try:
                process.wait(CLOSING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _pipe(process.stdout).close()
        if messages is not None:
            messages.close()

    def _is_inherited(self) -> bool:
        """Whether this is a child of fork of the process that started it."""
        return self._owner != os.getpid()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._is_inherited():
            opened = f"process {self._owner} opened {self._artefact} before it forked"
            raise RuntimeFault(f"{opened}, so its child {os.getpid()} cannot use it")
        if self._process is None:
            self._owner = os.getpid()
            if not self._artefact.is_dir():
                raise ArtefactError(f"{self._artefact}: no such artefact, 'lariat compile' makes one")
            command: list[str | Path] = [find_tool("lariat-reference"), self._artefact]
            self._messages = tempfile.TemporaryFile()  # noqa: SIM115 closed with the process
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._messages,
                    env=tool_environment(),
                )
            except OSError as failure:
                raise RuntimeFault(f"cannot run {command[0]}: {failure.strerror}") from None
        return self._process

    def _send(self, process: subprocess.Popen[bytes], line: str) -> None:
        try:
            _pipe(process.stdin).write(line.encode() + b"\n")
            _pipe(process.stdin).flush()
        except OSError:
            raise self._ended(process) from None

    def _receive(self, process: subprocess.Popen[bytes]) -> Json:
        line = _pipe(process.stdout).readline()
        if not line.endswith(b"\n"):
            raise self._ended(process)
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            shown = line[:60].decode(errors="replace").strip()
            raise RuntimeFault(f"lariat-reference answered '{shown}', which is not a JSON object")
        return answer

    def _ended(self, process: subprocess.Popen[bytes]) -> LariatError:
        """The error for a process that ended by itself: its own message, or its status."""
        try:
            status = process.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return RuntimeFault("lariat-reference closed its output without an answer")
        if process is self._cancelled:
            return RuntimeFault("the request was stopped")
        said = ""
        if self._messages is not None:
            self._messages.seek(0)
            said = self._messages.read().decode(errors="replace")
        errors = [one for one in read_diagnostics(said) if one.severity == "error"]
        if status > 0 and errors:
            return ArtefactError(one_line_of(errors))
        return RuntimeFault(f"lariat-reference ended unexpectedly (status {status_text(status)})")


def one_line_of(diagnostics: Sequence[Diagnostic]) -> str:
    """First diagnostic with its place, and how many more there are."""
    first = diagnostics[0]
    place = f"{first.file}:{first.line}:{first.column}: " if first.line else f"{first.file}: " if first.file else ""
    others = len(diagnostics) - 1
    return _one_line(f"{place}{first.message}{f' (and {others} more)' if others else ''}")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeFault("lariat-reference was started without pipes")
    return stream
