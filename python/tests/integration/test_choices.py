# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights chosen by depth as values, exits without a threshold, rows that run on, and results of the wrong rows."""

from __future__ import annotations

import numpy as np
import pytest

from lariat.errors import LariatError
from tests.integration.fast import Fast
from tests.integration.programs import (
    Array,
    PerDepth,
    Program,
    assert_equal,
    assert_near,
    embed,
    execute,
    expand,
    full,
    normal,
    open_text,
    ragged,
    table,
)

both = pytest.mark.usefixtures("pipeline")


# value_of by depth.


@both
@pytest.mark.parametrize("columns", [1, 4, 18])
def test_a_gate_of_each_step(columns: int) -> None:
    """Rows of ids below 16 leave before the last step."""
    rng = np.random.default_rng(1)
    values, gates = table(rng, columns), np.asarray(rng.standard_normal((3, columns)), np.float32)
    body = f"""
{embed(columns)}{full("%some", 16, "i32")}
%low = arith.cmpi slt, %ids, %some : !all:i32
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:{columns}) {{
  %g = lariat.value_of @g : !a:{columns} by %a : !a
  %n = arith.mulf %h, %g : !a:{columns}
  %stop = lariat.take %low of %all at %a : !all:i1 at !a
  lariat.next keep %a : !a carry(%n : !a:{columns}) stop(%stop)
}}
"""
    ids = ragged(rng)
    expected = []
    for sequence in ids:
        low = np.array(sequence)[:, None] < 16
        one = values[sequence] * gates[0]
        expected.append(np.where(low, one, one * gates[1] * gates[2]))
    assert_equal(execute(Program(body, columns, {"x": values, "g": PerDepth(gates)}, loops=3), ids), expected)


@both
def test_a_choice_as_operand_result_and_source() -> None:
    """Read by a product, a norm, a selection and a put."""
    rng = np.random.default_rng(2)
    gates, weight = np.asarray(rng.standard_normal((2, 8)), np.float32), normal(rng, 8, 8)
    body = f"""
{full("%some", 16, "i32")}
%low = arith.cmpi slt, %ids, %some : !all:i32
%few = lariat.select %all where %low : !all to !few
%one = arith.constant 1 : index
%deep = lariat.advance %all to %one : !all
%g0 = lariat.value_of @g : !all:8 by %all : !all
%g1 = lariat.value_of @g : !all:8 by %deep : !all
%p = lariat.linear %g1, @w : !all:8 to !all:8
%f = lariat.take %g1 of %all at %few : !all:8 at !few
%q = lariat.put %f of %few into %g0 of %all : !few:8 into !all:8
%y = arith.addf %p, %q : !all:8
"""
    ids = ragged(rng)
    product = weight.astype(np.float64) @ gates[1]
    expected = [product + np.where(np.array(one)[:, None] < 16, gates[1], gates[0]) for one in ids]
    assert_near(execute(Program(body, 8, {"g": PerDepth(gates), "w": weight}, loops=1), ids), expected)


# Exits without a threshold.


def stopping(rule: str = '#lariat.exit<"stop-bit">', missing: str = "skip") -> str:
    """A row stops where a column passes 2; each step adds what it sees through a cache."""
    body = f"""
{embed(4)}
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:4) {{
  lariat.append @kv[0] %h, %h at %a : !a:4
  %see = lariat.attend @kv[0] %h at %a heads(1) mask(<causal>) : !a:4
  %n = arith.addf %h, %see : !a:4
  %most = arith.constant 2.0 : f32
  %limit = lariat.spread %most at %a : f32 at !a to !a:f32
  %top = lariat.row_reduce max %n : !a:4
  %stop = arith.cmpf ogt, %top, %limit : !a:f32
  lariat.next keep %a : !a carry(%n : !a:4) stop(%stop)
}}
"""
    cache = f"lariat.cache @kv layers(1) heads(1) dim(4) : f32 policy(#lariat.own<missing = {missing}>)"
    program = Program(body, 4, {"x": table(np.random.default_rng(3), 4)}, cache, loops=4, steps="%steps")
    return program.text().replace("max = 4>}", f"max = 4>{', lariat.exit = ' + rule if rule else ''}}}")


