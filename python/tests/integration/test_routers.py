# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Routers on both pipelines: every two of their choices together, decode rules, capacities given at run time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import lariat
from lariat.errors import RuntimeFault
from lariat.requests import GenerateOptions, Score, ScoreOptions
from lariat.session import Session
from tests.oracle.make_checkpoints import make_checkpoint, random_ids, rules_of
from tests.oracle.pairs import ROUTER_SPECS
from tests.oracle.reference import load_checkpoint, run
from tests.oracle.specs import SPECS, Spec

from .conftest import require_tools
from .fixtures import Fixture, score_options
from .programs import Array

SEED = 3
ROUTED = [spec for spec in SPECS if spec.name.startswith(("mor", "mod"))]
ALL = {spec.name: spec for spec in (*ROUTER_SPECS, *ROUTED)}
RULED = [name for name, spec in ALL.items() if "causal" in rules_of(spec.config)]
TOP_K = ["mor-expert-auxiliary", "mor-expert-hybrid", "mor-expert-bf16", "mor-expert-unruled", "mod-every-other",
         "mod-linear-bf16", "mod-score-only"]  # fmt: skip
PIPELINES = ["reference", "fast"]
# Largest error allowed, relative to the largest logit.
TOLERANCE = 1e-4


class Routed(NamedTuple):
    spec: Spec
    path: Path
    session: Session

    @property
    def num_capacities(self) -> int:
        return int(self.spec.config.get("num_recursions", 1))


Open = Callable[[str, str], Routed]


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """A checkpoint by name, compiled by a pipeline."""
    require_tools()
    folder = tmp_path_factory.mktemp(f"routers-seed-{SEED}")
    opened: list[Session] = []

    @cache
    def checkpoint(name: str) -> Path:
        return make_checkpoint(ALL[name], folder, seed=SEED)

    @cache
    def get(name: str, pipeline: str) -> Routed:
        output = folder / f"{name}-{pipeline}.lariat"
        options = lariat.CompileOptions(pipeline=pipeline, target="native" if pipeline == "fast" else None)
        lariat.compile(checkpoint(name), output, options)
        opened.append(lariat.load(output, threads=1))
        return Routed(ALL[name], checkpoint(name), opened[-1])

    yield get
    for session in opened:
        session.close()


def same_bits(found: Sequence[Score], expected: Sequence[Score]) -> None:
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(one.steps, other.steps, err_msg=f"sequence {number}")
        np.testing.assert_array_equal(one.logits.view(np.int32), other.logits.view(np.int32), f"sequence {number}")


def assert_near(found: Array, expected: Array, place: str) -> None:
    """Another choice of rows is off by far more; weights near 0 cost digits that the next norm makes visible."""
    error, allowed = float(np.abs(found - expected).max()), TOLERANCE * max(1.0, float(np.abs(expected).max()))
    assert error <= allowed, f"{place} seed {SEED}: max error {error:.3g}, allowed {allowed:.3g}"


def test_any_two_choices_meet() -> None:
    keys = ("router_func", "router_arch", "kv_policy", "gating", "router_temperature", "loss_free_bias", "torch_dtype")
    for router, functions in (("expert", 3), ("token", 4)):
        specs = [spec for spec in ROUTER_SPECS[:-1] if spec.config["router_type"] == router]
        chosen = [[*(spec.config.get(key) for key in keys), bool(spec.more_tensors)] for spec in specs]
        columns = [set(column) for column in zip(*chosen, strict=True)]
        assert len(columns[0]) == functions
        for a, b in combinations(range(len(columns)), 2):
            assert {(one[a], one[b]) for one in chosen} == set(product(columns[a], columns[b])), (router, a, b)


# Against the oracle.


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", ALL)
def test_scores_agree_with_the_oracle(routed: Open, name: str, pipeline: str) -> None:
    one = routed(name, pipeline)
    fixture = Fixture.load_from(one.path)
    cases = list(fixture.cases())
    for rule in fixture.rules(cases[0]):
        results = one.session.score([fixture.ids(case) for case in cases], score_options(rule))
        for case, result in zip(cases, results, strict=True):
            expected = fixture.logits(case, rule)
            assert expected is not None
            assert_near(result.logits, expected, f"{case} {rule}")
            np.testing.assert_array_equal(result.steps, fixture.depth(case, rule), f"{case} {rule} seed {SEED}")


@pytest.mark.parametrize("name", ["mod-every-other", "mod-linear-bf16"])
def test_a_routed_layer_stores_the_rows_that_it_runs_for(routed: Open, name: str) -> None:
    for pipeline in PIPELINES:
        one = routed(name, pipeline)
        fixture = Fixture.load_from(one.path)
        for rule in ("topk", "causal"):
            (result,) = one.session.score([fixture.ids("len31")], score_options(rule))
            active = fixture.tensors[f"len31.{rule}.active"].sum(axis=1)
            (slots,) = result.slots["kv_routed"]
            assert [slot.computed for slot in slots] == active.tolist()


