# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What low-rank pairs per loop step cost when rows of all depths share a tick.

Two models that differ by their pairs alone run the same load in turn: rows enter in as many parts as there are loop
steps, one part a tick, so that from then on each tick has as many rows of each depth. The time is that of the core
function, one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from lariat.bench.limits import Limits, best_of, measure
from lariat.bench.make_checkpoint import make_checkpoint
from lariat.bench.shapes import BYTES, Shape
from lariat.compiler import CompileOptions, compile
from lariat.engine import Engine
from lariat.errors import RuntimeFault
from lariat.requests import GenerateOptions
from lariat.session import load

# Ticks of one model before the other runs.
TURN = 5

__all__ = ["TURN", "least_seconds", "measure_lora", "render_lora"]


def measure_lora(
    shape: Shape, folder: Path, row_counts: Sequence[int], ticks: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds of the core function with pairs and without, by rows of a tick; the limits are of the same run.

    Args:
        shape: of family `rrt` with a rank.
        folder: where checkpoints and artefacts are written.
        row_counts: each a multiple of the loop steps.
        ticks: that are timed for each number of rows and each model.

    Raises:
        RuntimeFault, CompileError: where a model cannot be compiled or run.
    """
    artefacts = []
    for variant in (shape, replace(shape, name=f"{shape.name}-plain", rank=0)):
        checkpoint = make_checkpoint(variant, folder / variant.name)
        artefacts.append(folder / f"{variant.name}.lariat")
        report(f"compile {artefacts[-1]}")
        compile(checkpoint, artefacts[-1], CompileOptions(force=True))
    sizes = sorted({_bytes(shape, has_pairs) // 1024 for has_pairs in (False, True)})
    limits = [measure((1,), sizes=sizes)]
    entries = []
    for rows in row_counts:
        report(f"{rows} rows")
        pairs, plain = _run(artefacts, rows, shape.loops, ticks)
        costs = [one / other - 1 for one, other in zip(pairs, plain, strict=True)]
        entries.append({"rows": rows, "with": median(pairs), "without": median(plain), "cost": quantiles(costs)})
        limits.append(measure((1,), sizes=sizes))
    return {"version": 1, "shape": shape.__dict__, "entries": entries, "limits": limits}


def _run(artefacts: Sequence[Path], rows: int, loops: int, ticks: int) -> list[list[float]]:
    """Seconds of a tick of each model, turn by turn: the mean of what its ticks took."""
    options = GenerateOptions(max_new_tokens=ticks // loops + 3, ignore_eos=True, exit_threshold=1.0)
    with ExitStack() as stack:
        sessions = [stack.enter_context(load(artefact, threads=1, max_rows=rows)) for artefact in artefacts]
        engines = [Engine(session, chunk_rows=rows, loop="steps", prefix_cache=False) for session in sessions]
        for tick, engine in product(range(loops), engines):
            for request in range(rows // loops):
                engine.submit([(tick * 31 + request) % sessions[0].info.vocabulary], options)
            engine.tick()
        seconds: list[list[float]] = [[] for _ in engines]
        for turn in range(ticks // TURN):
            # Neither always comes after the other.
            for engine, samples in list(zip(engines, seconds, strict=True))[:: 1 if turn % 2 else -1]:
                engine.tick()  # reads weights that the other model's have pushed out of the caches
                before = engine.counts().core
                for _ in range(TURN - 1):
                    engine.tick()
                after = engine.counts().core
                if after.rows != before.rows + rows * (TURN - 1):
                    raise RuntimeFault(f"{after.rows - before.rows} rows in {TURN - 1} ticks, expected {rows} in each")
                samples.append((after.seconds - before.seconds) / (TURN - 1))
        return seconds


def _flops(shape: Shape, has_pairs: bool) -> int:
    """Of a row in the core: the layers' matrices, the head that decides about the exit, and the pairs."""
    matrices = shape.shared * shape.num_layer_weights + shape.width * shape.vocab
    return 2 * (matrices + (shape.num_pair_weights if has_pairs else 0))


def _bytes(shape: Shape, has_pairs: bool) -> int:
    """That a tick of all depths reads: the shared matrices once and the pairs of each depth once."""
    pairs = shape.loops * shape.num_pair_weights if has_pairs else 0
    return (shape.shared * shape.num_layer_weights + shape.width * shape.vocab + pairs) * BYTES


def least_seconds(shape: Shape, rows: int, has_pairs: bool, limits: Limits) -> float:
    """By the limits: arithmetic at the peak, or all weights at the bandwidth of a working set of their size."""
    size = _bytes(shape, has_pairs)
    return max(rows * _flops(shape, has_pairs) / limits.flops, size / limits.read[size // 1024])


def render_lora(measured: dict[str, Any], about: Sequence[str]) -> str:
    """The table, one line for each number of rows."""
    shape = Shape(**measured["shape"])
    limits = best_of(measured["limits"], 1)
    share = _flops(shape, True) / _flops(shape, False) - 1
    lines = ["# Low-rank pairs by depth", "", *about]
    lines += [
        f"- model: width {shape.width}, feed-forward {shape.inner}, {shape.shared} layer x {shape.loops} loop steps, "
        f"rank {shape.rank}, f32; a tick reads {_bytes(shape, False) / 1e6:.1f} MB without pairs and "
        f"{_bytes(shape, True) / 1e6:.1f} MB with those of all depths",
        f"- pairs have {100 * share:.1f} % of the other operations; `cost` is the time they add over the time without "
        f"them, `cost / share` what the acceptance bounds by 1.15; the models take turns of {TURN} ticks, the first of "
        "them not timed: median of the costs within a turn (quartiles), and of the times",
        "- `least` is the same cost by the limits: each model's time is the larger of arithmetic at the peak and of "
        "reading its weights at the bandwidth of a working set of that size",
        "",
        "| rows | of each depth | with, us | without, us | cost | cost / share | least |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in measured["entries"]:
        low, middle, high = entry["cost"]
        least = (
            least_seconds(shape, entry["rows"], True, limits) / least_seconds(shape, entry["rows"], False, limits) - 1
        )
        lines.append(
            f"| {entry['rows']} | {entry['rows'] // shape.loops} | {1e6 * entry['with']:.0f} | "
            f"{1e6 * entry['without']:.0f} | {100 * middle:.1f} % ({100 * low:.1f} to {100 * high:.1f}) | "
            f"**{middle / share:.2f}** ({low / share:.2f} to {high / share:.2f}) | {100 * least:.1f} % |"
        )
    return "\n".join(lines) + "\n"
