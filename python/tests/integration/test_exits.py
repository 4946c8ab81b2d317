# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exit rules against an evaluation in float64: steps of every row and logits, on both pipelines.

Weights are random, from a printed seed. Thresholds are put where rows take different steps and no decision is close.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pytest

import lariat
from lariat.engine import Engine
from lariat.exits import RULES
from lariat.requests import GenerateOptions
from tests.integration.families import find_spec, random_heads, write_checkpoint
from tests.integration.fast import Fast
from tests.integration.programs import Ids, Outcome, Reference
from tests.oracle.make_checkpoints import random_weights
from tests.oracle.pieces import Array, Result
from tests.oracle.reference import run
from tests.oracle.specs import Spec

# Every rule where layers see filled entries, and where the coda runs in the loop, which may not stop at once.
PLACES = [
    *(("ouro-propagate", rule) for rule in (*RULES, "act:form=sum")),
    *(("huginn-copy-last", f"{rule}:min_steps=2") for rule in RULES),
    ("rrt-copy-last", "top2-margin"),
    ("rrt-copy-last", "minp-kl"),
    ("nanbeige-loops", "kl"),
    ("nanbeige-loops", "class-head"),
    ("nanbeige-loops", "calm:tau=2.5,length=30"),
]
LENGTHS = (17, 1, 9)
# A decision is compared where it is so far from the other one; scores differ by less.
GAP = 1e-4
NAN_ID = 0  # its embedding is not a number
MAX_SEEDS = 20


