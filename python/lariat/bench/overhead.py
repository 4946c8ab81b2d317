# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What running the loop step by step costs over one call of @forward, where all rows run all loop steps.

Both do the same work, so their times differ by less than a shared host's from one second to the next. Two engines of
one session therefore take turns, token by token, and times are compared within a turn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lariat.bench.experiment import ExperimentalEngine
from lariat.bench.load import Load, Planned, plan_requests
from lariat.bench.serve import FUNCTIONS, tick_unfailed
from lariat.engine import Counts, Engine, Timing
from lariat.requests import GenerateOptions
from lariat.session import Session, load

__all__ = ["measure_overhead"]

KINDS = ("steps", "whole")


class _Lockstep:
    """Requests that start together with one token each, so that all their rows are at the same depth."""

    def __init__(self, engine: Engine, planned: Sequence[Planned]) -> None:
        self._engine = engine
        self._rows = len(planned)
        for one in planned:
            engine.submit(one.prompt, GenerateOptions(max_new_tokens=one.new_tokens, ignore_eos=True))

    def next_tokens(self) -> tuple[float, float]:
        """Runs until each request has its next token; returns all seconds and those in compiled code."""
        before = _in_functions(self._engine.counts())
        start = time.perf_counter()
        tokens = 0
        while tokens < self._rows:
            tokens += len(tick_unfailed(self._engine).tokens)
        seconds = time.perf_counter() - start
        return seconds, _in_functions(self._engine.counts()) - before


def _open(session: Session, kind: str) -> Engine:
    return ExperimentalEngine(session, loop="steps", splits_loop=kind == "steps", prefix_cache=False)


def _in_functions(counts: Counts) -> float:
    timings: list[Timing] = [getattr(counts, name) for name in FUNCTIONS]
    return sum(one.seconds for one in timings)


def measure_overhead(artefact: Path, load_: Load, rounds: int) -> dict[str, Any]:
    """Turns of `load_.new_tokens` tokens for each of `load_.requests`, no more than its rows, `rounds` times.

    Returns:
        `ratio`: quartiles, over all turns, of the time step by step over that in one call; `functions_ratio`: the same
        of the time in compiled code alone; `tokens_per_s` of both, at their median time.

    Raises:
        RuntimeFault: for a load that the model does not allow.
    """
    import numpy

    generator = numpy.random.default_rng(load_.seed)
    together = replace(load_, engine="whole", prompt_tokens=1)
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    with load(artefact, threads=load_.threads, max_rows=load_.rows) as session:
        for _ in range(rounds):
            planned = plan_requests(together, session.info, generator)
            runs = {kind: _Lockstep(_open(session, kind), planned) for kind in KINDS}
            for turn in range(load_.new_tokens):
                # Neither always comes after the other.
                for kind in KINDS if turn % 2 else reversed(KINDS):
                    times[kind].append(runs[kind].next_tokens())
    seconds = {kind: numpy.asarray(times[kind]) for kind in KINDS}
    ratios = numpy.percentile(seconds["steps"] / seconds["whole"], (25, 50, 75), axis=0)
    return {
        "turns": len(times["steps"]),
        "ratio": ratios[:, 0].tolist(),
        "functions_ratio": ratios[:, 1].tolist(),
        "tokens_per_s": {kind: load_.requests / float(numpy.median(seconds[kind][:, 0])) for kind in KINDS},
    }
