# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops over depth inside of each other: memory has a place for each step of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from lariat.errors import LariatError
from tests.integration.fast import Fast
from tests.integration.programs import (
    Array,
    Ids,
    PerDepth,
    Program,
    Reference,
    assert_near,
    computed,
    embed,
    execute,
    expand,
    normal,
    ragged,
    table,
)

pytestmark = pytest.mark.usefixtures("pipeline")

WIDTH = 4
STATE = "lariat.state @s layers(1) width(4) : f32"


def nested(inner: str, declarations: str, weights: dict[str, Array | PerDepth], *, inner_max: int = 3,
           middle: int | None = None, loops: int = 2) -> Program:  # fmt: skip
    """`inner` makes %n of %g for the rows %b of an inner step; each step of the loop around adds %x."""
    body = f"""
{embed(WIDTH)}
%m = arith.constant {inner_max} : index
%k = arith.constant {middle or 1} : index
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:4) {{
  {"%z, %sm = lariat.recur max(%k : index) over %a : !a as %c : !c carry(%f = %h : !a:4) {" if middle else ""}
  %w, %si = lariat.recur max(%m : index) over {"%c : !c" if middle else "%a : !a"} as %b : !b
      carry(%g = {"%f : !c:4" if middle else "%h : !a:4"}) {{
    {inner}
    lariat.next keep %b : !b carry(%n : !b:4)
  }}
  {"lariat.next keep %c : !c carry(%w : !c:4)" if middle else ""}
  {"}" if middle else ""}
  %xa = lariat.take %x of %all at %a : !all:4 at !a
  %s = arith.addf {"%z" if middle else "%w"}, %xa : !a:4
  lariat.next keep %a : !a carry(%s : !a:4)
}}
"""
    return Program(body, WIDTH, weights, declarations, loops=loops)


def run(values: Array, ids: Ids, loops: int, steps: int, step: object) -> Array:
    """`step(h, key)` for each inner step of a whole sequence, in float64."""
    x = values[ids].astype(np.float64)
    h = x
    for outer in range(loops):
        for inner in range(steps):
            h = step(h, outer * steps + inner)  # type: ignore[operator]
        h = h + x
    return h


def both(program: Program, ids: list[Ids], chunk: int) -> None:
    """Chunks are one call."""
    whole = execute(program, ids)
    for one, other in zip(execute(program, ids, chunk=chunk), whole, strict=True):
        assert one.logits.tobytes() == other.logits.tobytes()


@pytest.mark.parametrize("middle", [None, 2])
def test_shift_in_an_inner_loop(middle: int | None) -> None:
    """The first row has none before it, in any step of any loop."""
    rng = np.random.default_rng(1)
    values = table(rng, WIDTH)
    inner = "%p = lariat.shift @s[0] %g at %b : !b:4\n    %n = arith.addf %p, %g : !b:4"
    program = nested(inner, STATE, {"x": values}, middle=middle)
    ids = ragged(rng)

    def step(h: Array, key: int) -> Array:
        return np.concatenate([np.zeros((1, WIDTH)), h[:-1]]) + h

    expected = [run(values, sequence, 2, 3 * (middle or 1), step) for sequence in ids]
    assert_near(execute(program, ids), expected)
    both(program, ids, 2)


def test_scan_of_some_rows_in_an_inner_loop() -> None:
    rng = np.random.default_rng(2)
    values = table(rng, WIDTH)
    inner = """%limit = arith.constant 0.0 : f32
    %l = lariat.spread %limit at %b : f32 at !b to !b:f32
    %first = lariat.row_reduce sum %g : !b:4
    %bit = arith.cmpf ogt, %first, %l : !b:f32
    %e = lariat.select %b where %bit : !b to !e
    %ge = lariat.take %g of %b at %e : !b:4 at !e
    %half = arith.constant 0.5 : f32
    %decay = lariat.spread %half at %e : f32 at !e to !e:4
    %p = lariat.scan @s[0] %decay, %ge at %e : !e:4
    %n = lariat.put %p of %e into %g of %b : !e:4 into !b:4"""
    program = nested(inner, STATE, {"x": values})
    ids = ragged(rng)

    def step(h: Array, key: int) -> Array:
        h, state = h.copy(), np.zeros(WIDTH)
        for row in np.flatnonzero(h.sum(1) > 0):
            state = 0.5 * state + h[row]
            h[row] = state
        return h

    assert_near(execute(program, ids), [run(values, sequence, 2, 3, step) for sequence in ids])
    both(program, ids, 3)


POLICIES = ("own<missing = skip>", "union", "latest", "own<missing = slot0>", "first", "ring<2, order = atomic>")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_cache_in_an_inner_loop(policy: str) -> None:
    """A slot for each step of both loops; what a step shows goes by all that came before it."""
    rng = np.random.default_rng(3)
    values, weight = table(rng, WIDTH), normal(rng, WIDTH, WIDTH)
    inner = """%v = lariat.linear %g, @w : !b:4 to !b:4
    lariat.append @kv[0] %v, %v at %b : !b:4
    %n = lariat.attend @kv[0] %g at %b heads(1) mask(<causal>) : !b:4"""
    cache = f"lariat.cache @kv layers(1) heads(1) dim(4) : f32 policy(#lariat.{policy})"
    program = nested(inner, cache, {"x": values, "w": weight})
    ids = ragged(rng)
    expected = []
    for sequence in ids:
        slots: dict[int, Array] = {}

        def step(h: Array, key: int, slots: dict[int, Array] = slots) -> Array:
            if policy != "first" or key == 0:
                slots[key % 2 if "ring" in policy else 0 if policy == "first" else key] = h @ weight.T.astype(float)
            shown = {"union": list(range(key + 1)), "first": [0]}.get(policy, [key % 2 if "ring" in policy else key])
            rows = []
            for row in range(len(h)):
                keys = np.array([slots[slot][other] for other in range(row + 1) for slot in shown])
                scores = keys @ h[row] / 2
                shares = np.exp(scores - scores.max())
                rows.append(shares @ keys / shares.sum())
            return np.array(rows)

        expected.append(run(values, sequence, 2, 3, step))
    assert_near(execute(program, ids), expected, 1e-4)
    if "ring" not in policy:
        both(program, ids, 2)


def test_an_inner_loop_without_a_bound_has_no_places() -> None:
    """Its steps could not be told apart from those of the next outer step."""
    inner = "%n = lariat.shift @s[0] %g at %b : !b:4"
    text = nested(inner, STATE, {"x": table(np.random.default_rng(4), WIDTH)}).text()
    many = expand(computed(4, "many") + "%y, %steps =")
    free = text.replace("max(%m : index)", "max(%many : index)").replace("%y, %steps =", many)
    said = "state @s is used in a loop inside of another one"
    with pytest.raises(LariatError, match=said):
        Fast(free)
    with Reference(free) as reference, pytest.raises(pytest.fail.Exception, match=said):
        reference.score([[1]])


def test_one_state_in_loops_of_different_nesting() -> None:
    inner = "%n = lariat.shift @s[0] %g at %b : !b:4"
    text = nested(inner, STATE.replace("layers(1)", "layers(2)"), {"x": table(np.random.default_rng(5), WIDTH)}).text()
    text = text.replace("  %xa =", '  %o = lariat.shift @s[1] %w at %a : tensor<?x4xf32, #lariat.of<"a">>\n  %xa =')
    with pytest.raises(LariatError, match="state @s is used in loops of different nesting"):
        Fast(text)
