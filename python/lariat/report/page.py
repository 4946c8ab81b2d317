# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One self-contained HTML page about how a model ran: what goes into the template `page.html`.

The page loads nothing, and everything in it is escaped: texts of prompts and models are not trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lariat.report import sections
from lariat.report.charts import bytes_text, number_text, seconds_text
from lariat.report.sections import color_of, mean_steps, percent, plural

if TYPE_CHECKING:
    from lariat.artefact import Artefact, Cache
    from lariat.profile import Profile

__all__ = ["Continuation", "Piece", "render"]

# Colours of depths from shallow to deep, on light and on dark ground; those between are mixed.
LIGHT = ((0x5E, 0xC4, 0xB6), (0x3A, 0x9F, 0xC4), (0x4A, 0x74, 0xC9), (0x6A, 0x4B, 0xB8), (0x86, 0x2A, 0x93))
DARK = ((0x2F, 0x8F, 0x86), (0x3F, 0x8F, 0xC0), (0x6D, 0x8F, 0xE6), (0xA5, 0x8A, 0xF0), (0xE5, 0x9A, 0xE6))

# Caches of layers before and behind the loop, as importers name them.
BEFORE, BEHIND = ("kv_first", "kv_prelude"), ("kv_last", "kv_coda")


class Piece(NamedTuple):
    """A new token as the page shows it: its id, loop steps of the row that chose it, the text that it completes."""

    id: int
    steps: int
    text: str


@dataclass(frozen=True)
class Continuation:
    """A prompt and how it went on; without a tokenizer the texts are ids."""

    prompt: str
    pieces: tuple[Piece, ...]
    finish: str


class Fact(NamedTuple):
    """A number at the top of the page."""

    key: str
    label: str
    value: str
    note: str


class Stage(NamedTuple):
    """A box of the loop's diagram."""

    name: str
    lines: tuple[str, ...]


def render(info: Artefact, profile: Profile, continuations: Sequence[Continuation]) -> str:
    """The page; `continuations` are none where only the profile is known."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    steps = [piece.steps for one in continuations for piece in one.pieces]
    num_colors = max([len(profile.depths), *steps])
    return environment.get_template("page.html").render(
        title=f"{info.family} · {info.path.resolve().name}",
        facts=_facts(profile, continuations),
        stages=_stages(info, profile),
        depths=profile.depths,
        most_rows=max((one.rows for one in profile.depths), default=0) or 1,
        notes=_notes(info),
        continuations=continuations,
        legend=[(count, steps.count(count)) for count in sorted(set(steps))],
        color=color_of,
        colors=[(at, _mix(LIGHT, at, num_colors), _mix(DARK, at, num_colors)) for at in range(num_colors)],
        histograms=sections.histograms(profile),
        times=sections.times(profile),
        memory=sections.memory(profile),
        timeline=sections.timeline(profile),
        ticks_per_record=profile.occupancy.ticks_per_record,
        calls=sections.calls(profile),
    )


def _mix(stops: Sequence[tuple[int, int, int]], depth: int, num_colors: int) -> str:
    at = depth / max(num_colors - 1, 1) * (len(stops) - 1)
    low = min(int(at), len(stops) - 2)
    mixed = (a + (b - a) * (at - low) for a, b in zip(stops[low], stops[low + 1], strict=True))
    return "#" + "".join(f"{round(part):02x}" for part in mixed)


def _facts(profile: Profile, continuations: Sequence[Continuation]) -> list[Fact]:
    records, generated = profile.occupancy.records, profile.steps.generated
    live, held = (
        max(values, default=0) for values in ([r.live_bytes for r in records], [r.page_bytes for r in records])
    )
    in_calls = sum(one.seconds for one in profile.functions.values())
    in_loop = profile.functions["core"].seconds
    rate = number_text(round(profile.tokens / profile.seconds, 1)) if profile.seconds else "–"
    prompts = plural(len(continuations), "prompt") if continuations else "of all requests"
    facts = [
        Fact("tokens", "new tokens", number_text(profile.tokens), prompts),
        Fact("rate", "tokens per second", rate, f"{seconds_text(profile.seconds)} in ticks, prompts too"),
        Fact(
            "steps", "mean loop steps", f"{mean_steps(generated):.2f}" if sum(generated) else "–", "of generated rows"
        ),
        Fact("loop", "time in the loop", percent(in_loop, in_calls) if in_loop else "–", "of calls of compiled code"),
        Fact("kv", "most keys and values", bytes_text(live), f"in {bytes_text(held)} of pages"),
        Fact("ticks", "ticks", number_text(profile.ticks), f"of {profile.max_rows:,} rows at most"),
        Fact("threads", "threads", number_text(profile.threads), "that compute"),
        Fact("isa", "code", profile.isa, "the ISA that ran"),
    ]
    if profile.preemptions:
        note = "gave their pages back; their rows count again"
        facts.append(Fact("preemptions", "preemptions", number_text(profile.preemptions), note))
    return facts


def _stages(info: Artefact, profile: Profile) -> tuple[Stage, ...]:
    looped = {cache.name for cache in profile.caches if cache.looped}
    before = [cache for cache in info.caches if cache.name in BEFORE]
    behind = [cache for cache in info.caches if cache.name in BEHIND]
    others = [cache for cache in info.caches if cache.name in looped or cache.name not in BEFORE + BEHIND]
    return (
        Stage("prelude", ("token embedding", *map(_layers, before))),
        Stage("core", tuple(map(_layers, others))),
        Stage("coda", (*map(_layers, behind), f"head over {info.vocabulary:,} tokens")),
    )


def _layers(cache: Cache) -> str:
    return f"{plural(cache.layers, 'layer')}, {plural(cache.heads, 'KV head')} × {cache.dim}"


def _notes(info: Artefact) -> list[tuple[str, str]]:
    rule, loops = info.exit, info.loops
    notes = [("shape", info.shape or "not described")]
    if loops.free:
        notes.append(("loop steps R", f"{loops.default} by default, {loops.min} to {loops.max or 'any number'}"))
    else:
        notes.append(("loop steps R", f"{loops.default}, fixed"))
    if rule is None:
        notes.append(("exit rule", "none declared"))
    elif not rule.takes_threshold:
        notes.append(("exit rule", f"{rule.rule}, without a threshold"))
    else:
        notes.append(("exit rule", f"{rule.rule}, threshold {rule.low:g} to {rule.high:g}, never at {rule.never:g}"))
    for cache in info.caches:
        slots = f"{plural(cache.layers, 'layer')} × {plural(cache.slots, 'slot')}"
        stored = f"{cache.bytes_per_entry:,} bytes per entry, {cache.dtype}, order {cache.order}"
        notes.append((f"cache @{cache.name}", f"{cache.policy.removeprefix('#lariat.')}; {slots}, {stored}"))
    notes.append(("weights", info.dtype))
    return notes
