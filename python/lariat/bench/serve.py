# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Replays a load against an engine and says how far it is from what its functions allow."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from lariat._files import reason, replacing
from lariat.bench.experiment import ExperimentalEngine
from lariat.bench.load import Load, Planned, draw_arrivals, plan_requests, read_share
from lariat.engine import Counts, Engine, Tick
from lariat.errors import RuntimeFault
from lariat.requests import GenerateOptions
from lariat.session import Session, load

__all__ = ["FUNCTIONS", "serve", "tick_unfailed"]

FUNCTIONS = ("prelude", "core", "fill", "coda", "whole")


@dataclass
class _Request:
    arrived: float
    times: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Tick:
    """Of a tick: how long it took, its tokens and their loop steps, what the functions had done at its end, requests
    that had not ended."""

    seconds: float
    tokens: int
    steps: int
    counts: Counts
    unfinished: int


# A tick and the one before it.
_Pair = tuple[_Tick, _Tick]


@dataclass(frozen=True)
class _Run:
    """A load that was replayed."""

    requests: list[_Request]
    ticks: list[_Tick]
    seconds: float
    schedule: str | None

    @property
    def gaps(self) -> list[float]:
        """Seconds between tokens of one request."""
        return [
            after - before for one in self.requests for before, after in zip(one.times, one.times[1:], strict=False)
        ]


def serve(artefact: Path, load_: Load, *, record: Path | None = None, replay: Path | None = None) -> dict[str, Any]:
    """Run the load; returns what `lariat bench serve` writes.

    Args:
        record: file to write the schedule to: what the engine decided and called, tick by tick.
        replay: such a file, of the same load: the same is decided and called again, with all requests there from the
            start.

    Raises:
        RuntimeFault: for an option that the model does not allow, a request that fails, or a file that does not fit.
    """
    import numpy

    generator = numpy.random.default_rng(load_.seed)
    share = read_share(load_.arrivals)
    with load(artefact, threads=load_.threads, max_rows=load_.rows) as session:
        planned = plan_requests(load_, session.info, generator)
        alone = _run(session, load_, planned[:1], [0.0])
        rate = None
        if share is not None:
            closed = _run(session, load_, planned, [0.0] * len(planned))
            rate = share * len(planned) / closed.seconds
        arrivals = draw_arrivals(len(planned), rate, generator)
        if replay is not None:
            arrivals = [0.0] * len(planned)
        done = _run(session, load_, planned, arrivals, record=record is not None, replay=_read(replay))
    if record is not None and done.schedule is not None:
        with replacing(record) as temporary:
            temporary.write_text(done.schedule)
    return _report(load_, done, alone)


def _read(replay: Path | None) -> str | None:
    try:
        return None if replay is None else replay.read_text()
    except OSError as failure:
        raise RuntimeFault(f"--replay: cannot read {replay}: {reason(failure)}") from None
    except UnicodeDecodeError:
        raise RuntimeFault(f"--replay: {replay} is no schedule, expected what --record writes") from None


def _threshold(session: Session, load_: Load) -> float | None:
    """Where the model decides: its default, else the middle of the range that it declares."""
    rule = session.info.exit
    if load_.exits != "model" or load_.engine in ("full", "whole") or rule is None or not rule.takes_threshold:
        return None
    return rule.default if rule.default is not None else (rule.low + rule.high) / 2


def tick_unfailed(engine: Engine) -> Tick:
    """Run one tick.

    Raises:
        RuntimeFault: for a request that fails: what is measured then is something else.
    """
    tick = engine.tick()
    for end in tick.ends:
        if end.finish == "failed":
            raise RuntimeFault(f"request {end.request} failed: {end.error}")
    return tick


def _run(
    session: Session,
    load_: Load,
    planned: Sequence[Planned],
    arrivals: Sequence[float],
    *,
    record: bool = False,
    replay: str | None = None,
) -> _Run:
    engine = ExperimentalEngine(
        session,
        chunk_rows=load_.rows,
        loop="steps",
        refills=load_.engine == "depth",
        splits_loop=load_.engine != "whole",
        prefix_cache=False,
        record=record,
        replay=replay,
    )
    threshold = _threshold(session, load_)
    waiting = deque(sorted(zip(arrivals, range(len(planned)), strict=True)))
    requests: dict[int, _Request] = {}
    ticks: list[_Tick] = []
    unfinished = 0
    start = time.perf_counter()
    while waiting or unfinished:
        now = time.perf_counter() - start
        while waiting and waiting[0][0] <= now:
            due, index = waiting.popleft()
            one = planned[index]
            options = GenerateOptions(max_new_tokens=one.new_tokens, ignore_eos=True, exit_threshold=threshold)
            requests[engine.submit(one.prompt, options, depths=one.depths)] = _Request(due)
            unfinished += 1
        if not unfinished:
            time.sleep(waiting[0][0] - now)
            continue
        before = time.perf_counter()
        tick = tick_unfailed(engine)
        after = time.perf_counter()
        unfinished = tick.unfinished
        for token in tick.tokens:
            requests[token.sequence].times.append(after - start)
        steps = sum(token.steps for token in tick.tokens)
        ticks.append(_Tick(after - before, len(tick.tokens), steps, engine.counts(), unfinished))
    seconds = time.perf_counter() - start
    return _Run(list(requests.values()), ticks, seconds, engine.schedule() if record else None)


