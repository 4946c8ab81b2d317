# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Engines for measurements: baselines beside production, rows whose exits are given, schedules to replay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, SupportsIndex

from lariat._fast import integer
from lariat._values import read_flag, read_text, read_wholes
from lariat.engine import Engine
from lariat.errors import RuntimeFault
from lariat.requests import GenerateOptions

if TYPE_CHECKING:
    from lariat._native import ExperimentalEngine as NativeEngine
    from lariat.session import Session

__all__ = ["ExperimentalEngine"]


class ExperimentalEngine(Engine):
    """An engine whose policy and schedule are those of an experiment.

    >>> with lariat.load("ouro.lariat") as session:
    ...     engine = ExperimentalEngine(session, record=True)
    ...     number = engine.submit([65, 66], GenerateOptions(max_new_tokens=4), depths=[2])
    ...     while engine.tick().unfinished:
    ...         pass
    ...     schedule = engine.schedule()
    """

    _native: NativeEngine

    def __init__(
        self,
        session: Session,
        *,
        chunk_rows: int = 256,
        loop: str = "auto",
        prefix_cache: bool = True,
        missing: str | None = None,
        profile: bool = False,
        refills: bool = True,
        splits_loop: bool = True,
        record: bool = False,
        replay: str | None = None,
    ) -> None:
        """The other arguments are those of `Engine`.

        Args:
            refills: False lets rows enter only when the loop is empty, as engines do that batch by token.
            splits_loop: False runs all rows that enter together in one call, so that each waits for the deepest.
            record: keep what `schedule` gives.
            replay: what `schedule` gave: the same is decided and called again, whatever calls take. Requests must be
                those of the recording, submitted in the same order before the first tick; else all fail.

        Raises:
            RuntimeFault: as `Engine` does, and for a `replay` that is damaged or of another model.
        """
        experiment = {
            "refills": read_flag(refills, "refills"),
            "splits_loop": read_flag(splits_loop, "splits_loop"),
            "record": read_flag(record, "record"),
            "replay": None if replay is None else read_text(replay, "replay"),
        }
        self._native = self._open(  # type: ignore[assignment]
            session,
            loop=loop,
            prefix_cache=prefix_cache,
            chunk_rows=chunk_rows,
            missing=missing,
            profile=profile,
            experiment=experiment,
        )

    def submit(
        self,
        prompt: Iterable[SupportsIndex],
        options: GenerateOptions | None = None,
        *,
        depths: Iterable[int] | None = None,
    ) -> int:
        """Queue a request; returns its number.

        Args:
            depths: a row at position p runs at most `depths[p % len(depths)]` loop steps. That changes what the model
                computes.

        Raises:
            RuntimeFault: if the model cannot do what is asked for.
        """
        bounds = None if depths is None else read_wholes(depths, "depths")
        if bounds is not None and not bounds:
            raise RuntimeFault("'depths' of the request has no numbers, expected at least one")
        arrays, values = self._read(prompt, options)
        given = None if bounds is None else [integer(depth, "depths") for depth in bounds]
        return self._native.submit_bound(*arrays, values, given)

    def schedule(self) -> str:
        """What was decided and called since the engine was made, tick by tick, as JSON.

        Raises:
            RuntimeFault: unless the engine was made with `record`.
        """
        return self._native.schedule()
