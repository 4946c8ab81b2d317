# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What holds for every model: bits of a row, however it is fed, and code and memory that follow from the IR alone.

Models are drawn from a seed, or have the shape of a family and random weights. Nothing is compared with numbers from
elsewhere, so every comparison is bit for bit.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints import OPT
from tests.integration.families import WITH_RULES, write_named
from tests.integration.fast import Fast
from tests.integration.programs import Ids, Outcome, Reference
from tests.integration.random_models import RandomModel

SEEDS = range(13)
# Families whose loop can be split into steps, and the others.
FAMILIES = ("mor-token-sigmoid", "mor-expert-hybrid", "mor-expert-sharing", "ouro-propagate", "rrt-copy-last",
            "huginn-propagate", "hrm-h3-l1", *WITH_RULES)  # fmt: skip
NOT_SPLIT = ("hrm-h3-l1",)
NAMES = [f"seed {seed}" for seed in SEEDS] + list(FAMILIES)

# One pass or a few in the order of the pipeline; each keeps every result.
PASSES = {
    "hoist": ["--lariat-hoist-over-depth"],
    "sink": ["--lariat-sink-take"],
    "canonicalize": ["--canonicalize"],
    "cse": ["--cse"],
    "all": ["--canonicalize", "--cse", "--lariat-sink-take", "--lariat-hoist-over-depth", "--canonicalize"],
}  # fmt: skip
# All of them together on every model, each alone on every third one; in the long leg on every one.
PASSES_OF_MODELS = [
    (name, passes)
    for model, name in enumerate(NAMES)
    for number, passes in enumerate(PASSES)
    if passes == "all" or (model + number) % 3 == 0 or os.environ.get("LARIAT_LONG")
]


@dataclass(frozen=True)
class Case:
    """A model and how to ask for varied steps."""

    name: str
    text: str
    weights: Path | None
    vocab: int
    threshold: float | None
    has_top_k: bool
    order: str = "free"
    is_phased: bool = False

    @property
    def options(self) -> dict[str, object]:
        """Of a request whose rows do not depend on the rows after them."""
        options: dict[str, object] = {"mode": "generate"} if self.has_top_k else {}
        return options if self.threshold is None else {**options, "exit_threshold": self.threshold}

    def batch(self, lengths: Sequence[int] = (13, 1, 6, 9)) -> list[Ids]:
        generator = np.random.default_rng([7, *self.name.encode()])
        return [generator.integers(0, self.vocab, length).tolist() for length in lengths]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    folder = tmp_path_factory.mktemp("checkpoints")

    @cache
    def get(name: str) -> Case:
        print(f"model '{name}'")
        if name.startswith("seed "):
            model = RandomModel.draw(int(name.removeprefix("seed ")))
            print(model)
            threshold = 0.5 if model.has_exit else None
            return Case(name, model.text(), None, model.vocab, threshold, model.has_top_k, model.order, model.is_phased)
        family = write_named(folder, name)
        return Case(name, family.text, family.directory, family.vocab, family.threshold, family.has_top_k)

    return get


@pytest.fixture(scope="module", params=[Reference, Fast], ids=["reference", "fast"])
def running(request: pytest.FixtureRequest, case: Callable[[str], Case]) -> Iterator[Callable[[str], Reference | Fast]]:
    """One model each, for all tests, on either pipeline."""
    opened: dict[str, Reference | Fast] = {}

    def get(name: str) -> Reference | Fast:
        if name not in opened:
            one = case(name)
            opened[name] = request.param(one.text, one.weights)
        return opened[name]

    yield get
    for one in opened.values():
        one.close()


Get = Callable[[str], Case]
Run = Callable[[str], Reference | Fast]


def assert_same(found: Sequence[Outcome], expected: Sequence[Outcome], *, slots: bool = True) -> None:
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.steps == other.steps, f"sequence {number}: steps"
        different = np.flatnonzero((one.logits.view(np.int32) != other.logits.view(np.int32)).any(1))
        assert not len(different), (
            f"sequence {number}: rows {different.tolist()} differ, at most by {np.abs(one.logits - other.logits).max()}"
        )
        if slots:
            assert one.slots == other.slots, f"sequence {number}: cache entries"


