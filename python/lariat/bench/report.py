# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Markdown from what `measure_model` returns. Ratios come first, absolute times beside them; losses stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from lariat.bench.about import run_lines
from lariat.bench.systems import OURS

__all__ = ["headline", "render"]

_COLUMNS = (
    "system", "its time / lariat's", "of the limit", "ms", "max rel. error", "prepare s", "memory MB", "stored MB",
)  # fmt: skip


def render(result: dict[str, Any]) -> str:
    """The document: what was measured and how, then one table per task and number of threads."""
    return "\n".join([*_preface(result), *(line for case in result["cases"] for line in _case(case, result))]) + "\n"


def headline(case: dict[str, Any]) -> str:
    """One sentence: our share of the machine's limit, and the ratio to each peer."""
    ours = next((entry for entry in case["systems"] if entry["system"] == OURS and _times(entry)), None)
    if ours is None:
        return "lariat was not measured."
    parts = [f"{_share(case, ours)} of the limit ({case['bound']['by']})"] if case["bound"] else []
    for entry in case["systems"]:
        if entry is not ours and _times(entry):
            parts.append(f"{_ratio(entry, ours)[0]:.2f} x {entry['system']}")
    return f"lariat: {', '.join(parts) or 'nothing to compare with'}."


def _preface(result: dict[str, Any]) -> Iterator[str]:
    about, plan = result["about"], result["plan"]
    shape = plan["shape"]
    versions = dict(about["versions"])
    for case in result["cases"]:
        for entry in case["systems"]:
            versions |= entry.get("versions", {})
    yield f"# {plan['name']}"
    yield ""
    yield from run_lines(about)
    yield f"- versions: {', '.join(f'{name} {version}' for name, version in versions.items())}"
    yield (
        f"- model: {shape['name']}, family {shape['family']}, {shape['prelude']} + {shape['shared']} layers x "
        f"{shape['loops']} loop steps + {shape['coda']}, width {shape['width']}, f32, random weights, seed "
        f"{plan['seed']}; every row runs all {shape['loops']} loop steps"
    )
    if result["compiled"]:
        yield f"- {_compiled(result['compiled'])}"
    yield (
        f"- {plan['rounds']} rounds, each the machine's limits and then every system once; before them every system "
        "ran the task at least twice. Times are medians [least..most] of the rounds, ratios the median of the rounds' "
        "ratios. A decode round is the median of its steps. The limit is the best sample of the same run"
    )
    yield (
        f"- outputs: logits within {result['tolerance']:g} of the largest and the same tokens, compared before times; "
        "memory is resident at the end (at most, preparing included)"
    )


def _compiled(compiled: dict[str, Any]) -> str:
    if "error" in compiled:
        return f"lariat compile, {compiled['pipeline']} pipeline: {compiled['error']}"
    text = (
        f"lariat compile, {compiled['pipeline']} pipeline: {compiled['seconds']:.1f} s with weights "
        f"({compiled['cpu_seconds']:.1f} s of processor time, at most {_mb(compiled['peak_bytes'])} MB)"
    )
    for isa, target in (compiled["stages"] or {"targets": {}})["targets"].items():
        text += f"; {isa} {sum(target['seconds'].values()):.2f} s, {target['code_bytes'] / 1e3:.0f} kB of code"
    return text


def _case(case: dict[str, Any], result: dict[str, Any]) -> Iterator[str]:
    warm = case["task"]["warm_steps"]
    yield ""
    yield f"## {case['title'][0].upper()}{case['title'][1:]}, {case['threads']} thread{'s' * (case['threads'] > 1)}"
    yield ""
    yield headline(case)
    if not case["best"]:
        yield "The machine's limits were not measured: lariat-bench-limits did not run."
    else:
        best, bound = case["best"], case["bound"]
        reads = ", ".join(
            f"{int(size) / 1024:.4g} MiB at {speed / 1e9:.1f} GB/s" for size, speed in best["read"].items()
        )
        reading = f", reading {reads}" if case["task"]["kind"] == "decode" else ""
        yield (
            f"Limits in this run: {best['flops'] / 1e9:.1f} GFLOP/s ({best['isa']}){reading}; "
            f"least time {bound['seconds'] * 1e3:.2f} ms by {bound['by']}."
        )
    if warm:
        yield f"The first {warm} of {case['task']['steps']} steps of a round are not timed."
    yield ""
    yield f"| {' | '.join(_COLUMNS)} |"
    yield f"|{'---|' * len(_COLUMNS)}"
    ours = next((entry for entry in case["systems"] if entry["system"] == OURS and _times(entry)), None)
    order = sorted(case["systems"], key=lambda entry: median(_times(entry)) if _times(entry) else float("inf"))
    for entry in order:
        yield f"| {' | '.join(_cells(case, entry, ours, result['compiled']))} |"


def _cells(
    case: dict[str, Any], entry: dict[str, Any], ours: dict[str, Any] | None, compiled: dict[str, Any] | None
) -> Sequence[str]:
    name, times = entry["system"], _times(entry)
    if not times:
        why = f"absent: {entry['absent']}" if "absent" in entry else entry.get("failed", "not measured")
        return [name, why.replace("|", "/"), *["-"] * (len(_COLUMNS) - 2)]
    ratio = "-"
    if ours is not None:
        middle, low, high = _ratio(entry, ours)
        ratio = f"**{middle:.2f}** [{low:.2f}..{high:.2f}]" if entry is not ours else "1"
    prepare = f"{entry['prepare_seconds']:.1f}"
    if name == OURS and compiled:
        prepare = f"{compiled['seconds']:.1f} + {prepare}"
    error = entry.get("max_relative_error")
    memory = f"{_mb(entry['memory_bytes'])} ({_mb(entry['peak_bytes'])})" if entry.get("memory_bytes") else "-"
    return [
        name + (f" ({entry['note']})" if entry.get("note") else ""),
        ratio,
        _share(case, entry) if case["bound"] else "-",
        f"{median(times) * 1e3:.2f} [{min(times) * 1e3:.2f}..{max(times) * 1e3:.2f}]",
        "-" if error is None else f"{error:.1e}",
        prepare,
        memory,
        "-" if entry.get("stored_bytes") is None else _mb(entry["stored_bytes"]),
    ]


def _times(entry: dict[str, Any]) -> list[float]:
    """Seconds of each round; none for a system that was absent or failed."""
    if "absent" in entry or "failed" in entry:
        return []
    return [median(one) for one in entry.get("seconds", [])]


def _ratio(entry: dict[str, Any], ours: dict[str, Any]) -> tuple[float, float, float]:
    """Median, least and most of the rounds' ratios: above 1, lariat is faster."""
    ratios = [theirs / own for theirs, own in zip(_times(entry), _times(ours), strict=True)]
    return median(ratios), min(ratios), max(ratios)


def _share(case: dict[str, Any], entry: dict[str, Any]) -> str:
    return f"{100 * case['bound']['seconds'] / median(_times(entry)):.0f} %"


def _mb(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.0f}" if num_bytes >= 1e6 else f"{num_bytes / 1e6:.1f}"
