# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the machine can do at most, from `lariat-bench-limits`, and the least time of a call by it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lariat._process import find_tool, status_text
from lariat.bench.plan import Task
from lariat.bench.shapes import Shape
from lariat.errors import RuntimeFault

__all__ = ["LARGEST_KIB", "Bound", "Limits", "best_of", "bound_of", "measure", "working_sets"]

# Beyond the caches of any machine, reading is as fast as memory is.
LARGEST_KIB = 512 * 1024


@dataclass(frozen=True)
class Limits:
    """The best samples of one number of threads: f32 flops per second, and bytes read per second by KiB read."""

    flops: float
    isa: str
    read: dict[int, float]


@dataclass(frozen=True)
class Bound:
    """Least seconds of a call, and by which limit."""

    seconds: float
    by: str


def measure(
    threads: Sequence[int], *, sizes: Sequence[int] = (), repeats: int = 5, milliseconds: int = 20
) -> dict[str, Any]:
    """What `lariat-bench-limits` prints; `sizes` of the working sets in KiB, its own where none are given.

    Raises:
        RuntimeFault: if the program is not built, or fails.
    """
    command = [str(find_tool("lariat-bench-limits")), "--threads", ",".join(map(str, threads))]
    command += ["--repeats", str(repeats), "--milliseconds", str(milliseconds)]
    if sizes:
        command += ["--sizes", ",".join(map(str, sizes))]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split()).removeprefix("error: ")
        raise RuntimeFault(f"lariat-bench-limits failed (status {status_text(done.returncode)}): {said}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def working_sets(shape: Shape, task: Task) -> list[int]:
    """KiB of the working sets whose read bandwidth bounds a task; one that needs none gets a small one."""
    if task.kind == "prefill":
        return [64]
    return sorted({_kib(stream.working_set) for stream in shape.decode_streams(task.mean_context)})


def best_of(measured: Iterable[dict[str, Any]], threads: int) -> Limits:
    """The best sample over several measurements: a limit is what the machine can do when nothing disturbs it."""
    flops, isa = 0.0, ""
    read: dict[int, float] = {}
    for one in measured:
        for entry in one["fma"]:
            if entry["threads"] == threads and entry["gflops"]["max"] * 1e9 > flops:
                flops, isa = entry["gflops"]["max"] * 1e9, entry["isa"]
        for entry in one["read"]:
            if entry["threads"] == threads:
                size, speed = entry["bytes"] // 1024, entry["gbytes_per_second"]["max"] * 1e9
                read[size] = max(read.get(size, 0.0), speed)
    return Limits(flops, isa, read)


def bound_of(shape: Shape, task: Task, limits: Limits) -> Bound:
    """Least time of a prefill or of one decode step: arithmetic at the peak, or every stream at its bandwidth."""
    if task.kind == "prefill":
        return Bound(shape.prefill_flops(task.rows) / limits.flops, "FMA")
    arithmetic = shape.decode_flops(task.mean_context) / limits.flops
    streams = shape.decode_streams(task.mean_context)
    reading = sum(stream.num_bytes / limits.read[_kib(stream.working_set)] for stream in streams)
    return Bound(arithmetic, "FMA") if arithmetic > reading else Bound(reading, "reading")


def _kib(num_bytes: int) -> int:
    return min(LARGEST_KIB, max(16, num_bytes // 1024))
