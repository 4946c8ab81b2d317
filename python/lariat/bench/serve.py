# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Replays a load against an engine and says how far it is from what its functions allow.

Three engines of the same kernels: `depth` batches by depth, `compact` lets rows enter only when the loop is empty, and
`full` does that and runs every row through all loop steps.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lariat.engine import Counts, Engine
from lariat.errors import RuntimeFault
from lariat.requests import GenerateOptions
from lariat.session import Session, load

if TYPE_CHECKING:
    import numpy

__all__ = ["ENGINES", "Load", "serve"]

ENGINES = ("full", "compact", "depth")


@dataclass(frozen=True)
class Load:
    """What is asked for.

    Attributes:
        exits: `model`, `full`, `uniform` or `iid:P1,P2,...`, the chance of each number of loop steps.
        rows: of a tick, and so requests that run at a time.
        arrivals: `closed`, all requests wait from the start, or `poisson:LOAD`, a share of what a closed loop does.
    """

    engine: str
    exits: str
    rows: int
    requests: int
    prompt_tokens: int
    new_tokens: int
    arrivals: str = "closed"
    threads: int | None = None
    seed: int = 0


@dataclass
class _Request:
    arrived: float
    times: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Tick:
    """Of a tick: when it ended, how long it took, tokens and what the functions did."""

    end: float
    seconds: float
    tokens: int
    counts: Counts
    unfinished: int


def serve(artefact: Path, load_: Load) -> dict[str, Any]:
    """Run the load; returns what `lariat bench serve` writes.

    Raises:
        RuntimeFault: for an option that the model does not allow, or a request that fails.
    """
    import numpy

    generator = numpy.random.default_rng(load_.seed)
    with load(artefact, threads=load_.threads, max_rows=load_.rows) as session:
        if load_.prompt_tokens + load_.new_tokens > session.info.context:
            raise RuntimeFault(
                f"{load_.prompt_tokens} prompt tokens and {load_.new_tokens} new ones are more than the context of "
                f"{session.info.context}"
            )
        rate = None
        if load_.arrivals != "closed":
            share = _read_share(load_.arrivals)
            closed = _run(session, load_, generator, lambda count: [0.0] * count)
            rate = share * closed["requests_per_s"]

        def arrivals(count: int) -> list[float]:
            if rate is None:
                return [0.0] * count
            times: list[float] = numpy.cumsum(generator.exponential(1 / rate, count)).tolist()
            return times

        return _run(session, load_, generator, arrivals)


def _read_share(text: str) -> float:
    kind, _, value = text.partition(":")
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if kind != "poisson" or not 0 < share < 10:
        raise RuntimeFault(f"--arrivals: '{text}' is not closed or poisson:LOAD with a load above 0")
    return share


def _chances(exits: str, loops: int) -> list[float] | None:
    """Chance of each number of loop steps; none where the model decides."""
    if exits == "model":
        return None
    if exits == "full":
        return [0.0] * (loops - 1) + [1.0]
    if exits == "uniform":
        return [1 / loops] * loops
    kind, _, values = exits.partition(":")
    try:
        chances = [float(value) for value in values.split(",")]
    except ValueError:
        chances = []
    if kind != "iid" or len(chances) != loops or min(chances) < 0 or not sum(chances) > 0:
        raise RuntimeFault(
            f"--exits: '{exits}' is not model, full, uniform or iid: with the chance of 1 to {loops} loop steps"
        )
    return [chance / sum(chances) for chance in chances]


def _threshold(session: Session, load_: Load) -> float | None:
    """Where the model decides: its default, else the middle of the range that it declares."""
    rule = session.info.exit
    if load_.exits != "model" or load_.engine == "full" or rule is None:
        return None
    return rule.default if rule.default is not None else (rule.low + rule.high) / 2


