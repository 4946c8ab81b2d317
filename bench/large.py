# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Takes a released shape with random weights through all of Lariat: make, compile, open, score, generate.

    PYTHONPATH=python build/venv/bin/python bench/large.py ouro-1.4b -o build/bench/large

writes SHAPE.json and SHAPE.md, and removes checkpoint and artefact. Each stage is a process of its own, and its peak
is that of the resident set, mapped files included; memory that is the process's own is given beside pages of files.
Logits are compared with the numpy oracle of python/tests/oracle, which reads the checkpoint layer by layer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from lariat.bench.about import describe_run, run_lines
from lariat.bench.released import RELEASED

ROOT = Path(__file__).resolve().parent.parent
SCORED_ROWS, NEW_TOKENS, REQUESTS, PROMPT_TOKENS = 64, 32, 8, 16
# Largest difference of logits beside the largest one. Both sides compute in f32, in other orders.
TOLERANCE = 2e-3
# Exit rules and thresholds at which random weights leave at mixed depths; none where the loop has a fixed length.
EXITS: dict[str, tuple[str | None, float]] = {
    "ouro-1.4b": (None, 0.8),
    "ouro-2.6b": (None, 0.8),
    "nanbeige-3b": ("latent-diff", 1.0),
    "huginn-3.5b": (None, 0.95),
}


# --- stages, each in a process of its own -----------------------------------------------------------------------------


def make(shape: str, folder: Path, threads: int) -> dict[str, Any]:
    from lariat.bench.stream_checkpoint import stream_checkpoint

    directory = stream_checkpoint(RELEASED[shape], folder / shape)
    return {"bytes": _size(directory), "weights": RELEASED[shape].num_weights}


def compile(shape: str, folder: Path, threads: int) -> dict[str, Any]:
    import lariat

    report = folder / f"{shape}.stages.json"
    rule, _ = EXITS.get(shape, (None, 0.0))
    options = lariat.CompileOptions(dtype="bf16", target="native", exit_rule=rule, report=report, force=True)
    lariat.compile(folder / shape, folder / f"{shape}.lariat", options)
    stages = json.loads(report.read_text())
    report.unlink()
    return {"bytes": _size(folder / f"{shape}.lariat"), "stages": stages}


def score(shape: str, folder: Path, threads: int) -> dict[str, Any]:
    """Open with all checksums, and score."""
    import lariat

    before, clock = _memory(), _Clock()
    session = lariat.load(folder / f"{shape}.lariat", threads=threads)
    session.start()
    result: dict[str, Any] = {"open": {**clock.lap(), "before": before, "memory": _memory()}}
    scored = session.score([_tokens(shape, SCORED_ROWS)])[0]
    result["score"] = {**clock.lap(), "rows": SCORED_ROWS, "memory": _memory()}
    numpy.save(folder / f"{shape}.logits.npy", scored.logits)
    session.close()
    return result


def generate(shape: str, folder: Path, threads: int) -> dict[str, Any]:
    """One request at each number of loop steps, then several at once with exits."""
    import lariat

    session = lariat.load(folder / f"{shape}.lariat", threads=threads, verify_weights=False)
    session.start()
    clock = _Clock()
    alone = []
    for loops in _loop_counts(session.info.loops):
        options = lariat.GenerateOptions(max_new_tokens=NEW_TOKENS, ignore_eos=True, loops=loops)
        clock.lap()
        session.generate([_tokens(shape, PROMPT_TOKENS)], options)
        alone.append({"loops": loops or session.info.loops.default, **clock.lap()})
        print(f"{shape}: {alone[-1]}", file=sys.stderr, flush=True)
    options = lariat.GenerateOptions(
        max_new_tokens=NEW_TOKENS, ignore_eos=True, exit_threshold=EXITS[shape][1] if shape in EXITS else None
    )
    prompts = [_tokens(shape, PROMPT_TOKENS, number) for number in range(REQUESTS)]
    answers = session.generate(prompts, options)
    steps = [step for answer in answers for step in answer.steps]
    requests = {
        "count": REQUESTS, **clock.lap(), "threshold": options.exit_threshold, "tokens": len(steps),
        "steps": float(numpy.mean(steps)), "fewest": min(steps), "most": max(steps), "memory": _memory(),
    }  # fmt: skip
    session.close()
    return {"alone": alone, "requests": requests}


