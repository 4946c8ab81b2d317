# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`lariat bench`: checkpoints that the importer takes, counts, comparing before timing, absent peers, the report."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lariat._process import find_tool
from lariat.bench import limits, systems
from lariat.bench.lora import render_lora
from lariat.bench.make_checkpoint import make_checkpoint
from lariat.bench.model import measure_model
from lariat.bench.plan import ROOT, Plan, Task, find_plan, read_plan
from lariat.bench.protocol import Job
from lariat.bench.report import headline, render
from lariat.bench.shapes import SHAPES, Shape
from lariat.bench.stored import config_of, tensors_of
from lariat.bench.systems import Absent, start
from lariat.bench.threads import list_cases, render_threads
from lariat.errors import RuntimeFault
from lariat.importer import import_checkpoint
from tests import checkpoints
from tests.command import Command

# --- threads --------------------------------------------------------------------------------------------------------


def test_threads_are_compared_with_those_that_are_as_many_as_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 5})
    assert [(str(case), case.beside) for case in list_cases([2, 3, 8])] == [
        ("1 thread", 0),
        ("2 threads", 0),
        ("3 threads", 2),
        ("8 threads", 2),
        ("2 threads beside a busy program", 1),
        ("2 threads beside one on the first processor", 1),
    ]


def test_the_table_of_threads_has_medians() -> None:
    cases = [
        {"title": "1 thread", "beside": 0, "tokens_per_s": [9.0, 11.0, 10.0], "ratio": []},
        {"title": "2 threads beside a busy program", "beside": 1, "tokens_per_s": [9.0] * 3, "ratio": [1.0, 0.8, 0.9]},
    ]
    measured = {"models": [{"artefact": "m.lariat", "cases": cases}], "processors": 2, "seconds": 1.0}
    text = render_threads(measured, [])
    assert "| 1 thread | 10.0 |  |  |" in text
    assert "| 2 threads beside a busy program | 9.0 | 0.90 | 1 thread alone |" in text


# --- shapes and checkpoints -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("loops", [1, 5])
def test_the_importer_takes_every_shape(tmp_path: Path, shape: Shape, loops: int) -> None:
    shape = shape.with_loops(loops)
    text = import_checkpoint(checkpoints.write(tmp_path / "model", config_of(shape), dict(tensors_of(shape))))
    assert "lariat.recur" in checkpoints.verify(text)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_checkpoint_of_every_shape_is_written_and_read(tmp_path: Path, shape: Shape) -> None:
    import_checkpoint(make_checkpoint(replace(shape, vocab=64, inner=16, context=16), tmp_path / "model"))


def test_a_shape_without_rank_has_no_pairs(tmp_path: Path) -> None:
    shape = replace(SHAPES["lora512"], rank=0)
    text = import_checkpoint(checkpoints.write(tmp_path / "model", config_of(shape), dict(tensors_of(shape))))
    assert "low_rank" not in text
    assert shape.num_pair_weights == 0


def test_weights_depend_on_seed_and_name_alone(tmp_path: Path) -> None:
    import safetensors.numpy

    def made(name: str, loops: int, seed: int) -> dict[str, Any]:
        folder = make_checkpoint(SHAPES["smoke"].with_loops(loops), tmp_path / name, seed)
        return dict(safetensors.numpy.load_file(folder / "model.safetensors"))

    one, deeper, other = made("one", 2, 0), made("deeper", 4, 0), made("other", 2, 1)
    assert all((deeper[name] == values).all() for name, values in one.items())
    assert len(deeper) == len(one) + 2
    assert not any((other[name] == values).all() for name, values in one.items())


def test_a_complete_checkpoint_is_left_alone(tmp_path: Path) -> None:
    shape = SHAPES["smoke"]
    weights = make_checkpoint(shape, tmp_path) / "model.safetensors"
    before = weights.stat().st_ino
    assert make_checkpoint(shape, tmp_path) == tmp_path
    assert weights.stat().st_ino == before
    make_checkpoint(shape, tmp_path, seed=1)
    assert weights.stat().st_ino != before


@pytest.mark.parametrize(
    ("name", "applications", "gflops", "decode_mb"), [("mor135", 32, 125.7, 579), ("loop512", 12, 42.7, 167)]
)
def test_counts(name: str, applications: int, gflops: float, decode_mb: float) -> None:
    # Worked out once by hand for these sizes: 512 rows of prefill, a decode step at a context of 256.
    shape = SHAPES[name]
    assert shape.num_applications == applications
    assert shape.prefill_flops(512) / 1e9 == pytest.approx(gflops, abs=0.06)
    assert sum(stream.num_bytes for stream in shape.decode_streams(256)) / 1e6 == pytest.approx(decode_mb, abs=0.6)


