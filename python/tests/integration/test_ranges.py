# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ids, depths and slots that a model computes and that nothing has: one value, or one sentence, on both pipelines."""

from __future__ import annotations

import numpy as np
import pytest

from lariat.errors import LariatError
from tests.integration.programs import (
    VOCAB,
    Ids,
    PerDepth,
    Program,
    Reference,
    assert_equal,
    assert_near,
    computed,
    embed,
    execute,
    full,
    normal,
    open_text,
    ragged,
    remainder,
    table,
)

pytestmark = pytest.mark.usefixtures("pipeline")

CACHE = "lariat.cache @kv layers(1) heads(1) dim(4) {depths}: f32 policy(#lariat.{policy})"


def refusal(program: Program, ids: list[Ids]) -> str:
    """What a request says that is refused when it runs; the model answers the next one."""
    with open_text(program.text()) as opened:
        if isinstance(opened, Reference):
            said = str(opened.ask("score", sequences=ids, output="/dev/null").get("error", "nothing"))
        else:
            try:
                opened.score(ids)
                said = "nothing"
            except LariatError as error:
                said = str(error)
        return said


@pytest.mark.parametrize("columns", [3, 16, 37])
def test_an_id_that_the_weight_lacks_gives_zeros(columns: int) -> None:
    """ids * 7 - 20 of 40 rows: below, inside and past the end."""
    rng = np.random.default_rng(1)
    body = (
        full("%seven", 7, "i32")
        + full("%twenty", 20, "i32")
        + "%scaled = arith.muli %ids, %seven : !all:i32\n%at = arith.subi %scaled, %twenty : !all:i32\n"
        + f"%y = lariat.embed %at, @e : !all:i32 to !all:{columns}\n"
    )
    weight = np.asarray(rng.standard_normal((40, columns)), np.float32)
    ids = [[0, 1, 2, 3, 5, 8, 9, 31], [4]]
    expected = []
    for sequence in ids:
        at = np.array(sequence) * 7 - 20
        inside = (at >= 0) & (at < 40)
        expected.append(np.where(inside[:, None], weight[np.where(inside, at, 0)], 0).astype(np.float32))
    if columns > VOCAB:
        body += "%sum = lariat.row_reduce max %y : !all:37\n"
        body = body.replace("%y =", "%wide =").replace("max %y", "max %wide").replace("%sum =", "%y =")
        expected = [one.max(1) for one in expected]
    program = Program(body, None if columns > VOCAB else columns, {"e": weight})
    assert_equal(execute(program, ids), expected)


def test_ids_far_away() -> None:
    """Products beyond what any memory has, and their negatives."""
    body = f"""
{full("%factor", 500000000, "i32")}{full("%none", 0, "i32")}
%far = arith.muli %ids, %factor : !all:i32
%back = arith.subi %none, %far : !all:i32
%a = lariat.embed %far, @e : !all:i32 to !all:4
%b = lariat.embed %back, @e : !all:i32 to !all:4
%y = arith.addf %a, %b : !all:4
"""
    ids = [[0, 1, 2, 3, 4]]
    expected = np.zeros((5, 4), np.float32)
    expected[0] = 2
    assert_equal(execute(Program(body, 4, {"e": np.ones((6, 4), np.float32)}), ids), [expected])


@pytest.mark.parametrize(("depth", "said"), [
    (-3, "rows advance to depth -3, expected 0 to 1048576"),
    (1 << 40, "rows advance to depth 1099511627776, expected 0 to 1048576"),
    (7, "rows at depth 7 use weight @w, which has 2 depths"),
])  # fmt: skip
def test_rows_at_a_computed_depth(depth: int, said: str) -> None:
    rng = np.random.default_rng(2)
    body = f"""
{embed(4)}{computed(depth)}
%deep = lariat.advance %all to %far : !all
%y = lariat.linear %x, @w : !all:4 to !all:4 by %deep : !all
"""
    weights = {"x": table(rng, 4), "w": PerDepth(normal(rng, 2, 4, 4))}
    assert refusal(Program(body, 4, weights, loops=1), [[1, 2], [3]]) == said


@pytest.mark.parametrize("op", ["norm", "value_of", "bias"])
def test_a_weight_that_ends_before_the_depth(op: str) -> None:
    rng = np.random.default_rng(3)
    use = {
        "norm": "lariat.norm rms %x weight(@g) eps(1.0e-05) : !all:4 by %deep : !all",
        "value_of": "lariat.value_of @g : !all:4 by %deep : !all",
        "bias": "lariat.linear %x, @w bias(@g) : !all:4 to !all:4 by %deep : !all",
    }[op]
    body = f"{embed(4)}{computed(3)}%deep = lariat.advance %all to %far : !all\n%y = {use}\n"
    weights = {"x": table(rng, 4), "w": normal(rng, 4, 4), "g": PerDepth(normal(rng, 3, 4))}
    said = refusal(Program(body, 4, weights, loops=1), [[1, 2, 3]])
    assert said == "rows at depth 3 use weight @g, which has 3 depths"
    # The last one, where the weight says so.
    weights["g"] = PerDepth(weights["g"].values, beyond="clamp")
    (one,) = execute(Program(body, 4, weights, loops=1), [[1, 2, 3]])
    assert np.isfinite(one.logits).all()


