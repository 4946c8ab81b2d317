# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`lariat bench serve` and `batching`: loads, what is counted, and the report that others read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

import lariat
from lariat.bench.batching import RUNS, measure_batching, render_batching
from lariat.bench.load import ENGINES, Load, draw_arrivals, plan_requests, read_exits, read_share
from lariat.bench.make_checkpoint import make_checkpoint
from lariat.bench.serve import serve
from lariat.bench.shapes import SHAPES
from lariat.errors import RuntimeFault
from tests.command import Command

LOAD = Load("depth", "uniform", rows=3, requests=6, prompt_tokens=4, new_tokens=8, threads=1)
CONTRACT = {"tokens_per_s", "bound_tokens_per_s", "loop_only_bound", "mean_depth", "occupancy", "ttft_ms",
            "inter_token_ms", "kv_bytes_peak", "ticks"}  # fmt: skip


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    checkpoint = make_checkpoint(SHAPES["smoke"].with_loops(3), folder / "checkpoint")
    lariat.compile(checkpoint, folder / "smoke.lariat")
    return folder / "smoke.lariat"


# --- loads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("exits", "expected"), [("full", {4}), ("uniform", {1, 2, 3, 4}), ("iid:0,1,0,3", {2, 4})])
def test_rows_run_the_steps_that_are_asked_for(exits: str, expected: set[int]) -> None:
    drawn = read_exits(exits, 4).draw(1000, numpy.random.default_rng(0))
    assert drawn is not None and len(drawn) == 1000
    assert set(drawn) == expected


def test_chances_are_followed() -> None:
    drawn = read_exits("iid:1,0,3", 3).draw(20000, numpy.random.default_rng(1))
    assert drawn is not None
    assert drawn.count(1) / len(drawn) == pytest.approx(0.25, abs=0.02)


def test_the_model_decides_where_nobody_else_does() -> None:
    assert read_exits("model", 4).draw(5, numpy.random.default_rng(0)) is None


def test_a_trace_is_what_generate_wrote_and_no_row_runs_more_steps_than_the_model(tmp_path: Path) -> None:
    trace = tmp_path / "steps.json"
    trace.write_text(json.dumps([{"tokens": [1, 2], "steps": [1, 7]}, {"tokens": [3], "steps": [2]}]))
    drawn = read_exits(f"trace:{trace}", 3).draw(6, numpy.random.default_rng(0))
    assert drawn is not None
    assert any(drawn == ([1, 3, 2] * 4)[start : start + 6] for start in range(3))


@pytest.mark.parametrize("name", ["ouro", "rrt"])
def test_recorded_exits_of_the_bundled_models_can_be_replayed(name: str) -> None:
    drawn = read_exits(f"trace:{name}", 4).draw(1920, numpy.random.default_rng(0))
    assert drawn is not None
    assert 2 < numpy.mean(drawn) < 4


@pytest.mark.parametrize("exits", ["often", "iid:", "iid:1,2", "iid:1,2,x", "iid:1,-1,1", "iid:0,0,0", "iid:1,1,inf",
                                   "trace:nobody", "iid:nan,1,1"])  # fmt: skip
def test_other_exits_are_an_error_that_names_them(exits: str) -> None:
    with pytest.raises(RuntimeFault, match="--exits"):
        read_exits(exits, 3)


def test_a_file_that_is_no_trace_is_an_error(tmp_path: Path) -> None:
    for text in ("{}", "[]", "[3]", '[{"steps": [0]}]', "no JSON"):
        (tmp_path / "t.json").write_text(text)
        with pytest.raises(RuntimeFault, match="is no trace"):
            read_exits(f"trace:{tmp_path / 't.json'}", 3)


def test_arrivals_are_all_at_once_or_random_at_a_rate() -> None:
    assert read_share("closed") is None
    assert read_share("poisson:0.8") == 0.8
    for text in ("poisson", "poisson:0", "poisson:x", "open:1"):
        with pytest.raises(RuntimeFault, match="--arrivals"):
            read_share(text)
    assert draw_arrivals(3, None, numpy.random.default_rng(0)) == [0.0, 0.0, 0.0]
    times = draw_arrivals(4000, 50.0, numpy.random.default_rng(0))
    assert times == sorted(times)
    assert times[-1] / 4000 == pytest.approx(1 / 50, rel=0.1)


def test_one_request_may_be_longer_than_the_others(artefact: Path) -> None:
    info = lariat.Artefact.open(artefact)
    planned = plan_requests(replace(LOAD, long_tokens=30), info, numpy.random.default_rng(0))
    assert [one.new_tokens for one in planned] == [30] + 5 * [8]
    with pytest.raises(RuntimeFault, match="more than the context of 256"):
        plan_requests(replace(LOAD, long_tokens=300), info, numpy.random.default_rng(0))


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_counts_what_it_did(artefact: Path, engine: str) -> None:
    result = serve(artefact, replace(LOAD, engine=engine, exits="iid:0,1,0"))
    assert result.keys() >= CONTRACT
    assert result["tokens"] == 6 * 8
    assert 0 < result["tokens_per_s"] < 1.5 * result["bound_tokens_per_s"]
    assert result["ttft_ms"]["p50"] > 0 and result["inter_token_ms"]["p99"] >= result["inter_token_ms"]["p50"] > 0
    assert result["kv_bytes_peak"] > 0
    # Where rows are not made to run all steps, each runs two.
    assert result["mean_depth"] == (3 if engine in ("full", "whole") else 2)


def test_a_run_at_a_rate_takes_its_time(artefact: Path) -> None:
    result = serve(artefact, replace(LOAD, arrivals="poisson:0.5"))
    assert result["tokens"] == 6 * 8
    assert result["load"]["arrivals"] == "poisson:0.5"


def test_a_recorded_run_is_run_again_call_by_call(artefact: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    one = replace(LOAD, exits="iid:0.4,0.3,0.3", arrivals="poisson:0.5")
    recorded = serve(artefact, one, record=first)
    replayed = serve(artefact, one, record=second, replay=first)
    assert first.read_text() == second.read_text()
    assert len(json.loads(first.read_text())["plans"]) > 8
    assert replayed["tokens"] == recorded["tokens"]
    with pytest.raises(RuntimeFault, match="request 0 is not the one that was recorded"):
        serve(artefact, replace(one, seed=1), replay=first)
    with pytest.raises(RuntimeFault, match="--replay: cannot read"):
        serve(artefact, one, replay=tmp_path / "none")


def test_the_command_writes_what_others_read(artefact: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    Command(tmp_path).ok("bench", "serve", artefact, "--engine", "depth", "--exits", "iid:0.5,0,0.5",
        "--rows", 2, "--requests", 3,
        "--prompt-tokens", 2, "--new-tokens", 6, "--threads", 1, "--json", out)  # fmt: skip
    found = json.loads(out.read_text())
    assert found.keys() >= CONTRACT | {"about", "load", "version"}
    assert found["load"]["engine"] == "depth"


def test_all_ways_to_batch_are_measured_side_by_side(artefact: Path) -> None:
    said: list[str] = []
    measured = measure_batching(artefact, LOAD, [1, 2], rounds=1, report=said.append)
    assert [case["rows"] for case in measured["cases"]] == [1, 2] and len(said) == 2
    assert all(case["runs"].keys() == RUNS.keys() for case in measured["cases"])
    text = render_batching(measured, ["- about"])
    assert text.count("\n| 2 |") == 5