class _Clock:
    """Seconds, and seconds of processors, from one lap to the next."""

    def __init__(self) -> None:
        self._last = time.perf_counter(), time.process_time()

    def lap(self) -> dict[str, float]:
        now = time.perf_counter(), time.process_time()
        (wall, cpu), self._last = self._last, now
        return {"seconds": now[0] - wall, "cpu_seconds": now[1] - cpu}


def compare(shape: str, folder: Path, threads: int) -> dict[str, Any]:
    """Logits of the scored rows against the oracle's."""
    from tests.oracle.pieces import Options
    from tests.oracle.stored import run_stored

    loops = RELEASED[shape].config[RELEASED[shape].loops_key]
    # A threshold that no score passes: the rule `full` would keep the logits of every loop step.
    never = -1.0 if "huginn" in shape else 2.0
    options = Options(rule="exit", loops=loops, threshold=never)
    expected = run_stored(folder / shape, _tokens(shape, SCORED_ROWS), options).logits
    found = numpy.load(folder / f"{shape}.logits.npy")
    error = float(numpy.abs(found - expected).max() / numpy.abs(expected).max())
    return {
        "error": error, "deviation": float(expected.std()), "largest": float(numpy.abs(expected).max()),
        "same_argmax": int((found.argmax(-1) == expected.argmax(-1)).sum()), "rows": len(found),
    }  # fmt: skip


STAGES: dict[str, Callable[[str, Path, int], dict[str, Any]]] = {
    "make": make, "compile": compile, "score": score, "compare": compare, "generate": generate,
}  # fmt: skip


def _loop_counts(loops: Any) -> list[int | None]:
    """All that a request may ask for, powers of two of many; none where it is fixed."""
    if not loops.free:
        return [None]
    every: list[int | None] = list(range(max(loops.min, 1), loops.default + 1))
    return every if len(every) <= 4 else [count for count in every if count and count & (count - 1) == 0]


