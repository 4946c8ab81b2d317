# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ways to batch rows of different depths side by side: one load, several numbers of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lariat.bench.load import Load
from lariat.bench.serve import serve

__all__ = ["measure_batching", "render_batching"]

# Name of a run: engine, exits where they are not the load's.
RUNS = {
    "depth": ("depth", None),
    "compact": ("compact", None),
    "full": ("full", "full"),
    "depth, all steps": ("depth", "full"),
    "whole": ("whole", "full"),
}


def measure_batching(
    artefact: Path, load: Load, rows: Sequence[int], rounds: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Every run of RUNS for each number of rows, in rounds one after the other; of each, the round with most tokens.

    Raises:
        RuntimeFault: for a load that the model does not allow.
    """
    cases = []
    for count in rows:
        # A request per place: once prompts have run, all places are taken until the first one ends.
        one = replace(load, rows=count, requests=count)
        found: dict[str, dict[str, Any]] = {}
        for _ in range(rounds):
            for name, (engine, exits) in RUNS.items():
                done = serve(artefact, replace(one, engine=engine, exits=exits or load.exits))
                if name not in found or done["tokens_per_s"] > found[name]["tokens_per_s"]:
                    found[name] = done
        cases.append({"rows": count, "runs": found})
        report(f"{count} rows: {found['depth']['tokens_per_s']:.1f} tokens/s by depth")
    return {"cases": cases, "rounds": rounds}


def render_batching(measured: dict[str, Any], about: Sequence[str]) -> str:
    """The document."""
    lines = ["# Batching by depth", "", *about, "", *_throughput(measured), "", *_latency(measured)]
    return "\n".join(lines) + "\n"


def _throughput(measured: dict[str, Any]) -> Iterator[str]:
    yield "## Tokens per second in the steady state"
    yield ""
    yield (
        "| rows | mean depth | depth | of its bound | loop only, of its bound | compact | full | depth / compact | "
        "depth / full | all steps: by depth | in one call | share |"
    )
    yield "|" + "---|" * 12
    for case in measured["cases"]:
        runs = case["runs"]
        depth, all_steps = runs["depth"], runs["depth, all steps"]
        speed = {name: run["tokens_per_s"] for name, run in runs.items()}
        loop = depth["loop_only_tokens_per_s"] / depth["loop_only_bound"]
        yield (
            f"| {case['rows']} | {depth['mean_depth']:.2f} | {speed['depth']:.1f} | "
            f"{100 * speed['depth'] / depth['bound_tokens_per_s']:.1f} % | {100 * loop:.1f} % | "
            f"{speed['compact']:.1f} | "
            f"{speed['full']:.1f} | **{speed['depth'] / speed['compact']:.2f}** | "
            f"**{speed['depth'] / speed['full']:.2f}** | {all_steps['tokens_per_s']:.1f} | {speed['whole']:.1f} | "
            f"{100 * all_steps['tokens_per_s'] / speed['whole']:.1f} % |"
        )


def _latency(measured: dict[str, Any]) -> Iterator[str]:
    yield "## Between tokens, and until the first one, in ms"
    yield ""
    yield (
        "| rows | engine | between tokens: p50 | p95 | p99 | alone | slow-down | first token: p50 | p95 | p99 | "
        "occupancy | KV MB |"
    )
    yield "|" + "---|" * 12
    for case in measured["cases"]:
        for name in ("depth", "compact", "full"):
            run = case["runs"][name]
            gaps, first = run["inter_token_ms"], run["ttft_ms"]
            cells = [gaps["p50"], gaps["p95"], gaps["p99"], run["solo_inter_token_ms"]["p50"], run["slow_down"]]
            cells += [first["p50"], first["p95"], first["p99"]]
            yield (
                f"| {case['rows']} | {name} | {' | '.join(f'{cell:.1f}' for cell in cells)} | "
                f"{run['occupancy']:.2f} | {run['kv_bytes_peak'] / 1e6:.0f} |"
            )
