# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ways to batch rows of different depths side by side: one load, several numbers of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lariat.bench.load import Load
from lariat.bench.overhead import measure_overhead
from lariat.bench.serve import serve

__all__ = ["measure_batching", "render_batching"]

# Engines of the runs, with exits where they are not the load's.
RUNS = {"depth": None, "compact": None, "full": "full"}


def measure_batching(
    artefact: Path, load: Load, rows: Sequence[int], rounds: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Every run of RUNS for each number of rows, in rounds one after the other; of each, the round with most tokens.
    And what steps cost over one call, which is too little to see that way.

    Raises:
        RuntimeFault: for a load that the model does not allow.
    """
    cases = []
    for count in rows:
        # A request per place: once prompts have run, all places are taken until the first one ends.
        one = replace(load, rows=count, requests=count)
        found: dict[str, dict[str, Any]] = {}
        for _ in range(rounds):
            for engine, exits in RUNS.items():
                done = serve(artefact, replace(one, engine=engine, exits=exits or load.exits))
                if engine not in found or done["tokens_per_s"] > found[engine]["tokens_per_s"]:
                    found[engine] = done
        overhead = measure_overhead(artefact, one, rounds)
        cases.append({"rows": count, "runs": found, "overhead": overhead})
        report(
            f"{count} rows: {found['depth']['tokens_per_s']:.1f} tokens/s by depth, steps take "
            f"{overhead['ratio'][1]:.3f} of one call"
        )
    return {"cases": cases, "rounds": rounds}


def render_batching(measured: dict[str, Any], about: Sequence[str]) -> str:
    """The document."""
    lines = ["# Batching by depth", "", *about, ""]
    for part in (_throughput, _overhead, _latency):
        lines += [*part(measured), ""]
    return "\n".join(lines)


def _throughput(measured: dict[str, Any]) -> Iterator[str]:
    yield "## Tokens per second in the steady state"
    yield ""
    yield (
        "| rows | mean depth | depth | of its bound | loop only, of its bound | compact | full | depth / compact | "
        "depth / full |"
    )
    yield "|" + "---|" * 9
    for case in measured["cases"]:
        runs = case["runs"]
        depth = runs["depth"]
        speed = {name: run["tokens_per_s"] for name, run in runs.items()}
        loop = depth["loop_only_tokens_per_s"] / depth["loop_only_bound"]
        yield (
            f"| {case['rows']} | {depth['mean_depth']:.2f} | {speed['depth']:.1f} | "
            f"{100 * speed['depth'] / depth['bound_tokens_per_s']:.1f} % | {100 * loop:.1f} % | "
            f"{speed['compact']:.1f} | {speed['full']:.1f} | **{speed['depth'] / speed['compact']:.2f}** | "
            f"**{speed['depth'] / speed['full']:.2f}** |"
        )


def _overhead(measured: dict[str, Any]) -> Iterator[str]:
    yield "## All loop steps, step by step and in one call"
    yield ""
    yield (
        "Requests that start together, so that all rows are at one depth: an engine that runs steps and one that calls "
        "@forward take turns, token by token. Median of the ratios of their times (quartiles)."
    )
    yield ""
    yield "| rows | turns | steps: tokens/s | one call: tokens/s | time of steps / of one call | in compiled code |"
    yield "|" + "---|" * 6
    for case in measured["cases"]:
        found = case["overhead"]
        quartiles = (found["ratio"], found["functions_ratio"])
        ratios = [f"{middle:.3f} ({low:.3f} to {high:.3f})" for low, middle, high in quartiles]
        speed = found["tokens_per_s"]
        yield (
            f"| {case['rows']} | {found['turns']} | {speed['steps']:.1f} | {speed['whole']:.1f} | **{ratios[0]}** | "
            f"{ratios[1]} |"
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
        for name in RUNS:
            run = case["runs"][name]
            gaps, first = run["inter_token_ms"], run["ttft_ms"]
            cells = [gaps["p50"], gaps["p95"], gaps["p99"], run["solo_inter_token_ms"]["p50"], run["slow_down"]]
            cells += [first["p50"], first["p95"], first["p99"]]
            yield (
                f"| {case['rows']} | {name} | {' | '.join(f'{cell:.1f}' for cell in cells)} | "
                f"{run['occupancy']:.2f} | {run['kv_bytes_peak'] / 1e6:.0f} |"
            )
