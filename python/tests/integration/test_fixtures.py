# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every trained fixture agrees with its independent reference, in every rule and mode that is stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import lariat
from lariat.session import CacheUse, Score, ScoreOptions, Session

from .fixtures import GAP_FACTOR, NAMES, Fixture, generate_options, score_options, slot_place, tolerance

Open = Callable[..., Session]
LOADED = {name: Fixture.load(name) for name in NAMES}
DECODERS = [name for name in NAMES if name != "albert"]
RULES = [(name, rule) for name in NAMES for rule in LOADED[name].rules("len31")]
GREEDY = [
    (name, *key.removeprefix("greedy.").rsplit(".", 1))
    for name in DECODERS
    for key in LOADED[name].facts
    if key.startswith("greedy.")
]


def _run_all(session: Session, fixture: Fixture, rule: str) -> dict[str, Score | NDArray[Any]]:
    """Every case of a fixture under one rule, as one ragged batch."""
    cases = list(fixture.cases())
    batch = [fixture.ids(case) for case in cases]
    if fixture.name == "albert":
        encoded = session.encode(batch)
        logits = [one.logits for one in encoded]
        return {case: found for case, found in zip(cases, logits, strict=True) if found is not None}
    return dict(zip(cases, session.score(batch, score_options(rule)), strict=True))


def _decides_clearly(gap: float | None, error: float) -> bool:
    return gap is None or gap > GAP_FACTOR * tolerance(error)


def _check_slots(fixture: Fixture, expected: dict[str, dict[str, int]], found: CacheUse) -> None:
    """Entries per slot. A slot whose loop no row reached is listed as empty, although a fill may have gone there."""
    propagates = fixture.config.get("exit_kv_policy") == "propagate"
    for name, counts in expected.items():
        cache, layer, slot = slot_place(name)
        slots = found[cache][layer]
        if slot >= len(slots):
            assert counts["computed"] == 0, f"{name}: no such slot, expected {counts}"
            continue
        assert slots[slot].computed == counts["computed"], f"{name}: computed"
        if propagates and counts["computed"]:
            assert slots[slot].computed + slots[slot].filled == counts["visible"], f"{name}: visible"


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_scores_agree_with_the_reference(open_session: Open, name: str, rule: str) -> None:
    fixture = LOADED[name]
    results = _run_all(open_session(fixture.path), fixture, rule)
    for case, result in results.items():
        run = fixture.run(case, rule)
        logits = result.logits if isinstance(result, Score) else result
        expected = fixture.logits(case, rule)
        if expected is not None:
            error = float(np.abs(logits[-len(expected) :] - expected).max())
            allowed = tolerance(run["fp32_max_abs_err"])
            assert error <= allowed, f"{name} {case} {rule}: max error {error:.3g}, allowed {allowed:.3g}"
        depth = fixture.depth(case, rule)
        if isinstance(result, Score) and depth is not None:
            if not _decides_clearly(run["smallest_decision_gap"], run["fp32_max_abs_err"]):
                continue
            np.testing.assert_array_equal(result.steps, depth, err_msg=f"{name} {case} {rule}")
            if run["kv_slots"]:
                _check_slots(fixture, run["kv_slots"], result.slots)


# In huginn the coda attends, so a row's logits also depend on where the rows before it exited.
SELECT = [(name, rule) for name, rule in RULES if rule.startswith("select@") and name != "huginn"]


@pytest.mark.parametrize(("name", "rule"), SELECT)
def test_select_reads_the_logits_of_the_exit_step(open_session: Open, name: str, rule: str) -> None:
    """`missing = compute` gives full-cache quality: each row's logits are those of a full run stopped at its depth."""
    fixture = LOADED[name]
    result = open_session(fixture.path).score([fixture.ids("len31")], score_options(rule))[0]
    allowed = tolerance(fixture.run("len31", rule)["fp32_max_abs_err"])
    for row, depth in enumerate(result.steps):
        expected = fixture.tensors.get(f"len31.full.loop_logits.{int(depth) - 1}")
        if expected is not None:
            assert np.abs(result.logits[row] - expected[row]).max() <= allowed


