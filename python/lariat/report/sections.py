# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The charts of a report and the tables under them, from a profile."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lariat.report import charts
from lariat.report.charts import (
    AMOUNT,
    BYTES,
    SECONDS,
    Columns,
    Panel,
    Series,
    Span,
    Value,
    bytes_text,
    number_text,
    seconds_text,
)

if TYPE_CHECKING:
    from lariat.profile import CacheProfile, Profile, TickRecord

__all__ = [
    "Chart",
    "Table",
    "Timeline",
    "calls",
    "color_of",
    "histograms",
    "mean_steps",
    "memory",
    "percent",
    "plural",
    "timeline",
    "times",
]

FUNCTIONS = {
    "prelude": "before the loop",
    "core": "one loop step",
    "fill": "entries of rows that left",
    "coda": "behind the loop",
    "whole": "all in one call",
}

# What rows of a function are doing, for ticks.
DOING = {"prelude": "entering", "core": "in the loop", "fill": "filled", "coda": "leaving", "whole": "whole"}


@dataclass(frozen=True)
class Table:
    """Numbers under a chart. The first column names its row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chart:
    """A chart, the sentence that stands for it, and its numbers."""

    key: str
    title: str
    says: str
    plot: Columns
    table: Table


@dataclass(frozen=True)
class Timeline:
    """Panels over ticks by key, title and note; `tips` are said about each stretch of ticks."""

    panels: tuple[tuple[str, str, str, Panel], ...]
    tips: tuple[str, ...]
    says: str
    table: Table


def plural(count: int, word: str, many: str = "") -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {word if count == 1 else many or f'{word}s'}"


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def mean_steps(counts: Sequence[int]) -> float:
    """Of rows counted by their steps."""
    return sum(steps * count for steps, count in enumerate(counts)) / max(sum(counts), 1)


def color_of(steps: int) -> str:
    """The class of a row's colour: that of the last depth it ran."""
    return f"d{steps - 1}" if steps > 0 else "outside"


# --- columns --------------------------------------------------------------------------------------------------------


def histograms(profile: Profile) -> list[Chart]:
    """Rows by loop steps, of new tokens and of prompts."""
    found = (("generated", "Generated rows", profile.steps.generated), ("prompt", "Prompt rows", profile.steps.prompt))
    return [_histogram(key, title, counts) for key, title, counts in found if sum(counts)]


def _histogram(key: str, title: str, counts: Sequence[int]) -> Chart:
    total = sum(counts)
    first = 0 if counts[0] else 1
    values, rows = [], []
    for steps, count in list(enumerate(counts))[first:]:
        share = percent(count, total)
        tip = f"{plural(steps, 'step')}: {plural(count, 'row')}, {share}"
        values.append(Value(str(steps), str(steps), count, color_of(steps), tip))
        rows.append((str(steps), number_text(count), share))
    says = f"{plural(total, 'row')}, {mean_steps(counts):.2f} loop steps on average."
    table = Table(("loop steps", "rows", "share"), tuple(rows))
    return Chart(f"steps-{key}", title, says, charts.columns(values, AMOUNT), table)


@dataclass(frozen=True)
class _Part:
    """Something that took time."""

    key: str
    label: str
    name: str
    color: str
    rows: int
    seconds: float


def _function_part(profile: Profile, name: str) -> _Part:
    found = profile.functions[name]
    color = "filled" if name == "fill" else "outside"
    return _Part(name, name, f"{name}, {FUNCTIONS[name]}", color, found.rows, found.seconds)


def times(profile: Profile) -> Chart:
    """Seconds of calls, those of the loop by depth."""
    depths = [
        _Part(f"depth-{at}", str(at), f"depth {at}", f"d{at}", one.rows, one.seconds)
        for at, one in enumerate(profile.depths)
    ]
    outside = {name: _function_part(profile, name) for name in ("prelude", "fill", "coda", "whole")}
    in_loop = depths if profile.functions["core"].calls else []
    parts = [outside["prelude"], *in_loop, outside["fill"], outside["coda"], outside["whole"]]
    parts = [part for part in parts if part.seconds]
    total = sum(part.seconds for part in parts)
    values, rows = [], []
    for part in parts:
        took, share = seconds_text(part.seconds), percent(part.seconds, total)
        each = seconds_text(part.seconds / part.rows) if part.rows else "–"
        tip = f"{part.name}: {took}, {share}; {plural(part.rows, 'row')}, {each} each"
        values.append(Value(part.key, part.label, part.seconds, part.color, tip))
        rows.append((part.name, number_text(part.rows), took, share, each))
    if in_loop:
        share = percent(sum(part.seconds for part in in_loop), total)
        says = f"{seconds_text(total)} in calls of compiled code, {share} of it in the loop."
    else:
        says = f"{seconds_text(total)} in calls of compiled code."
    if outside["whole"].rows:
        says += " Rows of 'whole' ran all their loop steps in one call, so that its time belongs to no depth."
    table = Table(("part", "rows", "time", "share", "per row"), tuple(rows))
    return Chart("time", "Time by depth", says, charts.columns(values, SECONDS), table)


