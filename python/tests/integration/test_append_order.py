# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What an attend sees is what was appended before it: by any rows, to any layer, in loops and branches."""

from __future__ import annotations

import numpy as np
import pytest

from tests.integration.fast import Fast
from tests.integration.programs import (
    EVEN,
    Program,
    Reference,
    assert_near,
    computed,
    embed,
    execute,
    is_even,
    normal,
    ragged,
    table,
)

WIDTH = 4


def attention(query: np.ndarray, seen: list[np.ndarray]) -> np.ndarray:
    """One head, keys being values."""
    if not seen:
        return np.zeros(WIDTH)
    keys = np.array(seen, np.float64)
    scores = keys @ query / np.sqrt(WIDTH)
    weights = np.exp(scores - scores.max())
    return np.asarray(weights @ keys / weights.sum())


# Programs.


@pytest.mark.usefixtures("pipeline")
def test_an_append_behind_an_attend_is_not_seen() -> None:
    """Rows chosen before the attend append after it, a depth further."""
    rng = np.random.default_rng(1)
    body = f"""
{embed(WIDTH)}{EVEN}
%one = arith.constant 1 : index
%few = lariat.select %all where %even : !all to !few
%deep = lariat.advance %few to %one : !few
lariat.append @kv[0] %x, %x at %all : !all:4
%late = lariat.advance %all to %one : !all
%seen = lariat.attend @kv[0] %x at %late heads(1) mask(<causal>) : !all:4
%xf = lariat.take %x of %all at %few : !all:4 at !few
lariat.append @kv[0] %xf, %xf at %deep : !few:4
%again = lariat.attend @kv[0] %x at %late heads(1) mask(<causal>) : !all:4
%y = lariat.concat %seen, %again : !all:4, !all:4 to !all:8
"""
    cache = "lariat.cache @kv layers(1) heads(1) dim(4) depths(2) : f32 policy(#lariat.union)"
    values = table(rng, WIDTH)
    ids = ragged(rng)
    expected = []
    for sequence in ids:
        x, even = values[sequence], is_even(sequence)
        rows = []
        for row in range(len(x)):
            before = [x[other] for other in range(row + 1)]
            after = [x[other] for other in range(row + 1) for _ in range(2 if even[other] else 1)]
            rows.append(np.concatenate([attention(x[row], before), attention(x[row], after)]))
        expected.append(np.array(rows))
    assert_near(execute(Program(body, 8, {"x": values}, cache), ids), expected)


@pytest.mark.usefixtures("pipeline")
def test_a_layer_does_not_see_what_another_one_got() -> None:
    """Even rows append to layer 0, all of them to layer 1, and each layer is attended to before and after."""
    rng = np.random.default_rng(2)
    attends = "".join(
        f"%{name} = lariat.attend @kv[{layer}] %x at %all heads(1) mask(<causal>) : !all:4\n"
        for name, layer in (("early", 1), ("some", 0))
    )
    body = f"""
{embed(WIDTH)}{EVEN}
%few = lariat.select %all where %even : !all to !few
%xf = lariat.take %x of %all at %few : !all:4 at !few
lariat.append @kv[0] %xf, %xf at %few : !few:4
{attends}
lariat.append @kv[1] %x, %x at %all : !all:4
%late = lariat.attend @kv[1] %x at %all heads(1) mask(<causal>) : !all:4
%y = lariat.concat %early, %some, %late : !all:4, !all:4, !all:4 to !all:12
"""
    cache = "lariat.cache @kv layers(2) heads(1) dim(4) : f32 policy(#lariat.own<missing = skip>)"
    values = table(rng, WIDTH)
    ids = ragged(rng)
    expected = []
    for sequence in ids:
        x, even = values[sequence], is_even(sequence)
        seen = [[x[other] for other in range(row + 1)] for row in range(len(x))]
        some = [[x[other] for other in range(row + 1) if even[other]] for row in range(len(x))]
        rows = [np.concatenate([np.zeros(WIDTH), attention(q, few), attention(q, all)])
                for q, few, all in zip(x, some, seen, strict=True)]  # fmt: skip
        expected.append(np.array(rows))
    outcomes = execute(Program(body, 12, {"x": values}, cache, loops=1), ids)
    assert_near(outcomes, expected)
    for outcome, sequence in zip(outcomes, ids, strict=True):
        assert outcome.slots == {"kv.0": [[(int(is_even(sequence).sum()), 0)]], "kv.1": [[(len(sequence), 0)]]}


