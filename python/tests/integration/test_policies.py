# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every KV policy on both pipelines, scored and generated, against tests/oracle/policies.py."""

from __future__ import annotations

import re
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lariat
from lariat.artefact import Artefact
from lariat.engine import Engine
from lariat.errors import LariatError, RuntimeFault
from lariat.session import GenerateOptions
from tests.checkpoints import OPT
from tests.command import Command
from tests.integration.fast import Fast
from tests.integration.programs import (
    VOCAB,
    Array,
    Ids,
    Outcome,
    Program,
    Reference,
    assert_near,
    embed,
    normal,
    open_text,
    ragged,
    remainder,
    table,
)
from tests.oracle.policies import HEADS, LOOPS, STOPS, WIDTH, Loop, Part, Policy, cut

pytest_plugins = ["tests.integration.seeds"]

Generator = np.random.Generator

# Shared slots, fewer than depths, in either order.
OVERWRITING = {
    f"{part.kind}{part.slots}-{part.order}": Policy(part)
    for order in ("atomic", "sequential")
    for part in (
        Part("last", order=order),
        Part("ring", slots=2, order=order),
        Part("first_then_shared", slots=3, order=order),
    )
}
SCOPED = {
    f"scoped-{missing}": Policy(Part("own", missing, scope="generated"))
    for missing in ("skip", "copy_last", "propagate")
}
PHASED = {
    "own-last": Policy(Part("own", "skip"), Part("last", order="sequential")),
    "last-own": Policy(Part("last", order="atomic"), Part("own", "copy_last")),
    "propagate-first": Policy(Part("own", "propagate"), Part("first")),
    "ring-ring": Policy(Part("ring", slots=2, order="atomic"), Part("ring", slots=3, order="atomic")),
    "full-copy_last": Policy(Part("own", "skip", scope="generated"), Part("own", "copy_last")),
    "union-slot0": Policy(Part("union"), Part("own", "slot0")),
}
POLICIES = OVERWRITING | SCOPED | PHASED
BATCH = (9, 1, 14)


def write_program(policy: Policy, weights: dict[str, Array], stops: int = STOPS) -> Program:
    """A row stops after depth id mod `stops`."""
    key = WIDTH // HEADS
    fill = f"""fill(%s : !s, %f) {{
  %kf = lariat.linear %f, @k : !s:{WIDTH} to !s:{key}
  %vf = lariat.linear %f, @v : !s:{WIDTH} to !s:{key}
  lariat.append @kv[0] %kf, %vf at %s : !s:{key}
  lariat.end
}}"""
    body = f"""{embed(WIDTH)}{remainder(stops, "limit")}
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:{WIDTH}) {{
  %k = lariat.linear %h, @k : !a:{WIDTH} to !a:{key}
  %v = lariat.linear %h, @v : !a:{WIDTH} to !a:{key}
  lariat.append @kv[0] %k, %v at %a : !a:{key}
  %o = lariat.attend @kv[0] %h at %a heads({HEADS}) mask(<causal>) : !a:{WIDTH}
  %sum = arith.addf %h, %o : !a:{WIDTH}
  %next = math.tanh %sum : !a:{WIDTH}
  %d = lariat.depth_of %a : !a
  %l = lariat.take %limit of %all at %a : !all:index at !a
  %stop = arith.cmpi eq, %d, %l : !a:index
  lariat.next keep %a : !a carry(%next : !a:{WIDTH}) stop(%stop)
}} {fill if policy.fills() else ""}
"""
    cache = f"lariat.cache @kv layers(1) heads(1) dim({key}) depths({LOOPS}) : f32 policy({policy.text()})"
    return Program(body, WIDTH, dict(weights), cache, LOOPS, "%steps")


@pytest.fixture(scope="module")
def weights() -> dict[str, Array]:
    key, rng = WIDTH // HEADS, np.random.default_rng(26)
    return {"x": table(rng, WIDTH), "k": normal(rng, key, WIDTH) * 3, "v": normal(rng, key, WIDTH) * 2}