def memory(profile: Profile) -> Chart:
    """Bytes of entries of each slot of each cache, at most."""
    values, rows = [], []
    says = "The most that each slot held at the end of a tick, of all requests together."
    for cache in profile.caches:
        several = cache.looped and len(cache.slots) > 1
        for at, slot in enumerate(cache.slots):
            if not slot.entries_peak:
                continue
            size = slot.entries_peak * cache.bytes_per_entry
            pages = slot.pages_peak * cache.bytes_per_page
            name, label = (f"@{cache.name}, slot {at}", str(at)) if several else (f"@{cache.name}", _short(cache))
            color = f"d{at}" if cache.looped else "outside"
            tip = f"{name}: {bytes_text(size)}, {plural(slot.entries_peak, 'entry', 'entries')}"
            values.append(Value(f"{cache.name}-{at}", label, size, color, tip))
            counts = (number_text(slot.entries_peak), bytes_text(size), number_text(slot.pages_peak))
            rows.append((name, *counts, bytes_text(pages)))
        if cache.looped and cache.slots and len(profile.depths) > 1:
            held = sum(slot.entries_peak for slot in cache.slots)
            every = max(slot.entries_peak for slot in cache.slots) * len(profile.depths)
            says += f" @{cache.name} held {percent(held, every)} of what every row at every depth would take."
    table = Table(("slot", "entries", "bytes", "pages", "bytes of pages"), tuple(rows))
    return Chart("memory", "Keys and values by depth", says, charts.columns(values, BYTES), table)


def _short(cache: CacheProfile) -> str:
    return cache.name.removeprefix("kv_")


# --- ticks ----------------------------------------------------------------------------------------------------------


def timeline(profile: Profile) -> Timeline:
    """Rows, requests and pages over ticks."""
    records = profile.occupancy.records
    firsts = itertools.accumulate((one.ticks for one in records), initial=0)
    spans = [Span(first, one.ticks) for first, one in zip(firsts, records, strict=False)]
    rows = [
        Series(f"depth-{depth}", f"depth {depth}", f"d{depth}", [_rows_at(one, depth) / one.ticks for one in records])
        for depth in range(len(profile.depths))
    ]
    requests = [
        Series("running", "running", "running", [one.running for one in records]),
        Series("waiting", "waiting", "waiting", [one.waiting for one in records]),
    ]
    held = [
        Series("pages", "pages", "pages", [one.page_bytes for one in records]),
        Series("live", "entries in them", "live", [one.live_bytes for one in records]),
    ]
    panels = (
        ("rows", "Rows in the loop", "per tick, by depth", charts.panel(spans, rows, 160, AMOUNT, stacked=True)),
        ("requests", "Requests", "", charts.panel(spans, requests, 90, AMOUNT, stacked=True)),
        ("bytes", "Keys and values", "", charts.panel(spans, held, 90, BYTES, stacked=False)),
    )
    mean = sum(sum(one.depths) for one in records) / max(profile.ticks, 1)
    says = (
        f"{plural(profile.ticks, 'tick')} with {mean:.1f} rows in the loop on average, of {profile.max_rows:,} at most."
    )
    head = ("ticks", "time", *DOING.values(), "by depth", "running", "waiting", "pages")
    lines = tuple(_tick_row(span, one) for span, one in zip(spans, records, strict=True))
    tips = tuple(_tick_tip(span, one) for span, one in zip(spans, records, strict=True))
    return Timeline(panels, tips, says, Table(head, lines))


def _rows_at(record: TickRecord, depth: int) -> int:
    return record.depths[depth] if depth < len(record.depths) else 0


def _tick_range(span: Span) -> str:
    return f"{span.first:,}" if span.ticks == 1 else f"{span.first:,}–{span.first + span.ticks - 1:,}"


def _tick_row(span: Span, one: TickRecord) -> tuple[str, ...]:
    rows = [number_text(one.rows[name]) for name in DOING]
    depths = " ".join(map(str, one.depths)) or "–"
    held = bytes_text(one.page_bytes)
    requests = (number_text(one.running), number_text(one.waiting))
    return (_tick_range(span), seconds_text(one.seconds), *rows, depths, *requests, held)


def _tick_tip(span: Span, one: TickRecord) -> str:
    parts = [f"tick {_tick_range(span)}: {seconds_text(one.seconds)}"]
    parts += [f"{number_text(one.rows[name])} {word}" for name, word in DOING.items() if one.rows[name]]
    if one.depths:
        parts.append(f"by depth {' '.join(map(str, one.depths))}")
    waiting = f", {one.waiting} waiting" if one.waiting else ""
    return "; ".join([*parts, f"{plural(one.running, 'request')}{waiting}", f"pages {bytes_text(one.page_bytes)}"])


def calls(profile: Profile) -> Table:
    """Calls of each function, with regions and barriers of one."""
    rows = []
    for name, one in profile.functions.items():
        if one.calls:
            counts = (number_text(one.calls), number_text(one.rows), number_text(one.prompt_rows))
            each = (number_text(round(count / one.calls, 1)) for count in (one.regions, one.barriers))
            rows.append((f"{name}, {FUNCTIONS[name]}", *counts, seconds_text(one.seconds), *each))
    head = ("function", "calls", "rows", "of prompts", "time", "regions per call", "barriers per call")
    return Table(head, tuple(rows))