# Generating.


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", RULED)
def test_decoding_row_by_row_is_one_full_run(routed: Open, name: str, pipeline: str) -> None:
    one = routed(name, pipeline)
    generator = np.random.default_rng([SEED, *name.encode()])
    prompts = [random_ids(one.spec.config, length, generator) for length in (9, 1)]
    generated = one.session.generate(prompts, GenerateOptions(max_new_tokens=8, ignore_eos=True))
    batch = [[*prompt, *result.tokens] for prompt, result in zip(prompts, generated, strict=True)]
    whole = one.session.score(batch, ScoreOptions(mode="generate"))
    same_bits(one.session.score(batch, ScoreOptions(mode="generate", chunk=1)), whole)
    for prompt, result, score in zip(prompts, generated, whole, strict=True):
        rows = slice(len(prompt) - 1, -1)
        assert list(result.tokens) == score.logits[rows].argmax(axis=1).tolist(), f"seed {SEED}"
        assert list(result.steps) == score.steps[rows].tolist(), f"seed {SEED}"


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", ["mor-expert-unruled", "mod-score-only"])
def test_a_model_without_a_rule_only_scores(routed: Open, name: str, pipeline: str) -> None:
    session = routed(name, pipeline).session
    with pytest.raises(RuntimeFault, match="cannot generate: its top_k has no decode rule"):
        session.generate([[1, 2]], GenerateOptions(max_new_tokens=1))
    with pytest.raises(RuntimeFault, match="has no decode rule, so it scores only"):
        session.score([[1, 2]], ScoreOptions(mode="generate"))


# Capacity.

SHARES = (["1", "1/2", "1/3"], [0.6, 0.6, 0.05], ["2/3", Fraction(1, 7), 1])


def draw_clear(one: Routed, length: int, shares: Sequence[Fraction]) -> list[int]:
    """Ids for which no decision under these shares is close."""
    config, weights = load_checkpoint(one.path)
    generator = np.random.default_rng([SEED, length, *one.spec.name.encode()])
    for _ in range(50):
        ids = random_ids(config, length, generator)
        result = run(config, weights, ids, rule="topk", capacity=shares)
        single = run(config, weights, ids, rule="topk", capacity=shares, dtype=np.float32)
        if result.decision_gap > 2e-4 and np.array_equal(result.depth, single.depth):
            return ids
    raise AssertionError("no ids give clear decisions")


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", TOP_K)
def test_capacity_of_a_request_is_that_of_the_oracle(routed: Open, name: str, pipeline: str) -> None:
    one = routed(name, pipeline)
    config, weights = load_checkpoint(one.path)
    for given in SHARES:
        shares = (given * 2)[: one.num_capacities]
        exact = [Fraction(str(share)) for share in shares]
        drawn = [draw_clear(one, length, exact) for length in (1, 23, 12)]
        for ids, result in zip(drawn, one.session.score(drawn, ScoreOptions(capacity=shares)), strict=True):
            expected = run(config, weights, ids, rule="topk", capacity=exact)
            np.testing.assert_array_equal(result.steps, expected.depth, f"{shares} seed {SEED}")
            assert_near(result.logits, expected.logits, f"{shares}")


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", ["mor-expert-hybrid", "mod-every-other"])
def test_capacity_of_a_request_is_that_of_a_model_that_declares_it(
    routed: Open, tmp_path: Path, name: str, pipeline: str
) -> None:
    """All rows at capacity 1; the declared shares are the default."""
    one = routed(name, pipeline)
    count, key = one.num_capacities, "capacity" if one.num_capacities > 1 else "mod_capacity"
    batch = [random_ids(one.spec.config, length, np.random.default_rng(SEED)) for length in (19, 2, 30)]
    for share in ("1/1", "2/5"):
        path = Path(shutil.copytree(one.path, tmp_path / f"checkpoint-{share[0]}"))
        config = {**one.spec.config, key: [share] * count if count > 1 else share}
        (path / "config.json").write_text(json.dumps(config))
        output = tmp_path / f"{share[0]}.lariat"
        lariat.compile(path, output, lariat.CompileOptions(pipeline=pipeline))
        with lariat.load(output) as session:
            declared = session.score(batch)
            same_bits(session.score(batch, ScoreOptions(capacity=[share] * count)), declared)
        found = one.session.score(batch, ScoreOptions(capacity=[share] * count))
        same_bits(found, declared)
        if share == "1/1":
            assert all((score.steps == count).all() for score in found)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(
    ("capacity", "message"),
    [
        ([], "the capacity has no shares, expected one for each depth"),
        (["1"], "a capacity of 1 shares is given, but the router of the model has 3 depths"),
        (["1"] * 4, "a capacity of 4 shares is given, but the router of the model has 3 depths"),
        ([1, 0, 1], "the capacity of depth 1 is 0/1, expected a share above 0 and at most 1"),
        ([1, 1, "3/2"], "the capacity of depth 2 is 3/2, expected a share above 0 and at most 1"),
        ([-0.5, 1, 1], "the capacity of depth 0 is -1/2, expected a share above 0 and at most 1"),
        ([1, 1, "1/2147483648"], "the capacity of depth 2 is 1/2147483648, expected .* denominator below 2.31"),
        ([1, "1/99999999999999999999", 1], "the capacity of depth 1 is 1/9+, expected a fraction of smaller numbers"),
        ([1, "half", 1], "the capacity of depth 1 is 'half', expected a share such as 2/3"),
        ([1, float("nan"), 1], r"'capacity\[1\]' is nan \(float\), expected a finite number"),
        ([1, "1/0", 1], "the capacity of depth 1 is '1/0', expected a share"),
    ],
)
def test_a_capacity_that_is_none(
    routed: Open, pipeline: str, capacity: Sequence[Fraction | float | str], message: str
) -> None:
    session = routed("mor-expert-auxiliary", pipeline).session
    with pytest.raises(RuntimeFault, match=message):
        session.score([[1, 2, 3]], ScoreOptions(capacity=capacity))


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_capacity_where_none_is_asked_for(routed: Open, pipeline: str) -> None:
    options = ScoreOptions(mode="generate", capacity=[1, 1, 1])
    with pytest.raises(RuntimeFault, match="in mode generate the decode rule decides, not a capacity"):
        routed("mor-expert-auxiliary", pipeline).session.score([[1]], options)
    with pytest.raises(RuntimeFault, match="the model has no router that takes one"):
        routed("mor-token-bias", pipeline).session.score([[1]], ScoreOptions(capacity=[1]))
