# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What an engine did: by function, by depth, by slot of a cache, over ticks (docs/profile.md)."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from dataclasses import dataclass
from typing import Any, TypeVar

from lariat.errors import RuntimeFault

__all__ = [
    "CacheProfile",
    "DepthProfile",
    "FunctionProfile",
    "Occupancy",
    "Profile",
    "SlotProfile",
    "StepCounts",
    "TickRecord",
]

T = TypeVar("T")

VERSION = 1

FUNCTIONS = frozenset(("prelude", "core", "fill", "coda", "whole"))


@dataclass(frozen=True)
class FunctionProfile:
    """Calls of one function: rows in them, wall-clock seconds, and regions and barriers of the threads."""

    calls: int
    rows: int
    prompt_rows: int
    seconds: float
    regions: int
    barriers: int


@dataclass(frozen=True)
class DepthProfile:
    """Rows that ran one depth, that left the loop after it, and that got entries filled in; seconds of both.

    Seconds of a call whose rows are at several depths are shared among the depths by rows.
    """

    rows: int
    prompt_rows: int
    exits: int
    filled_rows: int
    seconds: float
    fill_seconds: float


@dataclass(frozen=True)
class StepCounts:
    """Rows by their loop steps, from 0 on."""

    generated: tuple[int, ...]
    prompt: tuple[int, ...]


@dataclass(frozen=True)
class SlotProfile:
    """Entries and pages of one slot, of all sequences: now, and the most that there were at the end of a tick."""

    computed: int
    filled: int
    pages: int
    entries_peak: int
    pages_peak: int


@dataclass(frozen=True)
class CacheProfile:
    """One cache; a looped one is written at each depth, in slots of their own or shared ones."""

    name: str
    looped: bool
    bytes_per_entry: int
    bytes_per_page: int
    slots: tuple[SlotProfile, ...]
    live_bytes: int
    page_bytes: int
    live_bytes_peak: int
    page_bytes_peak: int


@dataclass(frozen=True)
class TickRecord:
    """Neighbouring ticks: sums, but of `running` and what follows the largest. `rows` are by function."""

    ticks: int
    seconds: float
    rows: dict[str, int]
    depths: tuple[int, ...]
    prompt_rows: int
    tokens: int
    running: int
    waiting: int
    live_bytes: int
    page_bytes: int


@dataclass(frozen=True)
class Occupancy:
    """The ticks in order. All records but the last are of `ticks_per_record` ticks."""

    ticks_per_record: int
    records: tuple[TickRecord, ...]


@dataclass(frozen=True)
class Profile:
    """All of it, since the engine was made.

    Attributes:
        ticks: that ran rows.
        seconds: of these ticks, with everything that is not in a call.
        tokens: that requests got.
        preemptions: requests that gave their pages back; the rows that they computed again count again.
        functions: `prelude`, `core`, `fill`, `coda`, and `whole` for rows that ran all their steps in one call.
        depths: from 0 to the deepest that ran.
        caches: in the order of the manifest.
    """

    version: int
    isa: str
    threads: int
    max_rows: int
    ticks: int
    seconds: float
    tokens: int
    preemptions: int
    functions: dict[str, FunctionProfile]
    depths: tuple[DepthProfile, ...]
    steps: StepCounts
    caches: tuple[CacheProfile, ...]
    occupancy: Occupancy

    @classmethod
    def parse(cls, text: str, place: str = "the profile") -> Profile:
        """Read JSON, as `to_json` and the runtime write it; `place` is where it is from, for messages.

        Raises:
            RuntimeFault: if it is no profile, or one of another version.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise RuntimeFault(f"{place}: not JSON") from None
        version = data.get("version") if isinstance(data, dict) else None
        if version != VERSION:
            raise RuntimeFault(f"{place}: not a profile of version {VERSION}, which is what this version reads")
        profile = _read(cls, data, place)
        named = [("'functions'", set(profile.functions))]
        named += [(f"'records'[{at}]: 'rows'", set(one.rows)) for at, one in enumerate(profile.occupancy.records)]
        for name, found in named:
            if not found >= FUNCTIONS:
                raise RuntimeFault(f"{place}: {name}: expected {', '.join(sorted(FUNCTIONS))}")
        return profile

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def _read(kind: type[T], data: object, place: str) -> T:
    """A value of the type, of dataclasses and containers of them; numbers are not negative."""
    value: Any
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        _expect(isinstance(data, dict), data, place, "an object")
        assert isinstance(data, dict)
        hints = typing.get_type_hints(kind)
        missing = sorted(hints.keys() - data.keys())
        if missing:
            raise RuntimeFault(f"{place}: '{missing[0]}' is missing")
        value = kind(**{name: _read(hint, data[name], f"{place}: '{name}'") for name, hint in hints.items()})
    elif origin is tuple:
        _expect(isinstance(data, list), data, place, "a list")
        assert isinstance(data, list)
        value = tuple(_read(inner[0], one, f"{place}[{at}]") for at, one in enumerate(data))
    elif origin is dict:
        _expect(isinstance(data, dict), data, place, "an object")
        assert isinstance(data, dict)
        value = {str(name): _read(inner[1], one, f"{place}: '{name}'") for name, one in data.items()}
    elif kind is float:
        right = isinstance(data, int | float) and not isinstance(data, bool) and math.isfinite(data) and data >= 0
        _expect(right, data, place, "a number of at least 0")
        value = float(typing.cast(float, data))
    elif kind is int:
        right = isinstance(data, int) and not isinstance(data, bool) and 0 <= data < 2**63
        _expect(right, data, place, "a whole number of at least 0")
        value = data
    else:
        _expect(isinstance(data, kind), data, place, kind.__name__)
        value = data
    return typing.cast(T, value)


def _expect(right: bool, data: object, place: str, expected: str) -> None:
    if not right:
        found = str(data) if isinstance(data, int | float) else type(data).__name__
        raise RuntimeFault(f"{place}: expected {expected}, found {found}")