def run_on(values: Array, ids: list[int]) -> tuple[Array, list[int]]:
    """What each row has where it stops, all rows going on to the end for the others."""
    h = values[ids].astype(np.float64)
    result, steps = h.copy(), [0] * len(ids)
    done = np.zeros(len(ids), bool)
    for step in range(4):
        seen = []
        for row in range(len(ids)):
            scores = h[: row + 1] @ h[row] / 2
            shares = np.exp(scores - scores.max())
            seen.append(shares @ h[: row + 1] / shares.sum())
        h = h + np.array(seen)
        for row in np.flatnonzero(~done):
            result[row], steps[row] = h[row], step + 1
        done |= h.max(1) > 2
    return result, steps


@both
def test_a_rule_that_takes_no_threshold() -> None:
    ids = ragged(np.random.default_rng(4))
    with open_text(stopping()) as opened, open_text(stopping(rule="")) as plain:
        found, expected = opened.score(ids), plain.score(ids)
        for one, other in zip(found, expected, strict=True):
            assert one.same_bits(other)
        assert {step for one in found for step in one.steps} >= {1, 2}
        with pytest.raises((LariatError, AssertionError), match="the rule 'stop-bit' takes none"):
            opened.score(ids, exit_threshold=0.5)
        assert len(opened.generate([[1, 2]], 3)[0].tokens) == 3


def test_info_says_that_a_rule_takes_no_threshold() -> None:
    with Fast(stopping()) as fast:
        rule = fast.session.info.exit
        assert rule is not None
        assert (rule.rule, rule.takes_threshold) == ("stop-bit", False)


@both
@pytest.mark.parametrize("rule", ['#lariat.exit<"stop-bit">', ""])
def test_rows_run_on_where_the_module_declares_no_threshold(rule: str) -> None:
    """`missing = compute` needs rows that stop, not a threshold."""
    values = table(np.random.default_rng(3), 4)
    ids = ragged(np.random.default_rng(5))
    with open_text(stopping(rule)) as opened:
        found = opened.score(ids, missing="compute")
    expected = [run_on(values, sequence) for sequence in ids]
    assert [one.steps for one in found] == [steps for _, steps in expected]
    assert_near([type(one)(one.logits[:, :4], one.steps, {}) for one in found], [rows for rows, _ in expected], 1e-4)


@both
def test_rows_that_never_stop_have_nothing_to_run_on_for() -> None:
    said = "cannot apply missing = compute: no loop that appends to a cache with missing entries stops rows"
    text = stopping("").replace(" stop(%stop)", "")
    with open_text(text) as opened, pytest.raises((LariatError, AssertionError), match=said):
        opened.score([[1]], missing="compute")


# Results of other rows.


def verdict(text: str) -> str:
    with pytest.raises(LariatError) as error:
        Fast(text)
    return str(error.value)


WIDE = 'tensor<?x32xf32, #lariat.of<"{}">>'


def test_logits_that_are_not_of_the_wanted_rows() -> None:
    text = Program(embed(4) + "%y = arith.addf %x, %x : !all:4\n", 4, {"x": table(np.random.default_rng(6), 4)}).text()
    all_rows = text.replace("return %logits", "return %filled").replace(WIDE.format("wanted"), WIDE.format("all"))
    said = """'logits' of @forward belongs to !lariat.rows<"all">, expected rows that lariat.last selects from"""
    assert said in verdict(all_rows)
    few = expand("%one = lariat.select %all where %bits : !all to !some\n%wanted = lariat.last %one : !some to !wanted")
    some = text.replace(expand("%wanted = lariat.last %all : !all to !wanted"), full("%bits", 1, "i1") + few)
    some = expand(some.replace("constant 1 : i1", "constant true"))
    assert """'logits' of @forward belongs to !lariat.rows<"wanted">, expected rows""" in verdict(some)


def test_steps_that_are_not_of_the_rows_of_the_call() -> None:
    text = Program(embed(4) + "%y = arith.addf %x, %x : !all:4\n", 4, {"x": table(np.random.default_rng(7), 4)},
                   steps="%ids").text()  # fmt: skip
    steps = 'tensor<?xi32, #lariat.of<"{}">>'
    taken = expand("""%few = lariat.take %ids of %all at %wanted : !all:i32 at !wanted
return %logits, %few : !wanted:32, !wanted:i32""")
    start = text.index("return %logits")
    wrong = text[:start] + taken + "\n}\n}\n"
    wrong = wrong.replace(f"{steps.format('all')} {{lariat.output", f"{steps.format('wanted')} {{lariat.output")
    assert """'steps' of @forward belongs to !lariat.rows<"wanted">, expected the rows of the call""" in verdict(wrong)
