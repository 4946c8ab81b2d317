# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How a measured system is driven: a process that prepares one task, then runs it once for every line it reads.

Every system, ours too, is such a process, so that all are measured alike. This file uses the standard library alone:
peers import it from an environment without the package's dependencies.

The process gets a `Job` as its one argument. It answers with one JSON object a line, marked so that nothing a library
prints is taken for an answer: {"ready": ...}, {"absent": why} or {"error": why} first, then {"seconds": [...]} for
every line of its input, until that is closed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

__all__ = ["MARK", "Job", "Ready", "clock", "limit_processors", "read_job", "serve"]

MARK = "@lariat-bench "
clock = time.perf_counter


@dataclass(frozen=True)
class Job:
    """What a system is to prepare.

    Attributes:
        kind: `prefill`, all of `prompt` in one call; or `decode`, `steps` greedy steps after it.
        warm_steps: the first steps of a decode run, whose times are not reported.
        checkpoint: directory with config.json and model.safetensors.
        artefact: compiled by Lariat; peers do not use it.
        cache: folder that the system may keep what it compiled in.
        logits: file to write, float32 of the last row of the prompt and, for `decode`, of each step.
    """

    kind: str
    prompt: tuple[int, ...]
    steps: int
    warm_steps: int
    threads: int
    checkpoint: str
    artefact: str
    cache: str
    logits: str

    def text(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Ready:
    """What a system says once it can run.

    Attributes:
        prepare_seconds: from the checkpoint, or the artefact, to the end of the first run: export, compile and load.
        tokens: chosen greedily, the one after the prompt and, for `decode`, those of the steps.
        versions: of the libraries that matter.
        stored_bytes: that the system keeps on disk to run this task, the weights too where they are copied.
        note: about how it runs the task, for the table.
    """

    prepare_seconds: float
    tokens: tuple[int, ...]
    versions: dict[str, str] = field(default_factory=dict)
    stored_bytes: int | None = None
    note: str = ""


def read_job(arguments: Sequence[str]) -> Job:
    values: dict[str, Any] = json.loads(arguments[1])
    return Job(**{**values, "prompt": tuple(values["prompt"])})


def limit_processors(threads: int) -> None:
    """Keep this process and its children on the first `threads` processors that it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def serve(prepare: Callable[[], tuple[Ready, Callable[[], list[float]]]]) -> None:
    """Run one system: `prepare` gives what to answer and the function that runs the task and returns its seconds."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        ready, run = prepare()
        run()
        _answer(answers, ready=asdict(ready))
        for _ in sys.stdin:
            _answer(answers, seconds=run())
    except ImportError as failure:
        _answer(answers, absent=f"{failure.name or failure} is not installed")
    except Exception as failure:
        _answer(answers, error=f"{type(failure).__name__}: {' '.join(str(failure).split())[:300]}")


def _answer(stream: TextIO, **values: object) -> None:
    stream.write(MARK + json.dumps(values) + "\n")
    stream.flush()