def _run(
    session: Session, load_: Load, generator: numpy.random.Generator, arrivals: Callable[[int], list[float]]
) -> dict[str, Any]:
    loops = session.info.loops.default
    chances = _chances(load_.exits, loops)
    engine = Engine(session, chunk_rows=load_.rows, refills=load_.engine == "depth", uses_whole=False)
    options = GenerateOptions(
        max_new_tokens=load_.new_tokens, ignore_eos=True, exit_threshold=_threshold(session, load_)
    )
    prompts = generator.integers(0, session.info.vocabulary, (load_.requests, load_.prompt_tokens)).tolist()
    depths: list[list[int] | None] = [None] * load_.requests
    if chances is not None and load_.engine != "full":
        length = load_.prompt_tokens + load_.new_tokens
        drawn = generator.choice(loops, (load_.requests, length), p=chances) + 1
        depths = drawn.tolist()

    waiting = deque(sorted(zip(arrivals(load_.requests), range(load_.requests), strict=True)))
    requests: dict[int, _Request] = {}
    ticks: list[_Tick] = []
    steps = 0
    start = time.perf_counter()
    unfinished = 0
    while waiting or unfinished:
        now = time.perf_counter() - start
        while waiting and waiting[0][0] <= now:
            due, index = waiting.popleft()
            requests[engine.submit(prompts[index], options, depths=depths[index])] = _Request(due)
            unfinished += 1
        if not unfinished and waiting and waiting[0][0] > now:
            time.sleep(waiting[0][0] - now)
            continue
        before = time.perf_counter()
        tick = engine.tick()
        after = time.perf_counter()
        unfinished = tick.unfinished
        for token in tick.tokens:
            requests[token.sequence].times.append(after - start)
            steps += token.steps
        for end in tick.ends:
            if end.finish == "failed":
                raise RuntimeFault(f"request {end.request} failed: {end.error}")
        if tick.tokens or unfinished:
            ticks.append(_Tick(after - start, after - before, len(tick.tokens), engine.counts(), unfinished))
    seconds = time.perf_counter() - start
    return _report(load_, loops, list(requests.values()), ticks, seconds)


def _report(
    load_: Load, loops: int, requests: Sequence[_Request], ticks: Sequence[_Tick], seconds: float
) -> dict[str, Any]:
    total = sum(tick.tokens for tick in ticks)
    last = ticks[-1].counts
    result: dict[str, Any] = {
        "version": 1,
        "load": {name: getattr(load_, name) for name in load_.__dataclass_fields__},
        "seconds": seconds,
        "tokens": total,
        "requests_per_s": len(requests) / seconds,
        "tokens_per_s_all": total / seconds,
        "ticks": last.ticks,
        "preemptions": last.preemptions,
        "kv_bytes_peak": last.kv_bytes_peak,
        "ttft_ms": _percentiles([request.times[0] - request.arrived for request in requests]),
        "inter_token_ms": _percentiles(
            [after - before for one in requests for before, after in zip(one.times, one.times[1:], strict=False)]
        ),
    }
    return result | _steady(load_, loops, ticks)


def _steady(load_: Load, loops: int, ticks: Sequence[_Tick]) -> dict[str, Any]:
    """Of the stretches in which only generated tokens run and no place is empty."""
    names = ("prelude", "core", "fill", "coda")
    seconds, tokens, num, wall = dict.fromkeys(names, 0.0), 0, 0, 0.0
    rows = dict.fromkeys(names, 0)
    wanted = min(load_.rows, load_.requests)
    for before, tick in zip(ticks, ticks[1:], strict=False):
        delta = {name: _minus(getattr(tick.counts, name), getattr(before.counts, name)) for name in names}
        prompt_rows = sum(
            getattr(tick.counts, name).prompt_rows - getattr(before.counts, name).prompt_rows for name in names
        )
        if prompt_rows or tick.unfinished < wanted:
            continue
        num += 1
        wall += tick.seconds
        tokens += tick.tokens
        for name in names:
            rows[name] += delta[name][0]
            seconds[name] += delta[name][1]
    if not tokens or not rows["core"]:
        return dict.fromkeys(("tokens_per_s", "bound_tokens_per_s", "loop_only_bound", "mean_depth", "occupancy"))
    cost = {name: seconds[name] / rows[name] if rows[name] else 0.0 for name in names}
    depth = rows["core"] / tokens
    owed = rows["fill"] / tokens
    return {
        "tokens_per_s": tokens / wall,
        "bound_tokens_per_s": 1 / (cost["prelude"] + depth * cost["core"] + owed * cost["fill"] + cost["coda"]),
        "loop_only_bound": 1 / (depth * cost["core"]),
        "mean_depth": depth,
        "occupancy": rows["core"] / num / load_.rows,
        "steady_ticks": num,
        "row_us": {name: 1e6 * value for name, value in cost.items()},
        "tick_ms": 1e3 * wall / num,
    }


def _minus(one: Any, other: Any) -> tuple[int, float]:
    return one.rows - other.rows, one.seconds - other.seconds


def _percentiles(seconds: Sequence[float]) -> dict[str, float | None]:
    import numpy

    if not seconds:
        return dict.fromkeys(("p50", "p95", "p99"))
    values = numpy.percentile(numpy.asarray(seconds) * 1e3, (50, 95, 99))
    return dict(zip(("p50", "p95", "p99"), map(float, values), strict=True))