# --- report ---------------------------------------------------------------------------------------------------------


def _report(load_: Load, done: _Run, alone: _Run) -> dict[str, Any]:
    last = done.ticks[-1].counts
    total = sum(tick.tokens for tick in done.ticks)
    gaps, alone_gaps = _percentiles(done.gaps), _percentiles(alone.gaps)
    slow_down = gaps["p50"] / alone_gaps["p50"] if gaps["p50"] and alone_gaps["p50"] else None
    result: dict[str, Any] = {
        "version": 1,
        "load": asdict(load_),
        "seconds": done.seconds,
        "tokens": total,
        "tokens_per_s_all": total / done.seconds,
        "ticks": last.ticks,
        "preemptions": last.preemptions,
        "kv_bytes_peak": last.kv_bytes_peak,
        "ttft_ms": _percentiles([request.times[0] - request.arrived for request in done.requests]),
        "inter_token_ms": gaps,
        "solo_inter_token_ms": alone_gaps,
        "slow_down": slow_down,
    }
    return result | _steady(load_, done.ticks)


def _steady(load_: Load, ticks: Sequence[_Tick]) -> dict[str, Any]:
    """Of the longest stretch in which all places are wanted and only generated tokens run; of all ticks in which all
    places are wanted where it is short, and of all where these are.

    The bound is the time that the rows of the stretch take at what a row costs in its ticks without an empty place. So
    rows of prompts, where there are some, are in both.
    """
    wanted = min(load_.rows, load_.requests)
    pairs = list(zip(ticks, ticks[1:], strict=False))
    busy = [pair for pair in pairs if pair[1].unfinished >= wanted]
    generating = _longest(pairs, lambda pair: pair[1].unfinished >= wanted and not _count_prompts(*pair))
    # Edges weigh little in a stretch of several tokens for each place.
    stretch = next((one for one in (generating, busy) if _count_tokens(one) >= 4 * wanted), pairs)
    full = [pair for pair in stretch if _since(*pair, "core")[0] + _since(*pair, "whole")[0] >= load_.rows]
    rows, seconds = _sum(stretch)
    rows_of_full, seconds_of_full = _sum(full or stretch)
    cost = {name: seconds_of_full[name] / max(rows_of_full[name], 1) for name in FUNCTIONS}
    tokens, wall = _count_tokens(stretch), sum(tick.seconds for _, tick in stretch)
    inside, least = sum(seconds.values()), sum(cost[name] * rows[name] for name in FUNCTIONS)
    return {
        "only_generates": stretch is generating,
        "steady_ticks": len(stretch),
        "tokens_per_s": tokens / wall if wall else None,
        "bound_tokens_per_s": tokens / least if least else None,
        "loop_only_tokens_per_s": tokens / (wall - inside + seconds["core"]) if rows["core"] else None,
        "loop_only_bound": tokens / (cost["core"] * rows["core"]) if cost["core"] * rows["core"] else None,
        "mean_depth": sum(tick.steps for _, tick in stretch) / tokens if tokens else 0.0,
        "occupancy": (rows["core"] or rows["whole"]) / len(stretch) / load_.rows if stretch else None,
        "row_us": {name: 1e6 * value for name, value in cost.items()},
        "tick_ms": 1e3 * wall / len(stretch) if stretch else None,
    }


def _longest(pairs: Sequence[_Pair], holds: Callable[[_Pair], bool]) -> Sequence[_Pair]:
    """The longest stretch of ticks for all of which `holds`."""
    stretches = [list(group) for is_in, group in groupby(pairs, holds) if is_in]
    return max(stretches, key=len, default=[])


def _count_tokens(pairs: Sequence[_Pair]) -> int:
    return sum(tick.tokens for _, tick in pairs)


def _count_prompts(before: _Tick, tick: _Tick) -> int:
    return sum(_since(before, tick, name)[1] for name in FUNCTIONS)


def _sum(pairs: Sequence[_Pair]) -> tuple[dict[str, int], dict[str, float]]:
    """Rows and seconds by function."""
    changes = {name: [_since(before, tick, name) for before, tick in pairs] for name in FUNCTIONS}
    rows = {name: sum(change[0] for change in changes[name]) for name in FUNCTIONS}
    return rows, {name: sum(change[2] for change in changes[name]) for name in FUNCTIONS}


def _since(before: _Tick, tick: _Tick, name: str) -> tuple[int, int, float]:
    """Rows, rows of prompts and seconds of a function in a tick."""
    old, new = getattr(before.counts, name), getattr(tick.counts, name)
    return new.rows - old.rows, new.prompt_rows - old.prompt_rows, new.seconds - old.seconds


def _percentiles(seconds: Sequence[float]) -> dict[str, float | None]:
    import numpy

    if not seconds:
        return dict.fromkeys(("p50", "p95", "p99"))
    values = numpy.percentile(numpy.asarray(seconds) * 1e3, (50, 95, 99))
    return dict(zip(("p50", "p95", "p99"), map(float, values), strict=True))
