# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Continuous depth-wise batching: requests come at any time, and rows of any mix of depths run in one tick."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex

from lariat._fast import FastRunner, integer, to_arrays
from lariat._runner import NewToken, Runner, option_values
from lariat._values import instance_of, read_flag, read_sequence, read_text, read_whole
from lariat.errors import RuntimeFault
from lariat.profile import Profile
from lariat.requests import GenerateOptions

if TYPE_CHECKING:
    from lariat._fast import Integers
    from lariat._native import Engine as NativeEngine
    from lariat.session import Session

__all__ = ["Counts", "End", "Engine", "Tick", "Timing"]


class End(NamedTuple):
    """How a request ended: `eos`, `length`, `stop` (cancelled) or `failed`, with the reason."""

    request: int
    finish: str
    error: str


class Tick(NamedTuple):
    """What one tick brought; `sequence` of a token is its request."""

    tokens: list[NewToken]
    ends: list[End]
    unfinished: int


class Timing(NamedTuple):
    """Calls of one function, the rows in them, those of prompts among them, and their seconds."""

    calls: int
    rows: int
    prompt_rows: int
    seconds: float


@dataclass(frozen=True)
class Counts:
    """Since the engine was made.

    Attributes:
        preemptions: requests that were preempted and computed again what was lost of their rows.
        reused_rows: rows that requests began with and did not compute.
        drafted, accepted: tokens of requests that speculate, and how many of them were right.
        kv_bytes_peak: of pages at the end of a tick.
        whole: rows that ran all their loop steps in one call.
    """

    ticks: int
    preemptions: int
    reused_rows: int
    drafted: int
    accepted: int
    kv_bytes_peak: int
    prelude: Timing
    core: Timing
    fill: Timing
    coda: Timing
    whole: Timing


# Words of the native module's Loop, in capitals there: an engine is checked before that is loaded.
LOOPS = ("auto", "steps")


class Engine:
    """Runs requests of one session. A request's tokens are those it gets alone, whatever runs beside it.

    `submit` and `cancel` may be called from any thread, the rest from one at a time.

    >>> with lariat.load("ouro.lariat") as session:
    ...     engine = Engine(session)
    ...     number = engine.submit([65, 66], GenerateOptions(max_new_tokens=4))
    ...     while engine.tick().unfinished:
    ...         pass
    """

    def __init__(
        self,
        session: Session,
        *,
        chunk_rows: int = 256,
        loop: str = "auto",
        prefix_cache: bool = True,
        missing: str | None = None,
        profile: bool = False,
    ) -> None:
        """Rows of a tick, scheduler and pages are those that the session was loaded with.

        Args:
            chunk_rows: of a prompt that enter together while others generate.
            loop: `steps` runs even a row alone step by step, `auto` a row alone in one call and others step by step.
            prefix_cache: requests begin with the rows that others computed, where everything that decides them is the
                same. Tokens never change; pages of requests that ended are held as long as no other request needs them,
                and while all pages take less than 1 GiB if the session has no limit.
            missing: what later rows see of a row that exited, in all requests.
            profile: keep what `profile` gives.

        Raises:
            RuntimeFault: on the reference path, for an unknown `loop`, or if the model does not generate.
        """
        self._native = self._open(
            session, loop=loop, prefix_cache=prefix_cache, chunk_rows=chunk_rows, missing=missing, profile=profile
        )

    def _open(
        self,
        session: Session,
        *,
        loop: str,
        prefix_cache: bool,
        chunk_rows: int,
        missing: str | None,
        profile: bool,
        experiment: dict[str, Any] | None = None,
    ) -> NativeEngine:
        if read_text(loop, "loop") not in LOOPS:
            raise RuntimeFault(f"loop is '{loop}', expected {' or '.join(LOOPS)}")
        runner = _runner_of(session)
        if not isinstance(runner, FastRunner):
            raise RuntimeFault(f"{session.info.path}: the reference path has no engine")
        self._artefact = session.info
        return runner.open_engine(
            loop=loop,
            prefix_cache=read_flag(prefix_cache, "prefix_cache"),
            chunk_rows=integer(read_whole(chunk_rows, "chunk_rows"), "chunk_rows"),
            missing=None if missing is None else read_text(missing, "missing"),
            profile=read_flag(profile, "profile"),
            experiment=experiment,
        )

    def submit(self, prompt: Iterable[SupportsIndex], options: GenerateOptions | None = None) -> int:
        """Queue a request; returns its number.

        Raises:
            RuntimeFault: if the model cannot do what is asked for.
        """
        arrays, values = self._read(prompt, options)
        return self._native.submit(*arrays, values)

    def _read(
        self, prompt: Iterable[SupportsIndex], options: GenerateOptions | None
    ) -> tuple[tuple[Integers, Integers], str]:
        """A request as the native module takes it."""
        options = GenerateOptions() if options is None else instance_of(GenerateOptions, options, "options")
        if options.missing is not None or options.stop or options.profile:
            raise RuntimeFault("'missing', 'stop' and 'profile' are not options of a request to an engine")
        return to_arrays([read_sequence(prompt, 0)], self._artefact), json.dumps(option_values(options))

    def cancel(self, request: int) -> None:
        """End a request before the next tick; nothing where it has ended.

        Raises:
            RuntimeFault: for a number that was never given.
        """
        self._native.cancel(integer(read_whole(request, "request"), "request"))

    def tick(self) -> Tick:
        """Run one tick; without requests it does nothing."""
        tokens, ends, unfinished = self._native.tick()
        return Tick(
            [
                NewToken(number, id, steps, logprob, tuple(zip(top_ids, top_logprobs, strict=True)))
                for number, id, steps, logprob, top_ids, top_logprobs in tokens
            ],
            [End(*end) for end in ends],
            unfinished,
        )

    def counts(self) -> Counts:
        """What has run so far."""
        found = self._native.counts()
        timings = [Timing(**found[name]) for name in ("prelude", "core", "fill", "coda", "whole")]
        numbers = [
            found[name] for name in ("ticks", "preemptions", "reused_rows", "drafted", "accepted", "kv_bytes_peak")
        ]
        return Counts(*numbers, *timings)

    def clear_prefixes(self) -> None:
        """Give the pages of requests that ended back, which later requests might have begun with."""
        self._native.clear_prefixes()

    def profile(self) -> Profile:
        """What the engine did so far, by depth and over ticks.

        Raises:
            RuntimeFault: unless the engine was made with `profile`.
        """
        return Profile.parse(self._native.profile())


def _runner_of(session: Session) -> Runner:
    from lariat.session import Session

    return instance_of(Session, session, "session").runner
