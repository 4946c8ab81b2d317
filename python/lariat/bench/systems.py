# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The measured systems as processes: ours and the peers of bench/peers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lariat.bench.plan import ROOT
from lariat.bench.protocol import MARK, Job
from lariat.errors import RuntimeFault

__all__ = ["OURS", "PEERS", "Absent", "System", "start"]

OURS = "lariat"
# Programs of bench/peers, with their arguments.
PEERS = {
    "torch-eager": ["torch_peer.py", "eager"],
    "torch-compile": ["torch_peer.py", "compile"],
    "onnxruntime": ["onnx_peer.py"],
}
PREPARE_SECONDS = 1200.0


class Absent(RuntimeFault):
    """A system that is not installed."""


class System:
    """A running system that has prepared its task."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 closed with the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._messages, env=environment
        )
        self.ready: dict[str, Any] = {}

    def wait(self, seconds: float = PREPARE_SECONDS) -> None:
        """Wait until the task is prepared.

        Raises:
            Absent: if something it needs is not installed.
            RuntimeFault: if it fails, or is not ready in time.
        """
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, give_up)
        timer.start()
        try:
            answer = self._receive()
        except RuntimeFault:
            if late.is_set():
                raise RuntimeFault(f"not ready in {seconds:g} s") from None
            raise
        finally:
            timer.cancel()
        self.ready = answer["ready"]

    def run(self) -> list[float]:
        """Seconds of one prefill, or of each timed step of one decode run."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None
        return [float(value) for value in self._receive()["seconds"]]

    def memory(self) -> tuple[int, int]:
        """Bytes resident now, and at most so far, of the process and what it started."""
        now = peak = 0
        for process in _tree(self._process.pid):
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{process}/status").read_text().splitlines():
                    key, _, value = line.partition(":")
                    if key in ("VmRSS", "VmHWM"):
                        size = int(value.split()[0]) * 1024
                        now, peak = (now + size, peak) if key == "VmRSS" else (now, peak + size)
        return now, peak

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._messages.close()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode(errors="replace")
            if not text.startswith(MARK):
                continue
            answer: dict[str, Any] = json.loads(text[len(MARK) :])
            if "absent" in answer:
                raise Absent(answer["absent"])
            if "error" in answer:
                raise RuntimeFault(answer["error"])
            return answer
        raise self._ended()

    def _ended(self) -> RuntimeFault:
        status = self._process.wait()
        self._messages.seek(0)
        said = self._messages.read().decode(errors="replace").strip().splitlines()
        return RuntimeFault(f"{self.name} ended with status {status}{f': {said[-1][:200]}' if said else ''}")


def start(name: str, job: Job, venv: Path) -> System:
    """Start a system, by its name; peers in the environment `venv`.

    Raises:
        Absent: if the environment of the peers is not there.
        RuntimeFault: if there is no such system.
    """
    if name == OURS:
        command = [sys.executable, "-m", "lariat.bench.ours"]
    elif name in PEERS:
        python = venv / "bin" / "python"
        if not python.exists():
            raise Absent(f"{venv} is not there, bench/peers/setup.sh makes it")
        program, *arguments = PEERS[name]
        command = [str(python), str(ROOT / "bench" / "peers" / program), *arguments]
    else:
        raise RuntimeFault(f"no system '{name}', there is {', '.join([OURS, *PEERS])}")
    path = f"{ROOT / 'python'}{os.pathsep}{ROOT / 'bench' / 'peers'}"
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(job.threads))
    return System(name, [*command, job.text()], environment)


def _tree(root: int) -> Iterator[int]:
    """A process and all it started, where the system has /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in parentheses may hold anything, spaces too.
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    yield root
    for child, parent in parents.items():
        if parent == root:
            yield from _tree(child)