@dataclass(frozen=True)
class Place:
    """A checkpoint whose rows leave by a rule."""

    spec: Spec
    rule: str
    seed: int

    def __str__(self) -> str:
        return f"{self.spec.name} with {self.rule}, seed {self.seed}"

    @cached_property
    def weights(self) -> dict[str, Array]:
        generator = np.random.default_rng([17, self.seed])
        return random_weights(self.spec, generator) | random_heads(self.spec, self.seed)

    @cached_property
    def batch(self) -> list[Ids]:
        generator = np.random.default_rng([19, self.seed])
        return [generator.integers(NAN_ID + 1, 256, length).tolist() for length in LENGTHS]

    @property
    def max_depth(self) -> int:
        return int(next(self.spec.config[key] for key in ("max_recurrence", "num_loops") if key in self.spec.config))

    @property
    def min_steps(self) -> int:
        return int(self.rule.partition("min_steps=")[2] or 1)

    def expect(self, threshold: float, kind: str, dtype: type = np.float64) -> list[Result]:
        options = {"rule": kind, "threshold": threshold, "exit_rule": self.rule, "loops": self.max_depth}
        return [run(self.spec.config, self.weights, ids, dtype=dtype, **options) for ids in self.batch]

    def thresholds(self) -> Iterator[float]:
        """Middles of the widest spaces between scores of steps in which rows may stop."""
        if self.rule.startswith("argmax"):
            yield from (1.0, 2.0)
            return
        full = [run(self.spec.config, self.weights, ids, exit_rule=self.rule, loops=self.max_depth)
                for ids in self.batch]  # fmt: skip
        scores = np.concatenate([one.scores[self.min_steps - 1 : -1].ravel() for one in full if one.scores is not None])
        rule = RULES[self.rule.partition(":")[0]]
        scores = np.sort(scores[(scores > rule.low) & (scores < rule.high)])
        scores = scores[len(scores) // 5 : -len(scores) // 5]
        for index in np.argsort(np.diff(scores))[:-6:-1]:
            yield float(np.float32(scores[index : index + 2].mean()))

    def find_threshold(self, kind: str) -> tuple[float, list[Result]] | None:
        """One at which no decision is close, and what rows then do."""
        for threshold in self.thresholds():
            results = self.expect(threshold, kind)
            steps = {int(step) for one in results for step in one.depth}
            if len(steps) > 1 and min(one.decision_gap for one in results) > GAP:
                return threshold, results
        return None


@dataclass(frozen=True)
class Case:
    """A place with a threshold; of kind `exit`, or `select`, where rows run on for their keys and values."""

    place: Place
    kind: str
    threshold: float
    expected: Sequence[Result]

    @staticmethod
    @cache
    def find(name: str, rule: str, kind: str = "exit") -> Case:
        for seed in range(MAX_SEEDS):
            place = Place(find_spec(name), rule, seed)
            found = place.find_threshold(kind)
            if found is not None:
                return Case(place, kind, *found)
        raise AssertionError(f"{name} with {rule}: no seed below {MAX_SEEDS} gives clear decisions")

    def tolerance(self) -> float:
        """From the error of the oracle's own float32 evaluation."""
        single = self.place.expect(self.threshold, self.kind, np.float32)
        errors = [np.abs(one.logits - other.logits).max() for one, other in zip(single, self.expected, strict=True)]
        return 4 * float(max(errors)) + 1e-5


Open = Callable[[Case], Reference | Fast]


@pytest.fixture(scope="module", params=[Reference, Fast], ids=["reference", "fast"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Each place compiled once, for all tests, on either pipeline."""
    folder = tmp_path_factory.mktemp("checkpoints")
    known: dict[str, Reference | Fast] = {}

    def get(case: Case) -> Reference | Fast:
        place = case.place
        print(place, "threshold", case.threshold)
        if str(place) not in known:
            weights = dict(place.weights)
            if not place.spec.config["tie_word_embeddings"]:
                weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"].copy()
                weights["model.embed_tokens.weight"][NAN_ID] = np.nan
            write_checkpoint(folder / str(place), place.spec, weights)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                text = lariat.import_checkpoint(folder / str(place), exit_rule=place.rule)
            known[str(place)] = request.param(text, folder / str(place))
        return known[str(place)]

    yield get
    for one in known.values():
        one.close()


def steps_of(outcomes: Sequence[Outcome]) -> list[list[int]]:
    return [list(one.steps) for one in outcomes]


def assert_as_expected(found: Sequence[Outcome], case: Case) -> None:
    assert steps_of(found) == [one.depth.tolist() for one in case.expected]
    error = max(float(np.abs(one.logits - other.logits).max()) for one, other in zip(found, case.expected, strict=True))
    assert error <= case.tolerance()


@pytest.mark.parametrize(("name", "rule"), PLACES)
def test_steps_and_logits_are_those_of_the_oracle(opened: Open, name: str, rule: str) -> None:
    case = Case.find(name, rule)
    assert_as_expected(
        opened(case).score(case.place.batch, exit_threshold=case.threshold, loops=case.place.max_depth), case
    )


@pytest.mark.parametrize(("name", "rule"), [("ouro-propagate", "act"), ("huginn-copy-last", "kl:min_steps=2")])
def test_rows_that_run_on_for_their_keys_have_left_as_well(opened: Open, name: str, rule: str) -> None:
    case = Case.find(name, rule, "select")
    options = {"exit_threshold": case.threshold, "loops": case.place.max_depth, "missing": "compute"}
    assert_as_expected(opened(case).score(case.place.batch, **options), case)


@pytest.mark.parametrize(("name", "rule"), PLACES)
def test_no_row_stops_early_at_one_end_and_every_row_at_the_other(opened: Open, name: str, rule: str) -> None:
    case = Case.find(name, rule)
    declared, place = RULES[rule.partition(":")[0]], case.place
    always = declared.low if declared.never == declared.high else declared.high
    for threshold, expected in ((declared.never, place.max_depth), (always, place.min_steps)):
        found = opened(case).score(place.batch, exit_threshold=threshold, loops=place.max_depth)
        assert steps_of(found) == [[expected] * length for length in LENGTHS]


@pytest.mark.parametrize("rule", [rule for name, rule in PLACES if name == "ouro-propagate"])
def test_a_row_whose_score_is_no_number_goes_on(opened: Open, rule: str) -> None:
    case = Case.find("ouro-propagate", rule)
    declared, place = RULES[rule.partition(":")[0]], case.place
    always = declared.low if declared.never == declared.high else declared.high
    found = opened(case).score([[5], [NAN_ID]], exit_threshold=always)
    assert steps_of(found) == [[1], [place.max_depth]]
    assert [bool(np.isnan(one.logits).all()) for one in found] == [False, True]


def test_requests_side_by_side_have_thresholds_of_their_own(opened: Open) -> None:
    case = Case.find("ouro-propagate", "kl")
    fast, prompt = opened(case), case.place.batch[0]
    if isinstance(fast, Reference):
        pytest.skip("requests run side by side in the fast pipeline")
    thresholds = (RULES["kl"].never, case.threshold, RULES["kl"].high)
    options = [GenerateOptions(max_new_tokens=6, ignore_eos=True, exit_threshold=one) for one in thresholds]
    alone = [fast.session.generate([prompt], one)[0] for one in options]
    engine = Engine(fast.session)
    for one in options:
        engine.submit(prompt, one)
    steps: dict[int, list[int]] = {}
    unfinished = len(options)
    while unfinished:
        tick = engine.tick()
        unfinished = tick.unfinished
        for token in tick.tokens:
            steps.setdefault(token.sequence, []).append(token.steps)
    assert steps == {number: list(one.steps) for number, one in enumerate(alone)}
    assert set(steps[0]) == {case.place.max_depth} and set(steps[2]) == {1} and len(set(steps[1])) > 1


def test_steps_are_no_more_than_the_request_asks_for(opened: Open) -> None:
    case = Case.find("huginn-copy-last", "kl:min_steps=2")
    found = opened(case).score(case.place.batch, exit_threshold=case.threshold, loops=3)
    assert steps_of(found) == [np.minimum(one.depth, 3).tolist() for one in case.expected]