def opt(text: str, *flags: str) -> subprocess.CompletedProcess[str]:
    if not OPT.exists():
        pytest.skip("lariat-opt is not built")
    done = subprocess.run([OPT, *flags, "-"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("name", NAMES)
def test_steps_vary(case: Get, running: Run, name: str) -> None:
    """What the other tests compare is not trivial."""
    steps = {step for one in running(name).score(case(name).batch(), **case(name).options) for step in one.steps}
    text = case(name).text
    if "exit_scope" in text:
        assert len(steps) == 1  # a prompt runs on
    elif "lariat.exit" in text or "lariat.select" in text or "lariat.top_k" in text:
        assert len(steps) > 1


@pytest.mark.parametrize("mode", ["score", "generate"])
@pytest.mark.parametrize("name", NAMES)
def test_a_row_does_not_depend_on_its_company(case: Get, running: Run, name: str, mode: str) -> None:
    """Alone, in a ragged batch, in another order, beside itself."""
    if mode == "generate" and not case(name).has_top_k:
        pytest.skip("both modes are the same")
    batch, options = case(name).batch(), {**case(name).options, "mode": mode}
    together = running(name).score(batch, **options)
    alone = [running(name).score([ids], **options)[0] for ids in batch]
    assert_same(together, alone)
    assert_same(running(name).score(batch[::-1], **options), alone[::-1])
    assert_same(running(name).score([batch[0], *batch], **options), [alone[0], *alone])


@pytest.mark.parametrize("name", NAMES)
def test_a_row_does_not_depend_on_rows_after_it(case: Get, running: Run, name: str) -> None:
    ids, options = case(name).batch()[0], case(name).options
    (whole,) = running(name).score([ids], **options)
    (start,) = running(name).score([ids[:5]], **options)
    assert_same([start], [Outcome(whole.logits[:5], whole.steps[:5], {})], slots=False)


@pytest.mark.parametrize("chunk", [1, 5])
@pytest.mark.parametrize("name", NAMES)
def test_chunks_are_one_call(case: Get, running: Run, name: str, chunk: int) -> None:
    if case(name).order == "atomic":
        pytest.skip("how a prompt is cut is part of the input")
    batch, options = case(name).batch(), case(name).options
    assert_same(running(name).score(batch, chunk=chunk, **options), running(name).score(batch, **options))


@pytest.mark.parametrize("form", ["lockstep", "staggered"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_SPLIT])
def test_derived_steps_are_the_whole_function(case: Get, running: Run, name: str, form: str) -> None:
    batch, options = case(name).batch(), case(name).options
    whole = running(name).score(batch, **options)
    assert_same(running(name).score(batch, derived=form, **options), whole)
    chunks = running(name).score(batch, chunk=5, **options)
    assert_same(running(name).score(batch, derived=form, chunk=5, **options), chunks)


@pytest.mark.parametrize("name", NAMES)
def test_generating_is_scoring_what_was_generated(case: Get, running: Run, name: str) -> None:
    """Tokens and steps of a greedy run are those of one call on the whole sequence."""
    if case(name).is_phased or case(name).order == "atomic":
        pytest.skip("generated rows are not what the same rows are in a prompt")
    prompts, count = case(name).batch((4, 1, 7)), 8
    options = {"exit_threshold": case(name).threshold} if case(name).threshold is not None else {}
    results = running(name).generate(prompts, count, ignore_eos=True, **options)
    fed = [ids + result.tokens[:-1] for ids, result in zip(prompts, results, strict=True)]
    scores = running(name).score(fed, mode="generate", **options)
    for ids, result, score in zip(prompts, results, scores, strict=True):
        rows = slice(len(ids) - 1, None)
        assert result.finish == "length"
        assert result.tokens == score.logits[rows].argmax(1).tolist()
        assert result.steps == score.steps[rows]


@pytest.mark.parametrize(("name", "passes"), PASSES_OF_MODELS)
def test_a_pass_keeps_every_bit(case: Get, name: str, passes: str) -> None:
    changed = opt(case(name).text, *PASSES[passes]).stdout
    if changed == opt(case(name).text).stdout:
        pytest.skip("the pass leaves this model alone")
    batch, options = case(name).batch(), case(name).options
    with Reference(case(name).text, case(name).weights) as reference:
        expected = reference.score(batch, **options)
    with Reference(changed, case(name).weights) as reference:
        assert_same(reference.score(batch, **options), expected)


def test_each_pass_changes_some_model(case: Get) -> None:
    """Else the test above shows nothing."""
    for passes in PASSES.values():
        assert any(opt(case(name).text, *passes).stdout != opt(case(name).text).stdout for name in NAMES)


# Code.

PIPELINE = ["--lariat-verify-row-sets", "--lariat-apply-decode-rule", "--lariat-resolve-kv-policy", "--canonicalize",
            "--cse", "--lariat-derive-steps", "--lariat-sink-take", "--lariat-hoist-over-depth", "--canonicalize",
            "--lariat-erase-row-sets", "--lariat-lower-recur", "--convert-lariat-to-reference", "--canonicalize",
            "--cse"]  # fmt: skip
_DUMP = re.compile(r"^// -----// IR Dump After (\w+)", re.MULTILINE)
_OP = re.compile(r'^\s*(?:%\S.* = )?"[\w.]+"\(', re.MULTILINE)


def count_ops_after_each_pass(text: str, flags: Sequence[str]) -> list[tuple[str, int]]:
    done = opt(text, *flags, "--mlir-print-ir-after-all", "--mlir-print-ir-module-scope", "--mlir-disable-threading",
               "--mlir-print-op-generic", "--mlir-elide-elementsattrs-if-larger=4")  # fmt: skip
    pieces = _DUMP.split(done.stderr)[1:]
    return [(name, len(_OP.findall(body))) for name, body in zip(pieces[::2], pieces[1::2], strict=True)]


@pytest.mark.parametrize("seed", SEEDS)
def test_code_does_not_grow_with_depth(seed: int) -> None:
    """After every pass down to loops over tensors the number of ops is the same for 1, 8 and 64 loop steps."""
    counts = []
    for loops in (1, 8, 64):
        model = RandomModel.draw(seed).with_loops(loops)
        counts.append(count_ops_after_each_pass(model.text(), PIPELINE))
    print(counts[0])
    assert len(counts[0]) >= len(PIPELINE) - 1 and min(number for _, number in counts[0]) > 10
    assert counts[0] == counts[1] == counts[2]


# Memory.


def live_entries(policy: str, steps: Sequence[int], loops: int, missing: str | None) -> list[tuple[int, int]]:
    """Computed and filled entries per slot of a prompt, by the policy's formula in n(d), rows that reached depth d."""
    reached = [sum(step > depth for step in steps) for depth in range(loops)]
    policy = policy.partition(", generated = ")[0]
    mode = missing or (match[1] if (match := re.search(r"missing = (\w+)", policy)) else None)
    if match := re.search(r"(?:ring|first_then_shared)<(\d+)", policy):
        return [(count, 0) for count in reached[: int(match[1])]]
    if re.search(r"lariat\.(?:first|last)\b", policy):
        return [(reached[0], 0)]
    if mode == "compute":
        return [(len(steps), 0)] * loops
    return [(count, len(steps) - count if mode == "propagate" else 0) for count in reached]


# Each drawn model with each mode that it allows, and with the declared one.
ALLOWED = [(seed, missing) for seed in SEEDS for missing in RandomModel.draw(seed).missing]


@pytest.mark.parametrize(("seed", "missing"), [*((seed, None) for seed in SEEDS), *ALLOWED])
def test_cache_entries_follow_the_policys_formula(running: Run, case: Get, seed: int, missing: str | None) -> None:
    model, name = RandomModel.draw(seed), f"seed {seed}"
    options = {**case(name).options, **({"missing": missing} if missing else {})}
    for ids, one in zip(case(name).batch(), running(name).score(case(name).batch(), **options), strict=True):
        expected = live_entries(model.policy, one.steps, model.loops, missing)
        for layer in one.slots["kv"]:
            assert layer[: len(expected)] == expected
            assert not any(map(sum, layer[len(expected) :]))  # slots of generated rows
        if model.prelude:
            assert one.slots["kv_prelude"] == [[(len(ids), 0)]]


@pytest.mark.parametrize(("seed", "missing"), ALLOWED)
def test_missing_modes_keep_the_clauses(running: Run, case: Get, seed: int, missing: str) -> None:
    """Company, chunks and derived steps once more, for a mode that the caller picks."""
    name = f"seed {seed}"
    options = {**case(name).options, "missing": missing}
    batch = case(name).batch()
    whole = running(name).score(batch, **options)
    assert_same([running(name).score([ids], **options)[0] for ids in batch], whole)
    assert_same(running(name).score(batch, chunk=5, **options), whole)
    for form in ("lockstep", "staggered"):
        assert_same(running(name).score(batch, derived=form, **options), whole)
