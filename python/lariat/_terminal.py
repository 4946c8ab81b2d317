# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokens coloured by depth, and the lines that `lariat` prints about a model and a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from lariat._runner import missing_word

if TYPE_CHECKING:
    from lariat.artefact import Artefact, Cache
    from lariat.session import Generation, SlotUse

__all__ = ["Palette", "describe", "summarise", "wants_color"]

# 256-colour codes from shallow to deep, readable on light and dark grounds.
RAMP = (33, 37, 35, 142, 172, 166, 160, 161, 127)


def wants_color(choice: str, stream: TextIO) -> bool:
    """Whether to colour: `always`, `never`, or `auto`, which asks for a terminal and heeds NO_COLOR (no-color.org)."""
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Palette:
    """One colour for each number of loop steps up to `most`; plain text if not `enabled`."""

    def __init__(self, most: int, *, enabled: bool) -> None:
        self._most = most
        self._enabled = enabled

    def paint(self, text: str, steps: int) -> str:
        if not self._enabled or not text:
            return text
        at = (min(steps, self._most) - 1) * (len(RAMP) - 1) // max(self._most - 1, 1)
        color = f"\x1b[38;5;{RAMP[max(at, 0)]}m"
        # Line by line, so that a pager or an interrupted run never leaves the terminal coloured.
        return "\n".join(f"{color}{line}\x1b[0m" if line else "" for line in text.split("\n"))


def summarise(info: Artefact, palette: Palette, result: Generation, missing: str | None) -> list[str]:
    """Lines about one generated sequence: tokens by loop steps, which is the legend of the colours, and KV bytes.

    `missing` is the mode the caller asked for, none for the one declared.
    """
    steps = result.steps
    counts = sorted(Counter(steps).items())
    shares = ", ".join(
        palette.paint(f"{depth} step{'s' if depth != 1 else ''}: {count}", depth) for depth, count in counts
    )
    mean = f"; mean {sum(steps) / len(steps):.2f}" if steps else ""
    lines = [f"{len(steps)} tokens ({result.finish}), {shares}{mean}"]
    slots = result.slots or {}
    return lines + [_kv_line(cache, slots[cache.name], missing) for cache in info.caches if cache.name in slots]


def _kv_line(cache: Cache, layers: Sequence[Sequence[SlotUse]], missing: str | None) -> str:
    slots = [slot for layer in layers for slot in layer]
    rows = max((slot.computed for slot in slots), default=0)
    # Where later rows read another entry of a row that stopped, nothing is stored in its stead.
    fills = (missing_word(missing) or cache.missing) in cache.filling
    entries = sum(slot.computed + (slot.filled if fills else 0) for slot in slots)
    used = entries * cache.bytes_per_entry
    full = rows * cache.bytes_per_token_unshared
    share = f", {100 * used / full:.0f} % of every row at every depth" if full else ""
    return f"KV @{cache.name}: {entries:,} entries, {used:,} bytes{share}"


def describe(info: Artefact) -> list[str]:
    """What `lariat info` prints."""
    fields = [
        ("artefact", str(info.path)),
        ("family", f"{info.family} ({info.kind})"),
        ("loop", info.shape or "not described"),
        ("loops R", _loops(info)),
        ("order", f"{info.order}: {info.cuts}" if info.cuts else info.order),
        *((f"cache @{cache.name}", _cache(cache)) for cache in info.caches),
        ("exit rule", _exit(info)),
        ("KV per token", f"{info.bytes_per_token:,} bytes{_whole_loop(info.loops.default)}"),
        ("dtype", f"{info.dtype}, KV {info.kv_dtype}"),
        ("vocabulary", f"{info.vocabulary:,} tokens, end of sequence {', '.join(map(str, info.eos)) or 'none'}"),
        ("context", f"{info.context:,} positions"),
        ("targets", ", ".join(_target(info, name) for name in info.targets) or "none"),
        ("weights", _weights(info)),
        ("pipeline", info.pipeline),
        ("versions", f"artefact format {info.format_version}, lariat {info.lariat_version}"),
        ("files", f"{info.num_files}, {info.num_bytes:,} bytes"),
    ]
    width = max(len(name) for name, _ in fields)
    return [f"{name:<{width}}  {value}" for name, value in fields]


def _target(info: Artefact, name: str) -> str:
    code = info.file_bytes(f"code/{name}.so")
    return name if code is None else f"{name} ({code:,} bytes of code)"


def _weights(info: Artefact) -> str:
    for name, kind in (("weights.bin", "packed"), ("weights/model.safetensors", "as stored")):
        size = info.file_bytes(name)
        if size is not None:
            return f"{size:,} bytes, {kind}"
    return "inline"


def _whole_loop(loops: int) -> str:
    return f" when a token runs all {loops} loop steps" if loops > 1 else ""


def _loops(info: Artefact) -> str:
    loops = info.loops
    if not loops.free:
        return f"{loops.default}, fixed"
    beyond = f", {loops.with_exit} where tokens may exit" if loops.with_exit != loops.default else ""
    return (
        f"{loops.default} by default{beyond}; --loops takes {loops.min} {f'to {loops.max}' if loops.max else 'or more'}"
    )


def _cache(cache: Cache) -> str:
    allowed = f" (--missing takes {', '.join(cache.allowed)})" if len(cache.allowed) > 1 else ""
    layers = f"{cache.layers} layer{'s' if cache.layers != 1 else ''}"
    slots = f"{cache.slots} slot{'s' if cache.slots != 1 else ''}"
    policy = cache.policy.removeprefix("#lariat.")
    if cache.declared_policy is not None:
        policy += f" (overrides {cache.declared_policy.removeprefix('#lariat.')}, which the model declares)"
    order = cache.order
    if cache.generated_order != order:
        order += f", of generated rows {cache.generated_order}"
    return f"{policy}{allowed}; {layers} x {slots}, {cache.bytes_per_entry:,} bytes per entry, order {order}"


def _exit(info: Artefact) -> str:
    rule = info.exit
    if rule is None:
        return "none declared"
    if not rule.takes_threshold:
        return f"{rule.rule}, without a threshold"
    default = "no exit" if rule.default in (None, rule.never) else f"{rule.default:g}"
    usual = "" if rule.usual is None else f", usual {rule.usual:g}"
    return f"{rule.rule}, threshold {rule.low:g} to {rule.high:g}, default {default}, never at {rule.never:g}{usual}"
