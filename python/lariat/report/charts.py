# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where the marks of a report's charts stand, in the units of their view boxes. Nothing here knows HTML or SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "AMOUNT",
    "BYTES",
    "SECONDS",
    "Area",
    "Bar",
    "Columns",
    "Cut",
    "Panel",
    "Scale",
    "Series",
    "Span",
    "Value",
    "bytes_text",
    "columns",
    "number_text",
    "panel",
    "seconds_text",
]

# Of a column chart: margins leave room for the numbers of the axis and for a line of labels.
WIDTH, HEIGHT = 420.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 8.0, 18.0, 24.0

# More columns than this have no room for a number on each.
MOST_NUMBERS, MOST_LABELS = 9, 12
WIDEST_COLUMN, GAP = 54.0, 2.0


@dataclass(frozen=True)
class Value:
    """What one column shows: its label below, its colour, and what is said about it."""

    key: str
    label: str
    value: float
    color: str
    tip: str


@dataclass(frozen=True)
class Bar:
    """A column at its place; `number` and `label` are empty where there is no room."""

    of: Value
    x: float
    y: float
    width: float
    height: float
    number: str
    label: str


@dataclass(frozen=True)
class Tick:
    """A line of the grid."""

    at: float
    text: str


@dataclass(frozen=True)
class Columns:
    """A column chart."""

    width: float
    height: float
    left: float
    right: float
    base: float
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