# --- low-rank pairs ---


def test_the_cost_of_pairs_is_compared_with_their_share_of_the_operations() -> None:
    shape = Shape("s", "rrt", 64, 1, 1, 64, 128, 64, prelude=0, shared=1, loops=2, coda=0, rank=16)
    # Worked out by hand: 45056 shared weights (4 of 64 x 64, 3 of 64 x 128, a head of 64 x 64) and 17408 of pairs.
    kib = [45056 * 4 // 1024, (45056 + 2 * 17408) * 4 // 1024]
    read = [{"threads": 1, "bytes": size * 1024, "gbytes_per_second": {"max": 64.0}} for size in kib]
    limit = {"fma": [{"threads": 1, "isa": "x", "gflops": {"max": 1.0}}], "read": read}
    entry = {"rows": 8, "with": 1.5e-3, "without": 1e-3, "cost": [0.25, 0.5, 1.0]}
    text = render_lora({"shape": shape.__dict__, "entries": [entry], "limits": [limit]}, [])
    share = 17408 / 45056
    costs = f"50.0 % (25.0 to 100.0) | **{0.5 / share:.2f}** ({0.25 / share:.2f} to {1 / share:.2f})"
    expected = f"| 8 | 4 | 1500 | 1000 | {costs} |"
    assert f"{expected} {100 * share:.1f} % |" in text  # arithmetic bounds both


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_limit_is_the_best_sample_and_the_slower_of_two_bounds() -> None:
    shape, decode = SHAPES["loop512"], Task("decode", 256, 16, 2)
    block, once = limits.working_sets(shape, decode)
    measured = [
        {
            "fma": [{"threads": 1, "isa": "a", "gflops": {"max": speed}}],
            "read": [
                {"threads": 1, "bytes": size * 1024, "gbytes_per_second": {"max": speed}} for size in (block, once)
            ],
        }
        for speed in (10.0, 20.0)
    ]
    best = limits.best_of(measured, 1)
    assert (best.flops, best.read[block]) == (20e9, 20e9)
    prefill = limits.bound_of(shape, Task("prefill", 512), best)
    assert (prefill.by, prefill.seconds) == ("FMA", shape.prefill_flops(512) / 20e9)
    step = limits.bound_of(shape, decode, best)
    num_bytes = sum(stream.num_bytes for stream in shape.decode_streams(decode.mean_context))
    assert (step.by, step.seconds) == ("reading", pytest.approx(num_bytes / 20e9))
    assert limits.bound_of(shape, decode, replace(best, flops=1e9)).by == "FMA"


def test_the_machine_is_measured() -> None:
    try:
        find_tool("lariat-bench-limits")
    except RuntimeFault:
        pytest.skip("lariat-bench-limits is not built")
    measured = limits.measure([1], sizes=[16, 64], repeats=1, milliseconds=1)
    assert [entry["bytes"] for entry in measured["read"]] == [16384, 65536]
    assert all(entry["gflops"]["median"] > 0 for entry in measured["fma"])
    best = limits.best_of([measured], 1)
    assert best.flops > 0 and best.read.keys() == {16, 64}
    with pytest.raises(RuntimeFault, match="fewer processors than asked for"):
        limits.measure([10000], sizes=[16])


# --- plans ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "bench" / "configs").glob("*.json")), ids=lambda path: path.stem)
def test_every_plan_in_the_tree_can_be_read(path: Path) -> None:
    plan = find_plan(path.stem)
    assert plan.systems[0] == systems.OURS
    assert set(plan.systems[1:]) <= systems.PEERS.keys()
    assert all(len(plan.prompt(task)) == task.rows for task in plan.tasks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": "none"}, "KeyError: 'none'"),
        ({"speed": 1}, "expected an object with"),
        ({"rounds": 0}, "expected a positive number, found 0"),
        ({"tasks": [{"kind": "prefill", "rows": 4, "steps": 1}]}, "expected a prefill with rows"),
        ({"tasks": [{"kind": "decode", "rows": 4, "steps": 2, "warm_steps": 2}]}, "expected a prefill with rows"),
        ({"tasks": [{"kind": "decode", "rows": 250, "steps": 9}]}, "more than the model's context of 256 rows"),
    ],
)
def test_damaged_plans(change: dict[str, Any], message: str) -> None:
    values = {"shape": "smoke", "tasks": [], "threads": [1], "rounds": 2, "systems": ["lariat"], **change}
    with pytest.raises(RuntimeFault, match=message):
        read_plan("x", values)