@pytest.mark.usefixtures("pipeline")
def test_a_loop_sees_what_the_iteration_before_appended() -> None:
    """Attend, then append twice what was seen plus the row: the second iteration sees the entries of the first."""
    rng = np.random.default_rng(3)
    body = f"""
{embed(WIDTH)}
%c0 = arith.constant 0 : index
%c1 = arith.constant 1 : index
%c3 = arith.constant 3 : index
%y = scf.for %i = %c0 to %c3 step %c1 iter_args(%h = %x) -> (!all:4) {{
  %seen = lariat.attend @kv[0] %h at %all heads(1) mask(<causal>) : !all:4
  %next = arith.addf %seen, %x : !all:4
  lariat.append @kv[0] %next, %next at %all : !all:4
  scf.yield %next : !all:4
}}
"""
    cache = "lariat.cache @kv layers(1) heads(1) dim(4) : f32 policy(#lariat.own<missing = skip>)"
    values = table(rng, WIDTH)
    ids = ragged(rng)
    expected = []
    for sequence in ids:
        x = values[sequence].astype(np.float64)
        h, entries = x, []
        for _ in range(3):
            h = np.array([attention(h[row], entries[: row + 1]) for row in range(len(x))]) + x
            entries = list(h)
        expected.append(h)
    assert_near(execute(Program(body, WIDTH, {"x": values}, cache), ids), expected)


@pytest.mark.usefixtures("pipeline")
def test_attention_of_two_sets_in_turns() -> None:
    """Attention among the rows of a call, of all rows, of some, and of all again."""
    rng = np.random.default_rng(4)
    body = f"""
{embed(WIDTH)}{EVEN}
%few = lariat.select %all where %even : !all to !few
%xf = lariat.take %x of %all at %few : !all:4 at !few
%a = lariat.attention %x, %x, %x at %all heads(1, 1) mask(<causal>) : !all:4, !all:4
%b = lariat.attention %xf, %xf, %xf at %few heads(1, 1) mask(<causal>) : !few:4, !few:4
%c = lariat.attention %a, %a, %a at %all heads(1, 1) mask(<causal>) : !all:4, !all:4
%y = lariat.put %b of %few into %c of %all by add : !few:4 into !all:4
"""
    values = table(rng, WIDTH)
    ids = ragged(rng)
    expected = []
    for sequence in ids:
        x, even = values[sequence].astype(np.float64), is_even(sequence)
        a = np.array([attention(x[row], list(x[: row + 1])) for row in range(len(x))])
        c = np.array([attention(a[row], list(a[: row + 1])) for row in range(len(x))])
        for row in np.flatnonzero(even):
            c[row] += attention(x[row], [x[other] for other in range(row + 1) if even[other]])
        expected.append(c)
    assert_near(execute(Program(body, WIDTH, {"x": values}), ids), expected)


# Drawn modules.

POLICIES = ("own<missing = skip>", "union", "own<missing = slot0>", "latest", "first", "own<missing = copy_last>",
            "last<order = atomic>", "first_then_shared<1, order = atomic>", "ring<1, order = sequential>")  # fmt: skip