@pytest.fixture(scope="module", params=POLICIES.values(), ids=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    chosen: Policy = request.param
    return chosen


@pytest.fixture(scope="module", params=[Reference, Fast], ids=["reference", "fast"])
def opened(request: pytest.FixtureRequest, policy: Policy, weights: dict[str, Array]) -> Iterator[Reference | Fast]:
    with request.param(write_program(policy, weights).text()) as one:
        yield one


def without_unused(slots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """A policy may have more slots than are used."""
    used = list(slots)
    while used and used[-1] == (0, 0):
        used.pop()
    return used


def run_prompt(policy: Policy, ids: Ids, weights: dict[str, Array], chunk: int | None) -> tuple[Loop, Array, list[int]]:
    loop = Loop(policy, **weights)
    runs = [loop.run(segment) for segment in cut(ids, policy, chunk)]
    return loop, np.concatenate([rows for rows, _ in runs]), [step for _, steps in runs for step in steps]


@pytest.mark.parametrize("chunk", [None, 4, 1])
def test_score(
    rng: Generator, policy: Policy, weights: dict[str, Array], opened: Reference | Fast, chunk: int | None
) -> None:
    """Of an atomic order a prompt has the segments that the caller makes; else chunks make no difference."""
    batch = ragged(rng, BATCH)
    found = opened.score(batch, **({"chunk": chunk} if chunk else {}))
    expected = [run_prompt(policy, ids, weights, chunk) for ids in batch]
    assert_near([Outcome(one.logits[:, :WIDTH], [], {}) for one in found], [rows for _, rows, _ in expected])
    for one, (loop, _, steps) in zip(found, expected, strict=True):
        assert one.steps == steps
        assert without_unused(one.slots["kv"][0]) == without_unused(loop.slots())
    for form in ("lockstep", "staggered") if isinstance(opened, Fast) else ():
        again = opened.score(batch, derived=form, **({"chunk": chunk} if chunk else {}))
        assert all(one.same_bits(other) and one.slots == other.slots for one, other in zip(found, again, strict=True))


def continue_prompt(policy: Policy, ids: Ids, weights: dict[str, Array], count: int) -> tuple[Loop, Ids, list[int]]:
    """Greedy tokens and the steps of the rows that chose them, as far as float32 decides alike."""
    loop, rows, steps = run_prompt(policy, ids, weights, None)
    tokens: Ids = []
    taken: list[int] = []
    while True:
        logits = np.concatenate([rows[-1], np.zeros(VOCAB - WIDTH)])
        best = int(logits.argmax())
        others = np.unique(logits)
        if len(others) > 1 and others[-1] - others[-2] < 1e-3:
            return loop, tokens, taken
        tokens.append(best)
        taken.append(steps[-1])
        if len(tokens) == count:
            return loop, tokens, taken
        rows, steps = loop.run([best], generated=True)


def test_generate(rng: Generator, policy: Policy, weights: dict[str, Array], opened: Reference | Fast) -> None:
    """A generated row is a segment of its own, and counts as generated whenever it is read."""
    batch, count = ragged(rng, BATCH), 10
    found = opened.generate(batch, count, ignore_eos=True)
    compared = 0
    for ids, one in zip(batch, found, strict=True):
        loop, tokens, steps = continue_prompt(policy, ids, weights, count)
        assert one.tokens[: len(tokens)] == tokens
        assert one.steps[: len(tokens)] == steps
        compared += len(tokens)
        if len(tokens) == count:
            assert without_unused(one.slots["kv"][0]) == without_unused(loop.slots())
    assert compared > count


def test_the_formula_counts_what_is_live(
    rng: Generator, policy: Policy, weights: dict[str, Array], opened: Reference | Fast
) -> None:
    """Entries of a row follow from its steps, by the policy of its phase."""
    (ids,), count = ragged(rng, (12,)), 8
    (prompt,), (one,) = opened.score([ids]), opened.generate([ids], count, ignore_eos=True)
    live = sum(computed + filled for computed, filled in one.slots["kv"][0])
    # The last token is chosen but never a row; each other one is the row that chose the next.
    expected = sum(policy.of(False).entries(steps) for steps in prompt.steps)
    assert live == expected + sum(policy.of(True).entries(steps) for steps in one.steps[1:])


@pytest.mark.parametrize("name", ["ring2-sequential", "own-last"])
def test_an_override_is_the_model_that_declares_it(
    rng: Generator, weights: dict[str, Array], tmp_path: Path, name: str
) -> None:
    """Fill regions of the declared policy go; a warning and the manifest say what happened."""
    policy, batch = POLICIES[name], ragged(rng, BATCH)
    (tmp_path / "declaring.mlir").write_text(write_program(policy, weights).text())
    (tmp_path / "other.mlir").write_text(write_program(Policy(Part("own", "propagate")), weights).text())
    chosen = lariat.CompileOptions(target="native")
    lariat.compile(tmp_path / "declaring.mlir", tmp_path / "declaring.lariat", chosen)
    text = policy.text().removeprefix("#lariat.")
    said = f"cache @kv has the KV policy {policy.text()} instead of #lariat.own<missing = propagate>, "
    with pytest.warns(UserWarning, match=re.escape(said)):
        overridden = lariat.compile(
            tmp_path / "other.mlir", tmp_path / "other.lariat", replace(chosen, override_kv_policy=text)
        )
    (cache,) = overridden.caches
    assert (cache.policy, cache.declared_policy) == (policy.text(), "#lariat.own<missing = propagate>")
    assert (cache.order, cache.generated_order) == (policy.of(False).order, policy.of(True).order)
    assert overridden.order == "sequential"
    with lariat.load(tmp_path / "declaring.lariat") as declaring, lariat.load(tmp_path / "other.lariat") as other:
        for one, expected in zip(other.score(batch), declaring.score(batch), strict=True):
            assert one.logits.tobytes() == expected.logits.tobytes()
            assert one.slots == expected.slots


def test_the_command_warns_of_an_override_and_info_tells_it(weights: dict[str, Array], tmp_path: Path) -> None:
    command = Command(tmp_path)
    (tmp_path / "model.mlir").write_text(write_program(Policy(Part("own", "propagate")), weights).text())
    chosen = ("--target", "native", "--override-kv-policy", "ring<2, order = sequential>", "--print-memory")
    status, out, err = command.run("compile", "model.mlir", "-o", "model.lariat", *chosen)
    assert status == 0
    assert err == (
        "warning: cache @kv has the KV policy #lariat.ring<2, order = sequential> instead of "
        "#lariat.own<missing = propagate>, which the model declares, so the model computes something else\n"
    )
    assert "cache kv: 1 layers * (sum over d < min(R, 2) of n(d)) * 32 bytes (f32); 64 bytes per token" in out
    told = command.ok("info", "model.lariat")
    assert "ring<2, order = sequential> (overrides own<missing = propagate>, which the model declares)" in told
    (tmp_path / "in.json").write_text("[[1, 2]]")
    asked = ("--tokens", "in.json", "-o", "out.json", "--max-new-tokens", 1, "--missing", "propagate")
    refusal = command.fails("generate", "model.lariat", *asked)
    assert "'propagate' is not one the model allows: it has no choice" in refusal


def test_an_override_by_the_declared_policy_changes_nothing(weights: dict[str, Array], tmp_path: Path) -> None:
    policy = POLICIES["ring2-atomic"]
    (tmp_path / "model.mlir").write_text(write_program(policy, weights).text())
    text = policy.text().removeprefix("#lariat.")
    chosen = lariat.CompileOptions(target="native", override_kv_policy=text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        artefact = lariat.compile(tmp_path / "model.mlir", tmp_path / "model.lariat", chosen)
    assert artefact.caches[0].declared_policy is None


def test_rows_that_depend_on_each_other_cannot_run_one_by_one(weights: dict[str, Array], tmp_path: Path) -> None:
    reduce = '%every = lariat.seq_reduce all %stop at %a : tensor<?xi1, #lariat.of<"a">>'
    text = write_program(POLICIES["ring2-sequential"], weights).text().replace("stop(%stop)", "stop(%every)")
    (tmp_path / "model.mlir").write_text(text.replace("lariat.next", f"{reduce}\n  lariat.next"))
    said = "cache 'kv': its order is sequential, but the model attends or reduces among the rows of a call"
    with pytest.raises(LariatError, match=said):
        lariat.compile(tmp_path / "model.mlir", tmp_path / "model.lariat")


@pytest.mark.usefixtures("pipeline")
def test_a_prefix_cannot_run_row_by_row(weights: dict[str, Array]) -> None:
    text = write_program(POLICIES["ring2-sequential"], weights).text().replace("mask(<causal>)", "mask(<prefix>)")
    with open_text(text) as opened:
        opened.score([[1, 2, 3]], prefix=1)
        message = "a prefix of 2 rows cannot see each other in both directions"
        if isinstance(opened, Reference):
            assert message in opened.ask("score", sequences=[[1, 2, 3]], output="none", prefix=2)["error"]
        else:
            with pytest.raises(RuntimeFault, match=message):
                opened.score([[1, 2, 3]], prefix=2)


def foretell(text: str, folder: Path) -> tuple[int, int, int]:
    """Bytes per token, of a full context, and of the page pool, from --print-memory."""
    (folder / "model.mlir").write_text(text)
    command = [OPT.with_name("lariat-compile"), folder / "model.mlir", "-o", folder / "model.lariat", "--print-memory"]
    said = subprocess.run([*command, "--target", "native"], check=True, capture_output=True, text=True).stdout
    total = re.search(r"total: (\d+) bytes per token, (\d+) bytes for", said)
    pool = re.search(r"page pool: at most (\d+)", said)
    assert total and pool, said
    return int(total[1]), int(total[2]), int(pool[1])


@pytest.mark.parametrize(
    "name",
    ["last1-sequential", "ring2-atomic", "scoped-propagate", "own-last"],
)
def test_memory_is_what_the_compiler_foretold(name: str, weights: dict[str, Array], tmp_path: Path) -> None:
    """Live bytes of rows that run every step are the formula's, and the pool of its bound holds a full context."""
    policy, context, entry = POLICIES[name], 64, 2 * WIDTH // HEADS * 4
    text = write_program(policy, weights, stops=LOOPS).text()
    per_token, full, pool = foretell(text, tmp_path)
    assert per_token == entry * max(policy.of(False).entries(LOOPS), policy.of(True).entries(LOOPS))
    assert full == context * per_token
    (cache,) = Artefact.open(tmp_path / "model.lariat").caches
    page = 64 * entry
    assert pool == full + cache.slots * page
    prompt = [LOOPS - 1] * (context // 2)
    with lariat.load(tmp_path / "model.lariat", kv_pages=pool // page) as session:
        engine = Engine(session)
        engine.submit(prompt, GenerateOptions(max_new_tokens=context // 2 + 1, ignore_eos=True))
        while not engine.tick().tokens:
            pass
        assert session.memory()["kv_live"] == len(prompt) * entry * policy.of(False).entries(LOOPS)
        ended = []
        while not ended:
            ended = engine.tick().ends
            assert session.memory()["kv_pages"] <= pool
        assert ended[0].finish == "length", ended[0].error
