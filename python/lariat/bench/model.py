# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures a model: ours, the peers and the machine's limits, interleaved, after their outputs were compared."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lariat.bench import limits
from lariat.bench.about import describe_run
from lariat.bench.make_checkpoint import make_checkpoint
from lariat.bench.plan import Plan, Task
from lariat.bench.protocol import Job
from lariat.bench.systems import OURS, Absent, System, start
from lariat.errors import LariatError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

__all__ = ["TOLERANCE", "measure_model"]

# Largest difference of logits, relative to the largest one, at which two systems are said to compute the same.
TOLERANCE = 1e-3
# Lets threads of the system before this one go to sleep.
PAUSE_SECONDS = 0.3

Report = Callable[[str], None]


def measure_model(
    plan: Plan, folder: Path, venv: Path, pipeline: str, command: Sequence[str], report: Report
) -> dict[str, Any]:
    """Measure every task of a plan with every number of threads; `folder` keeps checkpoint, artefact and caches.

    Returns:
        What `lariat.bench.report` prints, ready for JSON.
    """
    folder = folder.resolve()
    shape = plan.shape
    checkpoint = make_checkpoint(shape, folder / f"{shape.name}-{shape.loops}", plan.seed)
    report(f"checkpoint {checkpoint}")
    artefact = checkpoint.with_suffix(".lariat")
    compiled = _compile(checkpoint, artefact, pipeline) if OURS in plan.systems else None
    report(f"artefact {artefact}: {compiled or 'not needed'}")
    result: dict[str, Any] = {
        "version": 1,
        "about": describe_run(command),
        "plan": {"name": plan.name, "shape": asdict(shape), "rounds": plan.rounds, "seed": plan.seed},
        "tolerance": TOLERANCE,
        "compiled": compiled,
        "cases": [],
    }
    for threads in plan.threads:
        for task in plan.tasks:
            report(f"{task}, {threads} thread{'s' if threads > 1 else ''}")
            entries: list[dict[str, Any]] = [{"system": name} for name in plan.systems]
            for entry in entries:
                if entry["system"] == OURS and compiled and "error" in compiled:
                    entry["failed"] = compiled["error"]
            jobs = _jobs(plan, task, threads, checkpoint, artefact, folder)
            result["cases"].append(_measure_case(plan, task, threads, entries, jobs, venv, report))
        _set_bounds(plan, threads, [case for case in result["cases"] if case["threads"] == threads])
    return result


def _compile(checkpoint: Path, target: Path, pipeline: str) -> dict[str, Any]:
    """Compile, always anew; returns what that took, or why it failed."""
    from lariat.compiler import CompileOptions, compile

    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    report = target.with_suffix(".json") if pipeline == "fast" else None
    try:
        compile(checkpoint, target, CompileOptions(pipeline=pipeline, force=True, report=report))
    except LariatError as failure:
        return {"pipeline": pipeline, "error": str(failure)}
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "pipeline": pipeline,
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_bytes": after.ru_maxrss * 1024,
        "stages": json.loads(report.read_text()) if report else None,
    }