# --- systems --------------------------------------------------------------------------------------------------------

PEER = """
import sys
from lariat.bench.protocol import Ready, read_job, serve
job = read_job(sys.argv)

def prepare():
    import numpy
    numpy.save(job.logits, numpy.array([[0.0, 1.0 + ERROR]], numpy.float32))
    print("a library prints", flush=True)
    return Ready(0.5, (1,), {"thing": "1.0"}, 7, "a note"), lambda: [0.25, 0.5, 0.25]

serve(prepare)
"""


@pytest.fixture
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes programs the only peers; returns an environment that runs them."""

    def make(**programs: str) -> Path:
        for name, text in programs.items():
            (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setattr(systems, "PEERS", {name: [str(tmp_path / f"{name}.py")] for name in programs})
        (tmp_path / "venv" / "bin").mkdir(parents=True)
        python = tmp_path / "venv" / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        return tmp_path / "venv"

    return make


def job(folder: Path) -> Job:
    return Job("prefill", (1, 2), 0, 0, 1, "", "", str(folder), str(folder / "logits.npy"))


def test_without_an_environment_peers_are_absent(tmp_path: Path) -> None:
    with pytest.raises(Absent, match=r"venv is not there, bench/peers/setup.sh makes it"):
        start("torch-eager", job(tmp_path), tmp_path / "venv")
    with pytest.raises(RuntimeFault, match="no system 'torch', there is lariat, torch-eager"):
        start("torch", job(tmp_path), tmp_path / "venv")


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        (PEER.replace("import numpy", "import no_such_library"), Absent, "no_such_library is not installed"),
        (PEER.replace("import numpy", "raise ValueError('too\\n small')"), RuntimeFault, "ValueError: too small"),
        ("raise SystemExit('no memory')", RuntimeFault, "status 1: no memory"),
        ("import time; time.sleep(60)", RuntimeFault, r"not ready in 0\.5 s"),
    ],
)
def test_systems_that_do_not_get_ready(
    peers: Callable[..., Path], tmp_path: Path, program: str, error: type[RuntimeFault], message: str
) -> None:
    system = start("one", job(tmp_path), peers(one=program))
    with pytest.raises(error, match=message):
        system.wait(0.5 if "sleep" in program else 60)
    system.close()


def test_outputs_are_compared_before_times(peers: Callable[..., Path], tmp_path: Path) -> None:
    same, close, wrong = (PEER.replace("ERROR", error) for error in ("0", "1e-5", "1e-2"))
    dies = same.replace("lambda: [0.25, 0.5, 0.25]", "iter([[1.0]]).__next__")
    venv = peers(same=same, close=close, wrong=wrong, dies=dies, gone="import sys; sys.exit(3)")
    plan = Plan("p", SHAPES["smoke"], (Task("prefill", 8),), (1,), 2, ("same", "close", "wrong", "dies", "gone"))
    said: list[str] = []
    result = measure_model(plan, tmp_path / "out", venv, "reference", ["lariat", "bench"], said.append)
    entries = {entry["system"]: entry for entry in result["cases"][0]["systems"]}
    assert entries["same"]["seconds"] == [[0.25, 0.5, 0.25]] * 2
    assert entries["same"]["memory_bytes"] > 1e6
    assert entries["close"]["max_relative_error"] == pytest.approx(1e-5, rel=0.1)
    assert entries["wrong"]["failed"].startswith("differs: max relative error 0.01")
    assert entries["wrong"]["seconds"] == []
    assert entries["dies"]["failed"].startswith("StopIteration")
    assert entries["gone"]["failed"] == "gone ended with status 3"
    assert "  close: max relative error 1e-05 against same" in said
    assert json.loads(json.dumps(result)) == result
    text = render(result)
    assert "lariat was not measured" in text and "thing 1.0" in text
    assert all(f"| {name} " in text for name in entries)


# --- report ---------------------------------------------------------------------------------------------------------


def entry(name: str, *milliseconds: float, **more: Any) -> dict[str, Any]:
    return {
        "system": name, "seconds": [[one / 1e3] for one in milliseconds], "prepare_seconds": 2.0, "tokens": [1],
        "versions": {name: "1.0"}, "stored_bytes": 3_000_000, "memory_bytes": 10_000_000, "peak_bytes": 20_000_000,
        **more,
    }  # fmt: skip


@pytest.fixture
def result() -> dict[str, Any]:
    task = {"kind": "decode", "rows": 256, "steps": 16, "warm_steps": 2}
    return {
        "about": {
            "command": "lariat bench model x", "commit": "abc1234", "date": "2026-01-02 03:04 UTC",
            "machine": {"processor": "a processor", "processors": 2, "memory_bytes": 2**34, "system": "Linux 6",
                        "load": [0.1, 0.1, 0.1]},
            "versions": {"lariat": "0.1.0"},
        },
        "plan": {"name": "x", "shape": SHAPES["loop512"].__dict__, "rounds": 3, "seed": 0},
        "tolerance": 1e-3,
        "compiled": {"pipeline": "fast", "seconds": 1.5, "cpu_seconds": 1.0, "peak_bytes": 200_000_000,
                     "stages": {"targets": {"avx2": {"seconds": {"lower": 0.2, "emit": 0.1},
                                                     "code_bytes": 2000}}}},
        "cases": [{
            "task": task, "title": "decode at a context of 256 to 271 rows", "threads": 2,
            "best": {"flops": 1e11, "isa": "avx2", "read": {"12544": 6e10}},
            "bound": {"seconds": 0.002, "by": "reading"},
            "systems": [
                entry("slow", 7.0, 8.0, 9.0, max_relative_error=2e-6),
                entry("lariat", 4.0, 4.0, 5.0, note="fast pipeline"),
                entry("quick", 3.0, 2.0, 4.0, max_relative_error=1e-6),
                {"system": "none", "absent": "torch is not installed"},
                entry("off", failed="differs: max relative error 0.5"),
            ],
        }],
    }  # fmt: skip


def test_the_report_leads_with_ratios_and_keeps_losses(result: dict[str, Any]) -> None:
    assert headline(result["cases"][0]) == "lariat: 50 % of the limit (reading), 1.80 x slow, 0.75 x quick."
    lines = render(result).splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    assert [line.split()[1] for line in table] == ["quick", "lariat", "slow", "none", "off"]
    assert table[0] == ("| quick | **0.75** [0.50..0.80] | 67 % | 3.00 [2.00..4.00] | 1.0e-06 | 2.0 | 10 (20) | 3 |")
    assert table[1] == "| lariat (fast pipeline) | 1 | 50 % | 4.00 [4.00..5.00] | - | 1.5 + 2.0 | 10 (20) | 3 |"
    assert table[3] == "| none | absent: torch is not installed | - | - | - | - | - | - |"
    assert table[4] == "| off | differs: max relative error 0.5 | - | - | - | - | - | - |"
    text = "\n".join(lines)
    for part in ("commit abc1234", "a processor, 2 processors, 16 GiB", "slow 1.0", "3 rounds", "2 threads",
                 "fast pipeline: 1.5 s", "avx2 0.30 s, 2 kB of code",
                 "100.0 GFLOP/s (avx2), reading 12.25 MiB at 60.0 GB/s",
                 "The first 2 of 16 steps"):  # fmt: skip
        assert part in text


def test_a_report_without_us_or_limits(result: dict[str, Any]) -> None:
    case = result["cases"][0]
    case.update(best=None, bound=None)
    case["systems"][1] = {"system": "lariat", "failed": "cannot compile"}
    text = render(result)
    assert "lariat was not measured." in text and "limits were not measured" in text
    assert "| lariat | cannot compile |" in text


# --- command --------------------------------------------------------------------------------------------------------


def test_command(tmp_path: Path) -> None:
    lariat = Command(tmp_path)
    assert lariat.ok("bench", "--help").startswith("usage: lariat bench")
    made = lariat.ok("bench", "make", "--shape", "smoke", "--loops", 3, "-o", "made")
    assert made == "made: 0.2 million weights, 8 applied layers\n"
    assert json.loads((tmp_path / "made" / "config.json").read_text())["num_recursions"] == 3
    assert "--loops: 0 is less than 1" in lariat.fails("bench", "make", "--shape", "smoke", "--loops", 0, "-o", "x")
    for rows in ("6", "x", "0", "8,"):
        assert "is not a list of multiples of 4" in lariat.fails("bench", "lora", "--rows", rows)
    assert "--ticks: 9 is less than 10, two turns of 5" in lariat.fails("bench", "lora", "--ticks", 9)
    assert "no plan 'nothing' in" in lariat.fails("bench", "model", "nothing")
    assert "is not a list of whole numbers" in lariat.fails("bench", "limits", "--threads", "1,x")
    assert "the following arguments are required: COMMAND" in lariat.fails("bench")
