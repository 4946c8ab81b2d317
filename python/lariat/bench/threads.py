# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""More threads than processors, and threads beside a program that keeps one processor busy.

Speeds of a shared machine differ more from one second to the next than threads do. So all cases take turns, with one
session each in one process, and each is compared with its reference in the same round.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lariat.requests import GenerateOptions
from lariat.session import Session, load

__all__ = ["list_cases", "measure_threads", "render_threads"]

PROMPT = (1, 2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Case:
    """Threads, and whether a busy program runs meanwhile: anywhere, or on the first processor only."""

    threads: int
    busy: str = ""
    beside: int = 0  # threads of the case it is compared with, which runs alone

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return (
            threads
            + {"": "", "free": " beside a busy program", "tied": " beside one on the first processor"}[self.busy]
        )


def list_cases(most: Sequence[int]) -> list[Case]:
    """One and as many threads as processors alone; more threads; as many beside a busy program."""
    cores = len(os.sched_getaffinity(0))
    cases = [Case(1), Case(cores)] if cores > 1 else [Case(1)]
    cases += [Case(threads, beside=cores) for threads in most if threads > cores]
    return cases + [Case(cores, busy, beside=1) for busy in ("free", "tied") if cores > 1]


@contextlib.contextmanager
def _busy_program(tied: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A stopped program that keeps a processor busy while it is continued."""
    # Its parent may be killed while it is stopped: 1 is PR_SET_PDEATHSIG.
    text = f"import ctypes; ctypes.CDLL(None).prctl(1, {signal.SIGKILL:d})\nwhile True: pass"
    program = subprocess.Popen([sys.executable, "-c", text])
    try:
        program.send_signal(signal.SIGSTOP)
        if tied:
            os.sched_setaffinity(program.pid, {min(os.sched_getaffinity(0))})
        yield program
    finally:
        program.kill()
        program.wait()


def _rate(session: Session, new_tokens: int, seconds: float) -> float:
    """Tokens per second of one request after the other."""
    options = GenerateOptions(max_new_tokens=new_tokens, ignore_eos=True)
    tokens, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        tokens += len(session.generate([PROMPT], options)[0].tokens)
    return tokens / passed


def measure_threads(
    artefacts: Sequence[Path],
    most: Sequence[int],
    rounds: int,
    seconds: float,
    new_tokens: int,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """All cases of `list_cases` in turns of `seconds`, `rounds` times, for each artefact.

    Returns:
        `models`: by artefact, `cases` with `tokens_per_s` and, for those that are compared, `ratio` of each round.
    """
    cases = list_cases(most)
    models = []
    for artefact in artefacts:
        rates: dict[Case, list[float]] = {case: [] for case in cases}
        with contextlib.ExitStack() as stack:
            busy = {kind: stack.enter_context(_busy_program(kind == "tied")) for kind in ("free", "tied")}
            sessions = {case: stack.enter_context(load(artefact, threads=case.threads)) for case in cases}
            for session in sessions.values():
                _rate(session, new_tokens=2, seconds=0.01)
            for number in range(rounds):
                for case, session in sessions.items():
                    if case.busy:
                        busy[case.busy].send_signal(signal.SIGCONT)
                    rates[case].append(_rate(session, new_tokens, seconds))
                    if case.busy:
                        busy[case.busy].send_signal(signal.SIGSTOP)
                report(f"{artefact}: round {number + 1} of {rounds}")
        found = []
        for case in cases:
            reference = rates.get(Case(case.beside), [])
            ratio = [one / other for one, other in zip(rates[case], reference, strict=False)]
            found.append({"title": str(case), "beside": case.beside, "tokens_per_s": rates[case], "ratio": ratio})
        models.append({"artefact": artefact.name, "cases": found})
    return {"models": models, "processors": len(os.sched_getaffinity(0)), "seconds": seconds}


def render_threads(measured: dict[str, Any], about: Sequence[str]) -> str:
    """The document."""
    import numpy

    lines = ["# Threads, processors and a busy program", "", *about]
    lines.append(f"- {measured['processors']} processors; turns of {measured['seconds']:g} s; medians of all rounds")
    for model in measured["models"]:
        lines += ["", f"## {model['artefact']}", "", "| case | tokens/s | ratio | to |", "|---|---:|---:|---|"]
        for case in model["cases"]:
            rate = float(numpy.median(case["tokens_per_s"]))
            ratio = f"{float(numpy.median(case['ratio'])):.2f}" if case["ratio"] else ""
            reference = str(Case(case["beside"])) + " alone" if case["ratio"] else ""
            lines.append(f"| {case['title']} | {rate:.1f} | {ratio} | {reference} |")
    return "\n".join(lines) + "\n"