class Drawn:
    """Appends and attends of several row sets, layers and depths in any order, also in a loop, a branch and a recur."""

    def __init__(self, seed: int) -> None:
        self.g = np.random.default_rng([23, seed])
        self.layers = int(self.g.integers(1, 3))
        self.number = 0
        sets = {"all": "all", "few": "few", "deep": "all"}
        text = f"""
{embed(WIDTH)}{EVEN}
%c0 = arith.constant 0 : index
%c1 = arith.constant 1 : index
%c2 = arith.constant 2 : index
%start = arith.subf %x, %x : !all:4
%few = lariat.select %all where %even : !all to !few
%deep = lariat.advance %all to %c1 : !all
"""
        first, y = self.ops(sets, "%start", 7)
        second, y = self.loop(sets, y)
        more = {**sets, "fewdeep": "few"}
        third, y = self.ops(more, y, 5)
        fourth, y = self.branch(more, y)
        fifth, y = self.recur(y)
        sixth, y = self.ops(more, y, 4)
        text += first + second + "%fewdeep = lariat.advance %few to %c1 : !few\n" + third + fourth + fifth + sixth
        text += f"%y = arith.addf {y}, %start : !all:4\n"
        policy = POLICIES[seed % len(POLICIES)]
        cache = f"lariat.cache @kv layers({self.layers}) heads(1) dim(4) depths(2) : f32 policy(#lariat.{policy})"
        self.program = Program(
            text, WIDTH, {"x": table(self.g, WIDTH), "w": 2 * normal(self.g, WIDTH, WIDTH)}, cache, 2
        )

    def name(self) -> str:
        self.number += 1
        return f"%v{self.number}"

    def ops(self, sets: dict[str, str], y: str, count: int) -> tuple[str, str]:
        """Ops on `%x` and the sum `y`, and the new sum."""
        text = ""
        for _ in range(count):
            rows = str(self.g.choice(list(sets)))
            label, layer = sets[rows], int(self.g.integers(self.layers))
            sum_, here = self.name(), self.name()
            text += f"{sum_} = arith.addf %x, {y} : !all:4\n"
            text += f"{here} = lariat.take {sum_} of %all at %{rows} : !all:4 at !{label}\n"
            if self.g.integers(2):
                key = self.name()
                text += f"{key} = lariat.linear {here}, @w : !{label}:4 to !{label}:4\n"
                text += f"lariat.append @kv[{layer}] {key}, {here} at %{rows} : !{label}:4\n"
                continue
            seen, next_ = self.name(), self.name()
            text += f"{seen} = lariat.attend @kv[{layer}] {here} at %{rows} heads(1) mask(<causal>) : !{label}:4\n"
            text += f"{next_} = lariat.put {seen} of %{rows} into {y} of %all by add : !{label}:4 into !all:4\n"
            y = next_
        return text, y

    def loop(self, sets: dict[str, str], y: str) -> tuple[str, str]:
        result, argument = self.name(), self.name()
        body, last = self.ops(sets, argument, 5)
        head = f"{result} = scf.for %i{self.number} = %c0 to %c2 step %c1 iter_args({argument} = {y}) -> (!all:4) {{\n"
        return f"{head}{body}scf.yield {last} : !all:4\n}}\n", result

    def branch(self, sets: dict[str, str], y: str) -> tuple[str, str]:
        result, bit = self.name(), self.name()
        one, then = self.ops(sets, y, 3)
        other, otherwise = self.ops(sets, y, 3)
        head = computed(int(self.g.integers(1, 5)), "number") + f"{bit} = arith.cmpi ugt, %number, %c2 : index\n"
        head += f"{result} = scf.if {bit} -> (!all:4) {{\n"
        return f"{head}{one}scf.yield {then} : !all:4\n}} else {{\n{other}scf.yield {otherwise} : !all:4\n}}\n", result

    def recur(self, y: str) -> tuple[str, str]:
        """Each step attends and appends for its rows and for some of them."""
        layer = int(self.g.integers(self.layers))
        attend = "%rs{n} = lariat.attend @kv[{layer}] {value} at %{rows} heads(1) mask(<causal>) : !{label}:4\n"
        append = "lariat.append @kv[{layer}] {value}, {value} at %{rows} : !{label}:4\n"
        pieces = [attend.format(n=0, layer=layer, value="%h", rows="s", label="s"),
                  append.format(layer=layer, value="%hp", rows="part", label="part"),
                  append.format(layer=self.layers - 1, value="%h", rows="s", label="s")]  # fmt: skip
        order = self.g.permutation(3)
        body = "".join(pieces[at] for at in order)
        text = f"""
%ry, %rsteps = lariat.recur max(%c2 : index) over %all : !all as %s : !s carry(%h = {y} : !all:4) {{
  %evens = lariat.take %even of %all at %s : !all:i1 at !s
  %part = lariat.select %s where %evens : !s to !part
  %hp = lariat.take %h of %s at %part : !s:4 at !part
{body}
  %xs = lariat.take %x of %all at %s : !all:4 at !s
  %hn = arith.addf %rs0, %xs : !s:4
  lariat.next keep %s : !s carry(%hn : !s:4)
}}
"""
        return text, "%ry"


@pytest.mark.parametrize("seed", range(12))
def test_both_pipelines_see_the_same(seed: int) -> None:
    drawn = Drawn(seed)
    text = drawn.program.text()
    ids = ragged(np.random.default_rng(seed), (7, 1, 4))
    with Reference(text) as reference:
        expected = [one.logits for one in reference.score(ids)]
    assert any(np.abs(one).max() > 0.1 for one in expected)
    with Fast(text) as fast:
        assert_near(fast.score(ids), expected, 1e-4)