def _jobs(plan: Plan, task: Task, threads: int, checkpoint: Path, artefact: Path, folder: Path) -> dict[str, Job]:
    """What each system is told."""
    jobs = {}
    for name in plan.systems:
        logits = folder / "logits" / f"{plan.shape.name}-{task.kind}-{threads}-{name}.npy"
        cache = folder / "cache" / f"{plan.shape.name}-{plan.shape.loops}-{name}-{threads}"
        logits.parent.mkdir(parents=True, exist_ok=True)
        logits.unlink(missing_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        jobs[name] = Job(
            task.kind,
            plan.prompt(task),
            task.steps,
            task.warm_steps,
            threads,
            str(checkpoint),
            str(artefact),
            str(cache),
            str(logits),
        )
    return jobs


def _measure_case(
    plan: Plan,
    task: Task,
    threads: int,
    entries: list[dict[str, Any]],
    jobs: dict[str, Job],
    venv: Path,
    report: Report,
) -> dict[str, Any]:
    running: dict[str, System] = {}
    sizes = limits.working_sets(plan.shape, task)
    try:
        for entry in entries:
            name = entry["system"]
            if "failed" in entry:
                report(f"  {name}: {entry['failed']}")
                continue
            system = None
            try:
                system = start(name, jobs[name], venv)
                system.wait()
            except LariatError as failure:
                if system is not None:
                    system.close()
                entry["absent" if isinstance(failure, Absent) else "failed"] = str(failure)
                report(f"  {name}: {failure}")
                continue
            running[name] = system
            entry.update(system.ready, logits=jobs[name].logits, seconds=[])
            report(f"  {name} is ready after {entry['prepare_seconds']:.1f} s")
        _compare(entries, running, report)
        measured = _rounds(plan.rounds, threads, entries, running, sizes, report)
    finally:
        for system in running.values():
            system.close()
    return {
        "task": asdict(task),
        "title": str(task),
        "threads": threads,
        "limits": measured,
        "best": None,
        "bound": None,
        "systems": entries,
    }


def _set_bounds(plan: Plan, threads: int, cases: list[dict[str, Any]]) -> None:
    """Least times, by the best samples of all tasks with this number of threads."""
    measured = [one for case in cases for one in case["limits"]]
    if not measured:
        return
    best = limits.best_of(measured, threads)
    for task, case in zip(plan.tasks, cases, strict=True):
        read = {str(kib): best.read[kib] for kib in limits.working_sets(plan.shape, task) if kib in best.read}
        if task.kind == "prefill" or len(read) == len(limits.working_sets(plan.shape, task)):
            case["best"] = {"flops": best.flops, "isa": best.isa, "read": read}
            case["bound"] = asdict(limits.bound_of(plan.shape, task, best))


def _compare(entries: list[dict[str, Any]], running: dict[str, System], report: Report) -> None:
    """Outputs against ours, or the first system where ours does not run; one that differs is not timed."""
    import numpy

    ready = [entry for entry in entries if entry["system"] in running]
    ready.sort(key=lambda entry: bool(entry["system"] != OURS))
    expected: NDArray[numpy.float32] | None = None
    for entry in ready:
        found: NDArray[numpy.float32] = numpy.load(entry.pop("logits"))
        if expected is None:
            expected, entry["compared_with"] = found, None
            continue
        entry["compared_with"] = ready[0]["system"]
        same = found.shape == expected.shape
        error = float(numpy.abs(found - expected).max() / numpy.abs(expected).max()) if same else float("inf")
        entry["max_relative_error"] = error
        report(f"  {entry['system']}: max relative error {error:.2g} against {entry['compared_with']}")
        if not error <= TOLERANCE or entry["tokens"] != ready[0]["tokens"]:
            entry["failed"] = f"differs: max relative error {error:.2g}, tokens {entry['tokens'][:8]}"
            running.pop(entry["system"]).close()


def _rounds(
    rounds: int,
    threads: int,
    entries: list[dict[str, Any]],
    running: dict[str, System],
    sizes: list[int],
    report: Report,
) -> list[dict[str, Any]]:
    """A B C ... A B C ...: the limits, then every system once, `rounds` times over."""
    measured: list[dict[str, Any]] = []
    for number in range(rounds):
        try:
            measured.append(limits.measure([threads], sizes=sizes, repeats=3, milliseconds=15))
        except LariatError as failure:
            report(f"  limits: {failure}")
        for entry in entries:
            name = entry["system"]
            if name not in running:
                continue
            time.sleep(PAUSE_SECONDS)
            try:
                entry["seconds"].append(running[name].run())
            except LariatError as failure:
                entry["failed"] = str(failure)
                running.pop(name).close()
        report(f"  round {number + 1} of {rounds}")
    for entry in entries:
        if entry["system"] in running:
            entry["memory_bytes"], entry["peak_bytes"] = running[entry["system"]].memory()
    return measured