@pytest.mark.parametrize("slot", [-1, 2, 100000, 1 << 50])
@pytest.mark.parametrize("op", ["append", "attend"])
def test_a_slot_that_the_cache_lacks(op: str, slot: int) -> None:
    rng = np.random.default_rng(4)
    uses = {
        "append": "lariat.append @kv[0] %x, %x at %all slot(%far) : !all:4\n%y = arith.addf %x, %x : !all:4\n",
        "attend": "%y = lariat.attend @kv[0] %x at %all heads(1) mask(<causal>) slot(%far) : !all:4\n",
    }
    cache = CACHE.format(depths="depths(2) ", policy="own<missing = skip>")
    program = Program(embed(4) + computed(slot) + uses[op], 4, {"x": table(rng, 4)}, cache, loops=1)
    assert refusal(program, [[1, 2], [3]]) == f"rows use slot {slot} of cache @kv, which has 2"


@pytest.mark.parametrize("policy", ["own<missing = skip>", "union", "latest", "own<missing = slot0>"])
@pytest.mark.parametrize("op", ["append", "attend"])
def test_rows_deeper_than_the_cache(op: str, policy: str) -> None:
    rng = np.random.default_rng(5)
    uses = {
        "append": "lariat.append @kv[0] %x, %x at %deep : !all:4\n%y = arith.addf %x, %x : !all:4\n",
        "attend": "%y = lariat.attend @kv[0] %x at %deep heads(1) mask(<causal>) : !all:4\n",
    }
    body = f"{embed(4)}{computed(5)}%deep = lariat.advance %all to %far : !all\n{uses[op]}"
    program = Program(body, 4, {"x": table(rng, 4)}, CACHE.format(depths="", policy=policy), loops=3)
    assert refusal(program, [[1, 2], [3]]) == "rows use slot 5 of cache @kv, which has 3"


def test_the_state_of_a_depth_that_no_step_has() -> None:
    rng = np.random.default_rng(6)
    body = f"""
{embed(4)}{computed(4)}
%deep = lariat.advance %all to %far : !all
%y = lariat.shift @s[0] %x at %deep : !all:4
"""
    program = Program(body, 4, {"x": table(rng, 4)}, "lariat.state @s layers(1) width(4) : f32", loops=2)
    assert refusal(program, [[1, 2], [3]]) == "rows at depth 4 use state @s, which has 2 depths"


@pytest.mark.parametrize("most", [-5, 0])
def test_a_loop_that_goes_nowhere(most: int) -> None:
    """A max below the depth of entry: no row enters."""
    rng = np.random.default_rng(7)
    body = f"""
{embed(4)}{computed(most)}
%y, %steps = lariat.recur max(%far : index) over %all : !all as %a : !a carry(%h = %x : !all:4) {{
  %n = arith.addf %h, %h : !a:4
  lariat.next keep %a : !a carry(%n : !a:4)
}}
"""
    values = table(rng, 4)
    ids = ragged(rng)
    outcomes = execute(Program(body, 4, {"x": values}, steps="%steps"), ids)
    assert_equal(outcomes, [values[sequence] for sequence in ids])
    assert all(step == 0 for one in outcomes for step in one.steps)


def test_bounds_of_rows_below_their_entry() -> None:
    """max per row: id mod 4, less 2."""
    rng = np.random.default_rng(8)
    body = f"""
{embed(4)}{remainder(4, "rest")}{full("%two", 2, "index")}
%max = arith.subi %rest, %two : !all:index
%y, %steps = lariat.recur max(%max : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:4) {{
  %n = arith.addf %h, %h : !a:4
  lariat.next keep %a : !a carry(%n : !a:4)
}}
"""
    values = table(rng, 4)
    ids = ragged(rng)
    outcomes = execute(Program(body, 4, {"x": values}, steps="%steps"), ids)
    times = [np.maximum(np.array(sequence) % 4 - 2, 0) for sequence in ids]
    assert_near(outcomes, [values[one] * 2.0 ** time[:, None] for one, time in zip(ids, times, strict=True)])
    assert [one.steps for one in outcomes] == [time.tolist() for time in times]


def test_depths_of_two_sets_in_one_sum() -> None:
    """The same rows at two depths: each fact is that of its own set."""
    body = """
%one = arith.constant 1 : index
%three = arith.constant 3 : index
%a = lariat.advance %all to %three : !all
%b = lariat.advance %all to %one : !all
%da = lariat.depth_of %a : !all
%db = lariat.depth_of %b : !all
%d0 = lariat.depth_of %all : !all
%difference = arith.subi %da, %db : !all:index
%sum = arith.addi %difference, %d0 : !all:index
%sum_i32 = arith.index_cast %sum : !all:index to !all:i32
%whole = arith.sitofp %sum_i32 : !all:i32 to !all:f32
%s = lariat.spread %whole at %all : !all:f32 at !all to !all:2
%ga = lariat.value_of @g : !all:2 by %a : !all
%gb = lariat.value_of @g : !all:2 by %b : !all
%g = arith.subf %ga, %gb : !all:2
%y = arith.addf %g, %s : !all:2
"""
    values = np.array([[1, 2], [10, 20], [100, 200], [1000, 2000]], np.float32)
    expected = [np.tile(values[3] - values[1] + 2, (3, 1))]
    assert_equal(execute(Program(body, 2, {"g": PerDepth(values)}), [[1, 2, 3]]), expected)