@pytest.mark.parametrize("name", ["ouro", "rrt", "huginn"])
def test_fewer_loops_give_the_logits_of_that_loop(open_session: Open, name: str) -> None:
    fixture = LOADED[name]
    session = open_session(fixture.path)
    for loops in range(1, 4):
        expected = fixture.tensors.get(f"len31.full.loop_logits.{loops - 1}")
        if expected is None:
            continue
        result = session.score([fixture.ids("len31")], ScoreOptions(loops=loops))[0]
        assert np.abs(result.logits - expected).max() <= 1e-4
        assert set(result.steps) == {loops}


@pytest.mark.parametrize(("name", "rule", "prompt"), GREEDY)
def test_greedy_continuations_agree(open_session: Open, name: str, rule: str, prompt: str) -> None:
    fixture = LOADED[name]
    key = f"greedy.{rule}.{prompt}"
    start = [int(token) for token in fixture.tensors[f"{key}.prompt"]]
    expected, margin = fixture.tensors[f"{key}.ids"], fixture.tensors[f"{key}.margin"]
    session = open_session(fixture.path)
    if rule == "recompute_topk":
        found, steps = _recompute(session, start, len(expected))
        slots = None
    else:
        result = session.generate([start], generate_options(rule, len(expected)))[0]
        found, steps, slots = list(result.tokens), list(result.steps), result.slots
        assert result.finish == "length"
    agree = _agreeing(found, expected, margin)
    assert agree == len(expected), f"{name} {key}: token {agree} differs at margin {margin[agree]}"
    if f"{key}.step_depth" in fixture.tensors:
        np.testing.assert_array_equal(steps, fixture.tensors[f"{key}.step_depth"])
    if slots is not None and fixture.facts[key]["kv_slots"]:
        _check_slots(fixture, fixture.facts[key]["kv_slots"], slots)


def _recompute(session: Session, start: list[int], count: int) -> tuple[list[int], list[int]]:
    """Greedy decoding that scores the whole sequence again for every token, as routers are trained."""
    tokens, steps = list(start), []
    for _ in range(count):
        result = session.score([tokens])[0]
        steps.append(int(result.steps[-1]))
        tokens.append(int(result.logits[-1].argmax()))
    return tokens[len(start) :], steps


def _agreeing(found: list[int], expected: NDArray[Any], margin: NDArray[Any]) -> int:
    """How many tokens agree; a difference at a margin below the tolerance ends the comparison."""
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        if one != other:
            return len(expected) if margin[place] < 2e-4 else place
    return len(expected)


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_huginn_runs_from_a_given_initial_state(open_session: Open, tmp_path: Path, steps: int) -> None:
    fixture = LOADED["huginn"]
    state = tmp_path / "state.safetensors"
    save_file({"state.0": fixture.tensors["init_state.s0"].astype(np.float32)}, state)
    options = ScoreOptions(loops=steps, initial_state=state)
    result = open_session(fixture.path).score([fixture.ids("init_state")], options)[0]
    expected = fixture.tensors[f"init_state.steps{steps}.logits"]
    assert np.abs(result.logits - expected).max() <= 1e-4


@pytest.mark.parametrize("case", ["prefix12", "prefix20"])
def test_hrm_sees_a_bidirectional_prefix(open_session: Open, case: str) -> None:
    fixture = LOADED["hrm"]
    options = ScoreOptions(prefix=int(case.removeprefix("prefix")))
    result = open_session(fixture.path).score([fixture.ids(case)], options)[0]
    expected = fixture.tensors[f"{case}.logits"]
    assert np.abs(result.logits - expected).max() <= tolerance(5.3e-6)


def test_bf16_weights_agree_with_their_own_reference(open_session: Open) -> None:
    fixture = LOADED["mor-expert"]
    reference = load_file(fixture.path / "reference-bf16.safetensors")
    session = open_session(fixture.path, lariat.CompileOptions(dtype="bf16", kv_dtype="f32"))
    for case in ("len1", "len31", "len64", "ragged0", "ragged1"):
        ids = [int(token) for token in reference[f"{case}.ids"]]
        for rule in ("topk", "causal"):
            result = session.score([ids], score_options(rule))[0]
            error = float(np.abs(result.logits - reference[f"{case}.{rule}.logits"]).max())
            assert error <= tolerance(fixture.run(case, rule)["fp32_max_abs_err"]), f"{case} {rule}: {error:.3g}"
            np.testing.assert_array_equal(result.steps, reference[f"{case}.{rule}.depth"])