def number_text(value: float) -> str:
    """`1,234`, `12.5`, `0.125`: three digits of what is not whole."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.{max(0, 2 - int(math.floor(math.log10(abs(value)))))}f}" if abs(value) >= 1e-9 else "0"


def bytes_text(value: float) -> str:
    """`512 B`, `1.5 KiB`, `20 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{number_text(value if value < 10 and unit != 'B' else round(value))} {unit}"


def seconds_text(value: float) -> str:
    """`1.25 s`, `13.5 ms`, `250 µs`."""
    if value >= 1 or value == 0:
        return f"{value:.3g} s" if value < 1000 else f"{value:,.0f} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


@dataclass(frozen=True)
class Scale:
    """How an axis counts: how numbers are written, and which steps between ticks are round."""

    text: Callable[[float], str]
    round_step: Callable[[float], float]


def _decimal_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * (1 - 1e-9))


def _whole_step(least: float) -> float:
    return max(_decimal_step(least), 1.0) if least > 5 else float(next(step for step in (1, 2, 5) if step >= least))


def _binary_step(least: float) -> float:
    return float(2 ** math.ceil(math.log2(max(least, 1))))


AMOUNT = Scale(number_text, _whole_step)
SECONDS = Scale(seconds_text, _decimal_step)
BYTES = Scale(bytes_text, _binary_step)


def _grid(largest: float, base: float, top: float, scale: Scale) -> tuple[float, tuple[Tick, ...]]:
    """The end of an axis from 0, and its ticks: at most five, at round numbers."""
    if largest <= 0:
        return 1.0, ()
    step = scale.round_step(largest / 4)
    count = math.ceil(largest / step - 1e-9)
    ticks = tuple(Tick(base - (base - top) * at / count, scale.text(step * at)) for at in range(count + 1))
    return step * count, ticks


def columns(values: Sequence[Value], scale: Scale) -> Columns:
    """One column per value."""
    base = HEIGHT - BOTTOM
    end, ticks = _grid(max((one.value for one in values), default=0), base, TOP, scale)
    place = (WIDTH - LEFT - RIGHT) / max(len(values), 1)
    width = max(min(place - GAP, WIDEST_COLUMN), place * 0.6)
    every = math.ceil(len(values) / MOST_LABELS)
    bars = []
    for at, one in enumerate(values):
        height = (base - TOP) * one.value / end
        x = LEFT + place * at + (place - width) / 2
        number = scale.text(one.value) if len(values) <= MOST_NUMBERS and one.value > 0 else ""
        is_last = at + 1 == len(values)
        label = one.label if is_last or (at % every == 0 and at + every < len(values)) else ""
        bars.append(Bar(one, x, base - height, width, height, number, label))
    return Columns(WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, base, tuple(bars), ticks)


# Of panels over ticks, one above the other.
PANEL_WIDTH, PANEL_LEFT, PANEL_TOP, PANEL_BOTTOM = 640.0, 56.0, 14.0, 6.0

# The axis is made for so many of the ticks; the others are cut where they are so many times as high.
SHARE_SHOWN, CUT_FROM, CUT_DISTANCE = 0.95, 3.0, 48.0


class Span(NamedTuple):
    """Neighbouring ticks as a stretch of the axis: the first one, and how many."""

    first: int
    ticks: int


class Series(NamedTuple):
    """A value per stretch."""

    key: str
    label: str
    color: str
    values: Sequence[float]


@dataclass(frozen=True)
class Area:
    """A series as the outline of an area; `total` is its sum over ticks."""

    of: Series
    path: str
    total: float


@dataclass(frozen=True)
class Cut:
    """Where stretches are higher than the axis, with the number of the highest."""

    x: float
    number: str


@dataclass(frozen=True)
class Panel:
    """Series over ticks; `places` are left edge and width of each stretch."""

    width: float
    height: float
    left: float
    right: float
    base: float
    areas: tuple[Area, ...]
    ticks: tuple[Tick, ...]
    places: tuple[tuple[float, float], ...]
    cuts: tuple[Cut, ...]


def _shown(spans: Sequence[Span], tops: Sequence[float]) -> float:
    """What the axis has to reach: the largest value, unless a few ticks are far above the rest."""
    largest, left = max(tops, default=0.0), sum(span.ticks for span in spans) * SHARE_SHOWN
    for top, span in sorted(zip(tops, spans, strict=True)):
        left -= span.ticks
        if left <= 0:
            return 1.4 * top if top > 0 and largest > CUT_FROM * top else largest
    return largest


def _label(cut: Sequence[tuple[float, float]], scale: Scale) -> list[Cut]:
    """Numbers of stretches that are cut; of those too close for numbers of their own, the largest."""
    groups: list[list[tuple[float, float]]] = []
    for x, top in cut:
        if groups and x - groups[-1][0][0] < CUT_DISTANCE:
            groups[-1].append((x, top))
        else:
            groups.append([(x, top)])
    return [Cut(group[0][0], scale.text(max(top for _, top in group))) for group in groups]


def panel(spans: Sequence[Span], series: Sequence[Series], height: float, scale: Scale, *, stacked: bool) -> Panel:
    """Steps over stretches of ticks, on top of each other or each from 0."""
    base, right = height - PANEL_BOTTOM, PANEL_WIDTH - RIGHT
    width = (right - PANEL_LEFT) / max(sum(span.ticks for span in spans), 1)
    places = [(PANEL_LEFT + span.first * width, span.ticks * width) for span in spans]
    lows: list[list[float]] = []
    highs: list[list[float]] = []
    for one in series:
        lows.append(highs[-1] if stacked and highs else [0.0] * len(spans))
        highs.append([low + value for low, value in zip(lows[-1], one.values, strict=True)])
    tops = [max(values) for values in zip(*highs, strict=True)]
    end, ticks = _grid(_shown(spans, tops), base, PANEL_TOP, scale)

    def points(values: Sequence[float]) -> list[str]:
        heights = [base - (base - PANEL_TOP) * min(value / end, 1) for value in values]
        return [
            f"{x:.2f},{y:.2f}" for (left, wide), y in zip(places, heights, strict=True) for x in (left, left + wide)
        ]

    areas = []
    for one, low, high in zip(series, lows, highs, strict=True):
        total = sum(value * span.ticks for value, span in zip(one.values, spans, strict=True))
        areas.append(Area(one, f"M{' '.join(points(high) + points(low)[::-1])}Z" if spans else "", total))
    cuts = _label([(left + wide / 2, top) for (left, wide), top in zip(places, tops, strict=True) if top > end], scale)
    return Panel(PANEL_WIDTH, height, PANEL_LEFT, right, base, tuple(areas), ticks, tuple(places), tuple(cuts))
