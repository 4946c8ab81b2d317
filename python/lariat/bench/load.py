# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loads that are replayed against an engine: which requests come when, and how many loop steps their rows run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lariat._files import reason
from lariat.artefact import Artefact
from lariat.errors import RuntimeFault

if TYPE_CHECKING:
    import numpy

__all__ = ["ENGINES", "Load", "Planned", "draw_arrivals", "plan_requests", "read_exits", "read_share"]

# `depth` batches by depth; `compact` lets rows enter only when the loop is empty; `full` does that and runs every row
# through all loop steps; `whole` is `full` in one call of @forward.
ENGINES = ("full", "compact", "depth", "whole")
TRACES = Path(__file__).resolve().parents[3] / "bench" / "traces"


@dataclass(frozen=True)
class Load:
    """What is asked for.

    Attributes:
        exits: `model`, `full`, `uniform`, `iid:P1,P2,...` or `trace:NAME`, see `read_exits`.
        rows: of a tick, and so requests that run at a time.
        arrivals: `closed`, all requests wait from the start, or `poisson:LOAD`, a share of what a closed loop does.
        long_tokens: new tokens of the first request where it is to be longer than the others.
    """

    engine: str
    exits: str
    rows: int
    requests: int
    prompt_tokens: int
    new_tokens: int
    arrivals: str = "closed"
    long_tokens: int | None = None
    threads: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Planned:
    """One request; `depths` are the most loop steps of its rows by position, none where the model decides."""

    prompt: list[int]
    new_tokens: int
    depths: list[int] | None


class Exits:
    """Draws how many loop steps rows run."""

    def __init__(self, chances: list[float] | None = None, trace: list[int] | None = None) -> None:
        self._chances = chances
        self._trace = trace

    def draw(self, count: int, generator: numpy.random.Generator) -> list[int] | None:
        """Of `count` rows of a sequence; none where the model decides."""
        if self._trace is not None:
            start = int(generator.integers(len(self._trace)))
            return [self._trace[(start + index) % len(self._trace)] for index in range(count)]
        if self._chances is None:
            return None
        drawn: list[int] = (generator.choice(len(self._chances), count, p=self._chances) + 1).tolist()
        return drawn


def read_exits(exits: str, loops: int) -> Exits:
    """`model`; `full`: all steps; `uniform`; `iid:` with the chance of each number of steps; `trace:` with a file that
    `lariat generate --tokens` wrote, or the name of one in bench/traces, replayed from a random row on.

    Raises:
        RuntimeFault: where the text says none of these.
    """
    kind, _, values = exits.partition(":")
    if exits == "model":
        return Exits()
    if exits == "full":
        return Exits([0.0] * (loops - 1) + [1.0])
    if exits == "uniform":
        return Exits([1 / loops] * loops)
    if kind == "trace":
        return Exits(trace=[min(steps, loops) for steps in _read_trace(values)])
    try:
        chances = [float(value) for value in values.split(",")]
    except ValueError:
        chances = []
    if kind != "iid" or len(chances) != loops or not min(chances) >= 0 or not 0 < sum(chances) < float("inf"):
        raise RuntimeFault(
            f"--exits: '{exits}' is not model, full, uniform, trace:NAME or iid: with the chance of 1 to {loops} "
            "loop steps"
        )
    return Exits([chance / sum(chances) for chance in chances])


def _read_trace(name: str) -> list[int]:
    path = Path(name) if name.endswith(".json") else TRACES / f"{name}.json"
    try:
        steps = [one for row in json.loads(path.read_text()) for one in row["steps"]]
    except OSError as failure:
        raise RuntimeFault(f"--exits: cannot read the trace {path}: {reason(failure)}") from None
    except (ValueError, KeyError, TypeError):
        steps = None
    if not steps or not all(type(one) is int and one > 0 for one in steps):
        raise RuntimeFault(f"--exits: {path} is no trace, expected what 'lariat generate --tokens' writes")
    return steps


def read_share(arrivals: str) -> float | None:
    """The load of `poisson:LOAD`; none for `closed`.

    Raises:
        RuntimeFault: where the text says neither.
    """
    if arrivals == "closed":
        return None
    kind, _, value = arrivals.partition(":")
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if kind != "poisson" or not 0 < share < 10:
        raise RuntimeFault(f"--arrivals: '{arrivals}' is not closed or poisson:LOAD with a load above 0 and below 10")
    return share


def draw_arrivals(count: int, rate: float | None, generator: numpy.random.Generator) -> list[float]:
    """Seconds from the start; `rate` in requests a second, none: all at once."""
    import numpy

    if rate is None:
        return [0.0] * count
    times: list[float] = numpy.cumsum(generator.exponential(1 / rate, count)).tolist()
    return times


def plan_requests(load: Load, artefact: Artefact, generator: numpy.random.Generator) -> list[Planned]:
    """Random prompts of the load.

    Raises:
        RuntimeFault: for what the model does not allow.
    """
    longest = load.prompt_tokens + max(load.new_tokens, load.long_tokens or 0)
    if longest > artefact.context:
        raise RuntimeFault(
            f"{load.prompt_tokens} prompt tokens and {longest - load.prompt_tokens} new ones are more than the context "
            f"of {artefact.context}"
        )
    exits = read_exits(load.exits, artefact.loops.default)
    planned = []
    for index in range(load.requests):
        new_tokens = load.long_tokens if index == 0 and load.long_tokens else load.new_tokens
        prompt = generator.integers(0, artefact.vocabulary, load.prompt_tokens).tolist()
        depths = exits.draw(load.prompt_tokens + new_tokens, generator)
        planned.append(Planned(prompt, new_tokens, depths if load.engine in ("compact", "depth") else None))
    return planned
