# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What drafts bring: one model with and without them, by the loop steps that a draft takes.

Weights are random, and what the layers of the loop add is scaled down, so that later loop steps change little and most
drafts are right. The bounds are in loop steps: R / r where a token comes with each draft, and R / (r + (R - r) / k) for
drafting k tokens first and verifying them together afterwards.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lariat.bench.make_checkpoint import make_checkpoint
from lariat.bench.shapes import SHAPES, Shape
from lariat.engine import Engine
from lariat.requests import GenerateOptions
from lariat.session import Session, load

__all__ = ["PLAN", "Plan", "measure_speculation", "render_speculation"]


@dataclass(frozen=True)
class Plan:
    """Loop steps of a draft that are tried, and the scale of what the loop's layers add."""

    shape: str
    steps: tuple[int, ...]
    gain: float


PLAN = (Plan("loop512", (2, 3, 4, 6), 0.02), Plan("mor135", (1, 2), 0.02))


def measure_speculation(
    plans: Sequence[Plan], folder: Path, *, threads: int | None, rounds: int, new_tokens: int, together: Sequence[int],
    report: Callable[[str], None],
) -> dict[str, Any]:  # fmt: skip
    """Tokens per second of each way to run, by turns, in `rounds` rounds; artefacts stay in `folder`.

    Args:
        together: numbers of requests that run at a time.

    Raises:
        RuntimeFault: if a model cannot be compiled or run.
    """
    cases = []
    for plan in plans:
        shape = SHAPES[plan.shape]
        with load(_artefact(shape, plan.gain, folder), threads=threads) as session:
            for requests in together:
                ways = {steps: Engine(session) for steps in (0, *plan.steps)}
                for engine in ways.values():
                    _run(session, engine, 0, requests, 8)
                runs: dict[int, list[float]] = {steps: [] for steps in ways}
                for _ in range(rounds):
                    for steps, engine in ways.items():
                        runs[steps].append(_run(session, engine, steps, requests, new_tokens))
                for steps, engine in ways.items():
                    cases.append(_describe(plan, shape, requests, steps, engine, runs))
                    report(
                        f"{plan.shape}, {requests} requests, drafts after {steps}: {cases[-1]['tokens_per_s']:.1f}/s"
                    )
    return {"cases": cases, "rounds": rounds, "new_tokens": new_tokens}


def _artefact(shape: Shape, gain: float, folder: Path) -> Path:
    from lariat.compiler import CompileOptions, compile

    checkpoint = make_checkpoint(shape, folder / f"{shape.name}-gain{gain:g}", gain=gain)
    artefact = folder / f"{shape.name}-gain{gain:g}.lariat"
    if not artefact.exists():
        compile(checkpoint, artefact, CompileOptions(target="native"))
    return artefact


def _run(session: Session, engine: Engine, steps: int, requests: int, new_tokens: int) -> float:
    """Tokens per second from the first token of each request on."""
    options = GenerateOptions(max_new_tokens=new_tokens, ignore_eos=True, speculate=steps or None)
    for number in range(requests):
        engine.submit([(11 * number + place) % session.info.vocabulary for place in range(16)], options)
    came = 0
    begin = time.perf_counter()
    unfinished = requests
    while unfinished:
        tick = engine.tick()
        unfinished = tick.unfinished
        if came < requests <= came + len(tick.tokens):
            begin = time.perf_counter()
        came += len(tick.tokens)
    return (came - requests) / (time.perf_counter() - begin)


def _describe(
    plan: Plan, shape: Shape, requests: int, steps: int, engine: Engine, runs: dict[int, list[float]]
) -> dict[str, Any]:
    counts = engine.counts()
    speed, plain = statistics.median(runs[steps]), statistics.median(runs[0])
    rows = counts.core.rows / counts.core.calls if counts.core.calls else None
    per_request = max(1.0, (rows or 1.0) / requests)
    return {
        "shape": plan.shape,
        "loops": shape.loops,
        "requests": requests,
        "steps": steps,
        "tokens_per_s": speed,
        "ratio": speed / plain,
        "accepted": counts.accepted / counts.drafted if counts.drafted else None,
        "rows": rows,
        "bound": shape.loops / steps if steps else None,
        "bound_in_turns": shape.loops / (steps + (shape.loops - steps) / per_request) if steps else None,
    }


def render_speculation(measured: dict[str, Any], about: Sequence[str]) -> str:
    """A table."""
    lines = [
        "# Drafts after fewer loop steps",
        "",
        *about,
        f"- median of {measured['rounds']} rounds by turns, {measured['new_tokens']} greedy tokens per request; random "
        "weights, the loop's layers scaled down so that most drafts are right",
        "- rows: mean of a call of the loop's block. R / r: a token with each draft. In turns: R / (r + (R - r) / k), "
        "k the rows per request",
        "",
        "| shape | R | requests | draft after r | tokens/s | ratio | accepted | rows | R / r | in turns |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *_rows(measured["cases"])]) + "\n"


def _rows(cases: Sequence[dict[str, Any]]) -> Iterator[str]:
    def show(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    for case in cases:
        yield (
            f"| {case['shape']} | {case['loops']} | {case['requests']} | {case['steps'] or 'none'} "
            f"| {case['tokens_per_s']:.1f} | {case['ratio']:.2f} | {show(case['accepted'], '.0%')} "
            f"| {show(case['rows'], '.1f')} | {show(case['bound'], '.2f')} | {show(case['bound_in_turns'], '.2f')} |"
        )