def _tokens(shape: str, count: int, number: int = 0) -> list[int]:
    config = RELEASED[shape].config
    vocab = config.get("vocab_size")
    return [int(id) for id in numpy.random.default_rng([3, number]).integers(3, vocab, count)]


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _memory() -> dict[str, int]:
    """Bytes now: RssAnon is the process's own, RssFile pages of mapped files."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {key: int(status[key].split()[0]) * 1024 for key in ("RssAnon", "RssFile")}


# --- the whole --------------------------------------------------------------------------------------------------------


def measure(shape: str, folder: Path, threads: int, *, keep: bool) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f"{shape}.json"
    result: dict[str, Any] = {
        "shape": shape,
        "about": describe_run(["bench/large.py", shape, "--threads", str(threads)]),
    }
    if keep and written.exists():
        result = json.loads(written.read_text())
    try:
        for stage in STAGES:
            if stage in result:
                continue
            start = time.perf_counter()
            command = [
                sys.executable,
                __file__,
                shape,
                "-o",
                str(folder),
                "--threads",
                str(threads),
                "--stage",
                stage,
            ]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            output = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{stage} of {shape} failed with status {process.returncode}")
            result[stage] = {
                **json.loads(output.splitlines()[-1]), "wall_seconds": time.perf_counter() - start,
                "cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024,
            }  # fmt: skip
            written.write_text(json.dumps(result, indent=1) + "\n")
            print(f"{shape}: {stage} {result[stage]}", file=sys.stderr, flush=True)
    finally:
        for path in () if keep else (folder / shape, folder / f"{shape}.lariat"):
            shutil.rmtree(path, ignore_errors=True)
        (folder / f"{shape}.logits.npy").unlink(missing_ok=True)
    return result


def render(result: dict[str, Any]) -> str:
    """A table of one shape, of the stages that ran."""
    tables = {"make": _made, "compile": _compiled, "score": _scored, "compare": _compared, "generate": _generated}
    rows = [row for stage, table in tables.items() if stage in result for row in table(result[stage])]
    lines = [f"## {result['shape']}", "", *run_lines(result["about"]), "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in rows), ""])


Rows = list[tuple[str, str]]


def _made(stage: dict[str, Any]) -> Rows:
    weights = f"{stage['weights'] / 1e9:.2f} G weights"
    return [("make", f"{stage['wall_seconds']:.0f} s, {_gib(stage['bytes'])}, {weights}, {_peak(stage)}")]


def _compiled(stage: dict[str, Any]) -> Rows:
    spent = f"{stage['wall_seconds']:.0f} s ({stage['cpu_seconds']:.0f} s of processors)"
    packing = f"{stage['stages']['seconds']['write weights']:.0f} s of it packing"
    return [("compile", f"{spent}, {packing}, {_gib(stage['bytes'])}, {_peak(stage)}")]


def _scored(stage: dict[str, Any]) -> Rows:
    opened, scored = stage["open"], stage["score"]
    return [
        ("open", f"{_spent(opened)}, {_resident(opened['memory'])}"),
        (f"score {scored['rows']} rows", f"{_spent(scored)}, {_resident(scored['memory'])}"),
    ]


def _compared(stage: dict[str, Any]) -> Rows:
    difference = f"largest difference {stage['error']:.1e} of the largest logit"
    logits = f"{stage['largest']:.2f} (deviation {stage['deviation']:.2f})"
    same = f"same first token in {stage['same_argmax']} of {stage['rows']} rows"
    return [("against the oracle", f"{difference}, {logits}; {same}")]


def _generated(stage: dict[str, Any]) -> Rows:
    rows = []
    for one in stage["alone"]:
        steps = f"{one['loops']} loop step{'s' if one['loops'] != 1 else ''}"
        rows.append((f"{NEW_TOKENS} tokens, {steps}", f"{_spent(one)}, {_speed(NEW_TOKENS, one)}"))
    requests = stage["requests"]
    steps = f"{requests['steps']:.2f} steps per token ({requests['fewest']} to {requests['most']})"
    threshold = "" if requests["threshold"] is None else f", threshold {requests['threshold']:g}"
    speed = f"{_spent(requests)}, {_speed(requests['tokens'], requests)}"
    memory = _resident(requests["memory"])
    return [*rows, (f"{requests['count']} requests at once", f"{speed}, {steps}{threshold}, {memory}")]


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"


def _peak(stage: dict[str, Any]) -> str:
    return f"peak {stage['peak_bytes'] >> 20} MiB"


def _resident(memory: dict[str, int]) -> str:
    return f"{memory['RssAnon'] >> 20:,} MiB own, {memory['RssFile'] >> 20:,} MiB of files"


def _spent(lap: dict[str, float]) -> str:
    return f"{lap['seconds']:.1f} s ({lap['cpu_seconds']:.1f} s of processors)"


def _speed(tokens: int, lap: dict[str, float]) -> str:
    return f"{tokens / lap['seconds']:.2f} tokens/s ({tokens / lap['cpu_seconds']:.2f} per second of processors)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=RELEASED)
    parser.add_argument(
        "-o",
        dest="output",
        type=Path,
        default=ROOT / "build" / "bench" / "large",
        help="folder",
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="to compute with (default: all)")
    parser.add_argument(
        "--keep", action="store_true", help="leave checkpoint and artefact there, and take up a run that was broken off"
    )
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(STAGES[options.stage](options.shape, options.output, options.threads)))
        return
    result = measure(options.shape, options.output, options.threads, keep=options.keep)
    text = render(result)
    (options.output / f"{options.shape}.md").write_text(text)
    print(text)
    if result["compare"]["error"] > TOLERANCE:
        raise SystemExit(f"logits differ by {result['compare']['error']:.1e}, expected at most {TOLERANCE:g}")


if __name__ == "__main__":
    main()
