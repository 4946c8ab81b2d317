# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every op of the dialect, compiled, run, and compared with its formula in numpy float64.

Ops that move, compare or add in a fixed order have to agree bit for bit. `programs.py` tells how the IR is spelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.integration.programs import (
    EVEN,
    VOCAB,
    Array,
    Ids,
    Outcome,
    PerDepth,
    Program,
    Reference,
    assert_equal,
    assert_near,
    assert_sums,
    embed,
    execute,
    full,
    is_even,
    normal,
    open_text,
    ragged,
    remainder,
    table,
    to_bf16,
    to_float,
)

pytest_plugins = ["tests.integration.seeds"]
pytestmark = pytest.mark.usefixtures("pipeline")

Generator = np.random.Generator


# Sets and movement.


@pytest.mark.parametrize("ids", [[4, 7, 2, 9, 9, 6], [1, 3, 5], [2, 4]], ids=["some", "none", "all"])
def test_select_keeps_the_rows_whose_bit_is_set(rng: Generator, ids: Ids) -> None:
    x = table(rng, 3)
    body = f"""{embed(3)}{EVEN}
%k = lariat.select %all where %even : !all to !k
%xk = lariat.take %x of %all at %k : !all:3 at !k
%negative = arith.negf %xk : !k:3
%y = lariat.put %negative of %k into %x of %all : !k:3 into !all:3
"""
    batch = [ids, ids[::-1]]
    assert_equal(
        execute(Program(body, 3, {"x": x}), batch), [np.where(is_even(one)[:, None], -x[one], x[one]) for one in batch]
    )


def test_take_reads_a_selection_of_a_selection(rng: Generator) -> None:
    x, batch = table(rng, 2), ragged(rng)
    body = f"""{embed(2)}{EVEN}
%k = lariat.select %all where %even : !all to !k
%xk = lariat.take %x of %all at %k : !all:2 at !k
%largest = lariat.row_reduce max %xk : !k:2
{full("%zeros", 0, "f32", "k")}
%positive = arith.cmpf ogt, %largest, %zeros : !k:f32
%j = lariat.select %k where %positive : !k to !j
%xj = lariat.take %xk of %k at %j : !k:2 at !j
%again = lariat.take %x of %all at %j : !all:2 at !j
%sum = arith.addf %xj, %again : !j:2
%y = lariat.put %sum of %j into %x of %all : !j:2 into !all:2
"""
    expected = [np.where((is_even(ids) & (x[ids].max(1) > 0))[:, None], 2 * x[ids], x[ids]) for ids in batch]
    assert_equal(execute(Program(body, 2, {"x": x}), batch), expected)


@pytest.mark.parametrize("columns", [None, 4], ids=["scalars", "columns"])
@pytest.mark.parametrize("kind", ["replace", "add"])
def test_put_replaces_or_adds(rng: Generator, kind: str, columns: int | None) -> None:
    x, batch = table(rng, 4), ragged(rng)
    type = "f32" if columns is None else str(columns)
    value = "%x" if columns else "%sum"
    body = f"""{embed(4)}{EVEN}
%sum = lariat.row_reduce sum %x : !all:4
%k = lariat.select %all where %even : !all to !k
%xk = lariat.take {value} of %all at %k : !all:{type} at !k
%squared = arith.mulf %xk, %xk : !k:{type}
%y = lariat.put %squared of %k into {value} of %all by {kind} : !k:{type} into !all:{type}
"""
    expected = []
    for ids in batch:
        old = x[ids] if columns else ordered_sum(x[ids])[:, None]
        new = old * old + (old if kind == "add" else np.float32(0))
        expected.append(np.where(is_even(ids)[:, None], new, old))
    assert_sums(execute(Program(body, columns, {"x": x}), batch), expected)


SPREADS: dict[str, tuple[str, str, Callable[[Array], Array]]] = {
    "scalar": ("%v = arith.constant 2.5 : f32\n", "f32", lambda sums: np.full((len(sums), 3), 2.5)),
    "vector": (
        "%v = arith.constant dense<[1.0, -2.0, 4.0]> : tensor<3xf32>\n",
        "tensor<3xf32>",
        lambda sums: np.tile([1.0, -2.0, 4.0], (len(sums), 1)),
    ),
    "per row": (
        embed(2) + "%v = lariat.row_reduce sum %x : !all:2\n",
        "!all:f32",
        lambda sums: np.tile(sums, (3, 1)).T,
    ),
}


@pytest.mark.parametrize("source", SPREADS)
def test_spread_repeats(rng: Generator, source: str) -> None:
    make, type, expected = SPREADS[source]
    x, batch = table(rng, 2), ragged(rng)
    body = f"{make}%y = lariat.spread %v at %all : {type} at !all to !all:3\n"
    found = execute(Program(body, 3, {"x": x}), batch)
    assert_equal(found, [expected(ordered_sum(x[ids])) for ids in batch])


def test_last_keeps_the_last_row_of_each_prompt_when_generating(rng: Generator) -> None:
    successor = rng.permutation(VOCAB)
    rows = np.eye(VOCAB)[successor][:, :-1] + 1
    program = Program("%y = lariat.embed %ids, @x : !all:i32 to !all:31\n", VOCAB - 1, {"x": rows})
    batch = ragged(rng)
    with open_text(program.text()) as opened:
        results = opened.generate(batch, 3)
    for ids, result in zip(batch, results, strict=True):
        expected, token = [], ids[-1]
        for _ in range(3):
            # The last column is filled up with zeros; a row of ones chooses column 0.
            token = int(successor[token]) if successor[token] < VOCAB - 1 else 0
            expected.append(token)
        assert result.tokens == expected


# Facts of a row.


@pytest.mark.parametrize("chunk", [None, 2])
def test_position_of_goes_on_over_calls(rng: Generator, chunk: int | None) -> None:
    body = "%p = lariat.position_of %all : !all\n" + to_float("p", "y")
    batch = ragged(rng)
    assert_equal(execute(Program(body, None), batch, chunk=chunk), [np.arange(len(ids)) for ids in batch])


def test_position_of_survives_a_selection(rng: Generator) -> None:
    body = f"""{EVEN}
%k = lariat.select %all where %even : !all to !k
%p = lariat.position_of %k : !k
{to_float("p", "pf", "k")}
{full("%none", -1, "f32")}
%y = lariat.put %pf of %k into %none of %all : !k:f32 into !all:f32
"""
    batch = ragged(rng)
    assert_equal(
        execute(Program(body, None), batch), [np.where(is_even(ids), np.arange(len(ids)), -1) for ids in batch]
    )


def test_depth_of_is_the_loop_step() -> None:
    body = f"""{full("%x0", 0, "f32")}
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x0 : !all:f32) {{
  %d = lariat.depth_of %a : !a
{to_float("d", "depth", "a")}
{full("%ten", 10, "f32", "a")}
  %scaled = arith.mulf %h, %ten : !a:f32
  %next = arith.addf %scaled, %depth : !a:f32
  lariat.next keep %a : !a carry(%next : !a:f32)
}}
"""
    found = execute(Program(body, None, loops=4, steps="%steps"), [[1, 2], [3]])
    assert_equal(found, [np.full(2, 123), np.full(1, 123)])


@pytest.mark.parametrize(("to", "depth"), [("", 1), ("to %there", 7)], ids=["next", "to"])
def test_advance_changes_the_depth(to: str, depth: int) -> None:
    body = f"""%there = arith.constant 7 : index
%b = lariat.advance %all {to} : !all
%d = lariat.depth_of %b : !all
{to_float("d", "y")}
"""
    assert_equal(execute(Program(body, None), [[1, 2]]), [np.full(2, depth)])


def test_count_is_the_size_of_a_tensor_of_the_set(rng: Generator) -> None:
    body = f"""{EVEN}
%k = lariat.select %all where %even : !all to !k
%n = lariat.count %k : !k
%e = tensor.empty(%n) : !k:f32
%one = arith.constant 1.0 : f32
%ones = linalg.fill ins(%one : f32) outs(%e : !k:f32) -> !k:f32
{full("%none", -1, "f32")}
%y = lariat.put %ones of %k into %none of %all : !k:f32 into !all:f32
"""
    batch = ragged(rng)
    assert_equal(execute(Program(body, None), batch), [np.where(is_even(ids), 1, -1) for ids in batch])


# Reductions.


def ordered_sum(values: Array) -> Array:
    """float32 sums of the columns, ascending, one accumulator."""
    total = np.zeros(len(values), np.float32)
    for column in values.T:
        total = total + column
    return total


def second_max(values: Array) -> Array:
    ordered = np.sort(values, 1)
    return ordered[:, -2] if values.shape[1] > 1 else np.full(len(values), -np.inf)


REDUCTIONS: dict[str, Callable[[Array], Array]] = {
    "sum": ordered_sum,
    "max": lambda x: x.max(1),
    "second_max": second_max,
}


@pytest.mark.parametrize("columns", [1, 2, 7, 31])
@pytest.mark.parametrize("kind", REDUCTIONS)
def test_row_reduce(rng: Generator, kind: str, columns: int) -> None:
    x, batch = table(rng, columns), ragged(rng)
    body = f"{embed(columns)}%y = lariat.row_reduce {kind} %x : !all:{columns}\n"
    compare = assert_sums if kind == "sum" else assert_equal
    compare(execute(Program(body, None, {"x": x}), batch), [REDUCTIONS[kind](x[ids]) for ids in batch])


def test_row_reduce_second_max_of_equal_columns_is_the_maximum(rng: Generator) -> None:
    x, batch = rng.integers(-2, 2, (VOCAB, 5)).astype(np.float32), ragged(rng)
    body = f"{embed(5)}%y = lariat.row_reduce second_max %x : !all:5\n"
    assert_equal(execute(Program(body, None, {"x": x}), batch), [second_max(x[ids]) for ids in batch])


def test_argmax_gives_ties_to_the_lower_column(rng: Generator) -> None:
    x, batch = rng.integers(-1, 2, (VOCAB, 6)).astype(np.float32), ragged(rng, (20, 12))
    body = f"{embed(6)}%m = lariat.argmax %x : !all:6\n%y = arith.sitofp %m : !all:i32 to !all:f32\n"
    assert_equal(execute(Program(body, None, {"x": x}), batch), [x[ids].argmax(1) for ids in batch])


@pytest.mark.parametrize("kind", ["any", "all"])
def test_seq_reduce_of_bits_stays_inside_a_sequence(kind: str) -> None:
    body = f"""{EVEN}
%m = lariat.seq_reduce {kind} %even at %all : !all:i1
%y = arith.uitofp %m : !all:i1 to !all:f32
"""
    batch = [[1, 2, 3], [2, 4], [5, 7, 9, 1], [6], [3]]
    reduce = np.any if kind == "any" else np.all
    assert_equal(execute(Program(body, None), batch), [np.full(len(ids), reduce(is_even(ids))) for ids in batch])


def test_a_model_that_reduces_over_a_call_takes_no_chunks_and_generates_nothing() -> None:
    body = f"{EVEN}%m = lariat.seq_reduce any %even at %all : !all:i1\n%y = arith.uitofp %m : !all:i1 to !all:f32\n"
    with Reference(Program(body, None).text()) as reference:
        chunked = reference.ask("score", sequences=[[1, 2, 3]], mode="score", chunk=1, output="/nonexistent/out")
        assert "depend on all rows of a call" in chunked["error"]
        generated = reference.ask("generate", sequences=[[1, 2, 3]], max_new_tokens=1)
        assert "reduces among the rows of one call" in generated["error"]


def test_seq_reduce_mean_of_a_selection(rng: Generator) -> None:
    x, batch = table(rng, 3), ragged(rng, (8, 1, 13))
    body = f"""{embed(3)}{EVEN}
%k = lariat.select %all where %even : !all to !k
%xk = lariat.take %x of %all at %k : !all:3 at !k
%sum = lariat.row_reduce sum %xk : !k:3
%mean = lariat.seq_reduce mean %sum at %k : !k:f32
{full("%none", 0, "f32")}
%y = lariat.put %mean of %k into %none of %all : !k:f32 into !all:f32
"""
    expected = []
    for ids in batch:
        kept = x[ids][is_even(ids)].sum(1, dtype=np.float64)
        expected.append(np.where(is_even(ids), kept.mean() if len(kept) else 0, 0))
    assert_near(execute(Program(body, None, {"x": x}), batch), expected)


# Routing.

ROUTE = """
%x, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %z : !all:f32) {{
  %k = lariat.top_k %h of %a capacity(<{capacity}>) {counts} : !a:f32 to !k {decode}
  %hk = lariat.take %h of %a at %k : !a:f32 at !k
  %turned = arith.negf %hk : !k:f32
  lariat.next keep %k : !k carry(%turned : !k:f32)
}}
%y = arith.addf %x, %x : !all:f32
"""


def route_program(capacity: str, *, counts: Sequence[int] = (), decode: str = "") -> str:
    clause = ""
    before = embed(1) + "%z = lariat.row_reduce sum %x : !all:1\n"
    if counts:
        width = len(counts)
        before += f"""%numbers = arith.constant dense<{list(counts)}> : tensor<{width}xi32>
%given = lariat.spread %numbers at %all : tensor<{width}xi32> at !all to !all:{width}xi32
"""
        clause = f"counts(%c : !a:{width}xi32)"
    body = ROUTE.format(capacity=capacity, counts=clause, decode=decode)
    if counts:
        first, rest = body.split("  %k = ", 1)
        body = f"{first}  %c = lariat.take %given of %all at %a : !all:{len(counts)}xi32 at !a\n  %k = {rest}"
    return before + body.replace("%x, %steps", "%final, %steps").replace("%x, %x", "%final, %final")


def route(
    scores: Array, loops: int, numerators: Sequence[int], denominator: int, counts: Sequence[int] = (0,)
) -> tuple[Array, list[int]]:
    """Scores change sign at each step, so that every step keeps others."""
    scores, active, steps = scores.copy(), list(range(len(scores))), [0] * len(scores)
    for depth in range(loops):
        capacity = max(1, len(scores) * numerators[min(depth, len(numerators) - 1)] // denominator)
        capacity = counts[min(depth, len(counts) - 1)] or capacity
        kept = sorted(sorted(active, key=lambda row: (-scores[row], row))[:capacity])
        for row in kept:
            scores[row], steps[row] = -scores[row], depth + 1
        active = kept
    return 2 * scores, steps


@pytest.mark.parametrize("loops", [1, 2, 4])
@pytest.mark.parametrize("spread", [2, 1000], ids=["ties", "distinct"])
@pytest.mark.parametrize(("numerators", "denominator"), [([3, 2, 1], 3), ([5, 1], 7)])
def test_top_k_keeps_the_capacity_of_each_depth(
    rng: Generator, numerators: list[int], denominator: int, spread: int, loops: int
) -> None:
    scores = rng.integers(-spread, spread, (VOCAB, 1)).astype(np.float32)
    body = route_program(f"{numerators} over {denominator}")
    batch = ragged(rng, (1, 2, 5, 13, 9))
    found = execute(Program(body, None, {"x": scores}, loops=loops, steps="%steps"), batch)
    expected = [route(scores[ids, 0], loops, numerators, denominator) for ids in batch]
    assert [one.steps for one in found] == [steps for _, steps in expected]
    assert_equal(found, [values for values, _ in expected])


@pytest.mark.parametrize("counts", [[0, 3], [1, 100], [4, 0]])
@pytest.mark.parametrize("spread", [2, 1000], ids=["ties", "distinct"])
def test_top_k_keeps_the_counts_that_are_above_0(rng: Generator, spread: int, counts: list[int]) -> None:
    scores = rng.integers(-spread, spread, (VOCAB, 1)).astype(np.float32)
    batch = ragged(rng, (1, 2, 5, 13, 9))
    program = Program(route_program("[3, 1] over 4", counts=counts), None, {"x": scores}, loops=3, steps="%steps")
    found = execute(program, batch)
    expected = [route(scores[ids, 0], 3, [3, 1], 4, counts) for ids in batch]
    assert [one.steps for one in found] == [steps for _, steps in expected]
    assert_equal(found, [values for values, _ in expected])


def test_top_k_is_replaced_by_its_decode_rule_when_generating(rng: Generator) -> None:
    decode = """decode {
^bb0(%r: !a, %first: !a:i1, %s: !a:f32):
  %limit = arith.constant 0.0 : f32
  %limits = lariat.spread %limit at %r : f32 at !a to !a:f32
  %pass = arith.cmpf oge, %s, %limits : !a:f32
  %go = arith.ori %first, %pass : !a:i1
  lariat.end %go : !a:i1
}"""
    scores = rng.integers(-3, 4, (VOCAB, 1)).astype(np.float32)
    body = route_program("[1] over 2", decode=decode)
    batch = ragged(rng)
    found = execute(Program(body, None, {"x": scores}, loops=2, steps="%steps"), batch, mode="generate")
    for ids, one in zip(batch, found, strict=True):
        # All rows enter; a score above 0 is below 0 at depth 1.
        assert one.steps == [1 + int(score <= 0) for score in scores[ids, 0]]


# Weights.


def fused_sums(x: Array, weight: Array) -> Array:
    """W x in float32, one fused multiply-add after the other, the input index ascending."""
    total = np.zeros((len(x), len(weight)), np.float32)
    for k in range(x.shape[1]):
        total = (x[:, k, None].astype(np.float64) * weight[None, :, k] + total).astype(np.float32)
    return total


def test_linear_sums_in_the_order_it_promises(rng: Generator) -> None:
    x, w, batch = table(rng, 13), normal(rng, 6, 13), ragged(rng)
    body = embed(13) + "%y = lariat.linear %x, @w : !all:13 to !all:6\n"
    assert_equal(execute(Program(body, 6, {"x": x, "w": w}), batch), [fused_sums(x[ids], w) for ids in batch])


def test_linear_with_a_weight_of_one_output(rng: Generator) -> None:
    x, w, b, batch = table(rng, 9), normal(rng, 9), normal(rng, 1), ragged(rng)
    body = embed(9) + "%y = lariat.linear %x, @w bias(@b) : !all:9 to !all:f32\n"
    expected = [fused_sums(x[ids], w[None])[:, 0] + b for ids in batch]
    assert_sums(execute(Program(body, None, {"x": x, "w": w, "b": b}), batch), expected)


@pytest.mark.parametrize("depth", [0, 2, 5])
@pytest.mark.parametrize("indexed", ["", "w", "b", "p", "q", "wbpq"], ids=lambda names: f"depths_{names or 'none'}")
def test_linear_indexes_weight_bias_and_low_rank_pair_by_depth(rng: Generator, indexed: str, depth: int) -> None:
    """y = W x + b + scale * Q (P x); a depth past the end uses the last weight."""
    shapes = {"w": (5, 8), "b": (5,), "p": (2, 8), "q": (5, 2)}
    stacks = {name: normal(rng, 3, *shape) for name, shape in shapes.items()}
    one = {name: stack[min(depth, 2) if name in indexed else 0].astype(np.float64) for name, stack in stacks.items()}
    weights: dict[str, Array | PerDepth] = {
        name: PerDepth(stack, "clamp") if name in indexed else stack[0] for name, stack in stacks.items()
    }
    x, batch = table(rng, 8), ragged(rng)
    by = "by %r : !all" if indexed else ""
    body = f"""{embed(8)}
%there = arith.constant {depth} : index
%r = lariat.advance %all to %there : !all
%y = lariat.linear %x, @w bias(@b) low_rank(@p, @q) scale(0.75) : !all:8 to !all:5 {by}
"""
    expected = []
    for ids in batch:
        h = x[ids].astype(np.float64)
        expected.append(h @ one["w"].T + one["b"] + 0.75 * (h @ one["p"].T) @ one["q"].T)
    assert_near(execute(Program(body, 5, {"x": x, **weights}), batch), expected, 1e-6)


def test_linear_chooses_the_weight_of_each_loop_step(rng: Generator) -> None:
    x, stack, batch = table(rng, 4), normal(rng, 3, 4, 4), ragged(rng)
    body = f"""{embed(4)}{remainder(4, "max")}
%y, %steps = lariat.recur max(%max : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:4) {{
  %next = lariat.linear %h, @w : !a:4 to !a:4 by %a : !a
  lariat.next keep %a : !a carry(%next : !a:4)
}}
"""
    found = execute(Program(body, 4, {"x": x, "w": PerDepth(stack)}, loops=3, steps="%steps"), batch)
    expected = []
    for ids in batch:
        rows = []
        for id in ids:
            h = x[id][None]
            for depth in range(id % 4):
                h = fused_sums(h, stack[depth])
            rows.append(h[0])
        expected.append(np.array(rows))
    assert [one.steps for one in found] == [[id % 4 for id in ids] for ids in batch]
    assert_equal(found, expected)


@pytest.mark.parametrize("index", ["i32", "index"])
def test_embed_looks_rows_up(rng: Generator, index: str) -> None:
    x, batch = table(rng, 5), ragged(rng)
    cast = "" if index == "i32" else "%i = arith.index_cast %ids : !all:i32 to !all:index\n"
    body = f"{cast}%y = lariat.embed {'%i' if cast else '%ids'}, @x : !all:{index} to !all:5\n"
    assert_equal(execute(Program(body, 5, {"x": x}), batch), [x[ids] for ids in batch])


def test_value_of_enters_arithmetic(rng: Generator) -> None:
    x, v, batch = table(rng, 4), normal(rng, 4), ragged(rng)
    body = f"""{embed(4)}
%v = lariat.value_of @v : tensor<4xf32>
%twice = arith.addf %v, %v : tensor<4xf32>
%s = lariat.spread %twice at %all : tensor<4xf32> at !all to !all:4
%y = arith.addf %x, %s : !all:4
"""
    assert_equal(execute(Program(body, 4, {"x": x, "v": v}), batch), [x[ids] + 2 * v for ids in batch])


def normalise(kind: str, x: Array, eps: float, groups: int) -> Array:
    parts = x.astype(np.float64).reshape(len(x), groups, -1)
    if kind == "layer":
        parts = parts - parts.mean(2, keepdims=True)
    squares = (parts**2).sum(2, keepdims=True) if kind == "l2" else (parts**2).mean(2, keepdims=True)
    result: Array = parts / np.sqrt(squares + eps)
    return result


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("terms", ["", "w", "wb"], ids=["bare", "weight", "bias"])
@pytest.mark.parametrize("kind", ["rms", "layer", "l2"])
def test_norm(rng: Generator, kind: str, terms: str, groups: int) -> None:
    x, w, b, batch = table(rng, 12), normal(rng, 12 // groups) + 1, normal(rng, 12 // groups), ragged(rng)
    clauses = "".join({"w": " weight(@w)", "b": " bias(@b)"}[term] for term in terms)
    group = f"groups({groups})" if groups > 1 else ""
    body = f"{embed(12)}%y = lariat.norm {kind} %x{clauses} eps(1.0e-02) {group} : !all:12\n"
    expected = []
    for ids in batch:
        y = normalise(kind, x[ids], 1e-2, groups)
        expected.append(y * (w if "w" in terms else 1) + (b if "b" in terms else 0))
    assert_near(execute(Program(body, 12, {"x": x, "w": w, "b": b}), batch), expected, 2e-6)


@pytest.mark.parametrize("order", ["after_cast", "before_cast"])
def test_norm_orders_of_weight_and_cast_agree_in_f32(rng: Generator, order: str) -> None:
    x, w, batch = table(rng, 6), normal(rng, 6), ragged(rng)
    body = f"{embed(6)}%y = lariat.norm rms %x weight(@w) eps(1.0e-05) weight_order({order}) : !all:6\n"
    expected = [normalise("rms", x[ids], 1e-5, 1)[:, 0] * w for ids in batch]
    assert_near(execute(Program(body, 6, {"x": x, "w": w}), batch), expected, 2e-6)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_norm_indexes_weight_and_bias_by_depth(rng: Generator, depth: int) -> None:
    x, w, b, batch = table(rng, 6), normal(rng, 2, 6), normal(rng, 3, 6), ragged(rng)
    body = f"""{embed(6)}
%there = arith.constant {depth} : index
%r = lariat.advance %all to %there : !all
%y = lariat.norm layer %x weight(@w) bias(@b) eps(1.0e-05) : !all:6 by %r : !all
"""
    weights: dict[str, Array | PerDepth] = {"x": x, "w": PerDepth(w, "clamp"), "b": PerDepth(b, "clamp")}
    expected = [normalise("layer", x[ids], 1e-5, 1)[:, 0] * w[min(depth, 1)] + b[min(depth, 2)] for ids in batch]
    assert_near(execute(Program(body, 6, weights), batch), expected, 2e-6)


# Rotary position.


def frequencies(theta: float, dims: int, scaling: str) -> Array:
    base = theta ** (-2.0 * np.arange(dims // 2) / dims)
    if scaling.startswith("linear"):
        return base / 4.0
    if scaling.startswith("llama3"):
        factor, low, high, original = 8.0, 1.0, 4.0, 32.0
        turns = original * base / (2 * math.pi)
        blend = np.clip((turns - low) / (high - low), 0.0, 1.0)
        return (1 - blend) * base / factor + blend * base
    return base


def rotate(x: Array, positions: Array, heads: int, dims: int, angles: Array, interleaved: bool) -> Array:
    result = x.astype(np.float64).reshape(len(x), heads, -1)
    before = result.copy()
    first = np.arange(0, dims, 2) if interleaved else np.arange(dims // 2)
    second = first + (1 if interleaved else dims // 2)
    angle = positions[:, None, None] * angles
    result[:, :, first] = before[:, :, first] * np.cos(angle) - before[:, :, second] * np.sin(angle)
    result[:, :, second] = before[:, :, second] * np.cos(angle) + before[:, :, first] * np.sin(angle)
    return result


SCALINGS = {
    "none": "",
    "linear": "linear, factor = 4.0",
    "llama3": "llama3, factor = 8.0, low = 1.0, high = 4.0, original = 32",
}


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("dims", [None, 4])
@pytest.mark.parametrize("style", ["half", "interleaved"])
def test_rope(rng: Generator, style: str, dims: int | None, scaling: str) -> None:
    x, batch = table(rng, 16), ragged(rng, (40, 3))
    clauses = f"dims({dims})" if dims else ""
    clauses += f" style({style})" + (f" scaling(<{SCALINGS[scaling]}>)" if SCALINGS[scaling] else "")
    body = f"{embed(16)}%y = lariat.rope %x at %all heads(2) theta(50.0) {clauses} : !all:16\n"
    angles = frequencies(50.0, dims or 8, scaling)
    expected = [rotate(x[ids], np.arange(len(ids)), 2, dims or 8, angles, style == "interleaved") for ids in batch]
    assert_near(execute(Program(body, 16, {"x": x}), batch, chunk=7), expected, 2e-6)


@pytest.mark.parametrize("source", ["weight", "list"])
@pytest.mark.parametrize("style", ["half", "interleaved"])
def test_rope_takes_frequencies_and_a_magnitude(rng: Generator, source: str, style: str) -> None:
    x, batch = table(rng, 16), ragged(rng, (40, 3))
    values = np.array([1.0, 0.3, 0.0], np.float32)
    given = "@frequencies" if source == "weight" else f"array<f64: {', '.join(repr(float(one)) for one in values)}>"
    clauses = f"frequencies({given}) magnitude(1.25) dims(6) style({style})"
    body = f"{embed(16)}%y = lariat.rope %x at %all heads(2) {clauses} : !all:16\n"
    weights = {"x": x, **({"frequencies": values} if source == "weight" else {})}
    expected = []
    for ids in batch:
        turned = rotate(x[ids], np.arange(len(ids)), 2, 6, values.astype(np.float64), style == "interleaved")
        turned[..., :6] *= 1.25
        expected.append(turned.reshape(len(ids), -1))
    assert_near(execute(Program(body, 16, weights), batch, chunk=7), expected, 2e-6)


def test_rope_rotates_by_position_however_few_rows_are_left(rng: Generator) -> None:
    x, batch = table(rng, 4), ragged(rng, (12, 5))
    body = f"""{embed(4)}{EVEN}
%k = lariat.select %all where %even : !all to !k
%xk = lariat.take %x of %all at %k : !all:4 at !k
%turned = lariat.rope %xk at %k heads(1) theta(50.0) : !k:4
%y = lariat.put %turned of %k into %x of %all : !k:4 into !all:4
"""
    expected = []
    for ids in batch:
        turned = rotate(x[ids], np.arange(len(ids)), 1, 4, frequencies(50.0, 4, ""), False)[:, 0]
        expected.append(np.where(is_even(ids)[:, None], turned, x[ids]))
    assert_near(execute(Program(body, 4, {"x": x}), batch), expected, 2e-6)


def test_rope_rounds_angles_to_the_type_it_is_given(rng: Generator) -> None:
    x, ids = table(rng, 4), ragged(rng, (30,))[0]
    body = f"{embed(4)}%y = lariat.rope %x at %all heads(1) theta(50.0) angles(bf16) : !all:4\n"
    angle = np.arange(len(ids))[:, None] * frequencies(50.0, 4, "")
    cosine, sine = to_bf16(np.cos(angle)), to_bf16(np.sin(angle))
    u, v = x[ids][:, :2].astype(np.float64), x[ids][:, 2:].astype(np.float64)
    expected = np.concatenate([u * cosine - v * sine, v * cosine + u * sine], 1)
    assert_near(execute(Program(body, 4, {"x": x}), [ids]), [expected], 1e-6)


def test_concat_joins_columns(rng: Generator) -> None:
    x, z, batch = table(rng, 3), table(rng, 5), ragged(rng)
    body = embed(3) + embed(5, "z") + "%y = lariat.concat %z, %x, %z : !all:5, !all:3, !all:5 to !all:13\n"
    expected = [np.concatenate([z[ids], x[ids], z[ids]], 1) for ids in batch]
    assert_equal(execute(Program(body, 13, {"x": x, "z": z}), batch), expected)


# The loop.


def doubling(max: str, clauses: str = "", prelude: str = "") -> str:
    """x -> 2 x in each step."""
    return f"""{embed(3)}{prelude}
%y, %steps = lariat.recur max({max}) {clauses} over %all : !all as %a : !a carry(%h = %x : !all:3) {{
  %next = arith.addf %h, %h : !a:3
  lariat.next keep %a : !a carry(%next : !a:3)
}}
"""


def assert_doubled(found: Sequence[Outcome], x: Array, batch: Sequence[Ids], times: Callable[[int], int]) -> None:
    assert_equal(found, [x[ids] * 2.0 ** np.array([times(id) for id in ids])[:, None] for ids in batch])


@pytest.mark.parametrize("max", [0, 1, 5])
def test_recur_with_one_bound_for_all_rows(rng: Generator, max: int) -> None:
    x, batch = table(rng, 3), ragged(rng)
    body = doubling("%max : index", prelude=f"%max = arith.constant {max} : index\n")
    found = execute(Program(body, 3, {"x": x}, loops=5, steps="%steps"), batch)
    assert [one.steps for one in found] == [[max] * len(ids) for ids in batch]
    assert_doubled(found, x, batch, lambda id: max)


def test_recur_with_a_bound_per_row(rng: Generator) -> None:
    x, batch = table(rng, 3), ragged(rng)
    body = doubling("%max : !all:index", prelude=remainder(5, "max"))
    found = execute(Program(body, 3, {"x": x}, steps="%steps"), batch)
    assert [one.steps for one in found] == [[id % 5 for id in ids] for ids in batch]
    assert_doubled(found, x, batch, lambda id: id % 5)


def test_recur_from_a_depth_on(rng: Generator) -> None:
    """A row whose bound is not above it does not enter, and has taken that many steps."""
    x, batch = table(rng, 3), ragged(rng)
    prelude = "%two = arith.constant 2 : index\n" + remainder(5, "max")
    found = execute(Program(doubling("%max : !all:index", "from(%two)", prelude), 3, {"x": x}, steps="%steps"), batch)
    assert [one.steps for one in found] == [[max(2, id % 5) for id in ids] for ids in batch]
    assert_doubled(found, x, batch, lambda id: max(0, id % 5 - 2))


def test_recur_gives_the_first_depth_to_depth_indexed_ops(rng: Generator) -> None:
    x, stack, batch = table(rng, 3), normal(rng, 4, 3), ragged(rng)
    body = f"""{embed(3)}%one = arith.constant 1 : index
%y, %steps = lariat.recur max(%loops : !all:index) from(%one) over %all : !all as %a : !a carry(%h = %x : !all:3) {{
  %next = lariat.norm rms %h weight(@w) eps(1.0e-05) : !a:3 by %a : !a
  lariat.next keep %a : !a carry(%next : !a:3)
}}
"""
    expected = []
    for ids in batch:
        h = x[ids]
        for depth in (1, 2):
            h = normalise("rms", h, 1e-5, 1)[:, 0] * stack[depth]
        expected.append(h)
    found = execute(Program(body, 3, {"x": x, "w": PerDepth(stack)}, loops=3, steps="%steps"), batch)
    assert [one.steps for one in found] == [[3] * len(ids) for ids in batch]
    assert_near(found, expected)


def test_recur_stops_a_row_with_its_new_value(rng: Generator) -> None:
    x, batch = np.abs(table(rng, 3)) + np.float32(0.01), ragged(rng)
    body = f"""{embed(3)}
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:3) {{
  %next = arith.addf %h, %h : !a:3
  %largest = lariat.row_reduce max %next : !a:3
{full("%one", 1.5, "f32", "a")}
  %stop = arith.cmpf ogt, %largest, %one : !a:f32
  lariat.next keep %a : !a carry(%next : !a:3) stop(%stop)
}}
"""

    def steps(id: int) -> int:
        return next(d for d in range(1, 5) if d == 4 or x[id].max() * 2.0**d > 1.5)

    found = execute(Program(body, 3, {"x": x}, steps="%steps"), batch)
    assert [one.steps for one in found] == [[steps(id) for id in ids] for ids in batch]
    assert_doubled(found, x, batch, steps)


def test_recur_leaves_a_row_that_is_not_kept_as_it_came_in(rng: Generator) -> None:
    x, batch = np.abs(table(rng, 3)) + np.float32(0.01), ragged(rng)
    body = f"""{embed(3)}
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:3) {{
  %largest = lariat.row_reduce max %h : !a:3
{full("%one", 1.5, "f32", "a")}
  %go = arith.cmpf ole, %largest, %one : !a:f32
  %k = lariat.select %a where %go : !a to !k
  %hk = lariat.take %h of %a at %k : !a:3 at !k
  %next = arith.addf %hk, %hk : !k:3
  lariat.next keep %k : !k carry(%next : !k:3)
}}
"""

    def steps(id: int) -> int:
        return next(d for d in range(5) if d == 4 or x[id].max() * 2.0**d > 1.5)

    found = execute(Program(body, 3, {"x": x}, steps="%steps"), batch)
    assert [one.steps for one in found] == [[steps(id) for id in ids] for ids in batch]
    assert_doubled(found, x, batch, steps)


def test_recur_without_carried_values_gives_steps(rng: Generator) -> None:
    body = f"""{remainder(4, "max")}
%steps = lariat.recur max(%max : !all:index) over %all : !all as %a : !a {{
  lariat.next keep %a : !a
}}
%y = arith.sitofp %steps : !all:i32 to !all:f32
"""
    batch = ragged(rng)
    assert_equal(execute(Program(body, None), batch), [np.array(ids) % 4 for ids in batch])


def test_recur_carries_values_of_several_types(rng: Generator) -> None:
    x, batch = table(rng, 2), ragged(rng)
    body = f"""{embed(2)}{remainder(4, "max")}{EVEN}
{full("%none", 0, "f32")}
%sum, %n, %turned, %steps = lariat.recur max(%max : !all:index) over %all : !all as %a : !a
    carry(%h = %x : !all:2, %c = %none : !all:f32, %b = %even : !all:i1) {{
{full("%one", 1, "f32", "a")}{full("%yes", 1, "i1", "a")}
  %h1 = arith.addf %h, %h : !a:2
  %c1 = arith.addf %c, %one : !a:f32
  %b1 = arith.xori %b, %yes : !a:i1
  lariat.next keep %a : !a carry(%h1, %c1, %b1 : !a:2, !a:f32, !a:i1)
}}
%t = arith.uitofp %turned : !all:i1 to !all:f32
%n1 = lariat.spread %n at %all : !all:f32 at !all to !all:1
%t1 = lariat.spread %t at %all : !all:f32 at !all to !all:1
%y = lariat.concat %sum, %n1, %t1 : !all:2, !all:1, !all:1 to !all:4
"""
    expected = []
    for ids in batch:
        n = np.array(ids)[:, None] % 4
        expected.append(np.concatenate([x[ids] * 2.0**n, n, is_even(ids)[:, None] ^ (n % 2 == 1)], 1))
    assert_equal(execute(Program(body, 4, {"x": x}, loops=3), batch), expected)


def test_recur_inside_recur_starts_again_at_depth_0(rng: Generator) -> None:
    """The inner loop runs id mod 3 steps for the rows the outer step keeps, and sees its own depths."""
    x, batch = table(rng, 3), ragged(rng)
    body = f"""{embed(3)}{remainder(3, "inner")}{EVEN}{full("%three", 3, "index")}{full("%one", 1, "index")}
%outer = arith.select %even, %three, %one : !all:i1, !all:index
%y, %steps = lariat.recur max(%outer : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:3) {{
  %max = lariat.take %inner of %all at %a : !all:index at !a
  %z, %s = lariat.recur max(%max : !a:index) over %a : !a as %b : !b carry(%g = %h : !a:3) {{
    %d = lariat.depth_of %b : !b
{to_float("d", "df", "b")}
    %wide = lariat.spread %df at %b : !b:f32 at !b to !b:3
    %sum = arith.addf %g, %wide : !b:3
    %twice = arith.addf %sum, %sum : !b:3
    lariat.next keep %b : !b carry(%twice : !b:3)
  }}
  %sf = arith.sitofp %s : !a:i32 to !a:f32
  %sw = lariat.spread %sf at %a : !a:f32 at !a to !a:3
  %next = arith.addf %z, %sw : !a:3
  lariat.next keep %a : !a carry(%next : !a:3)
}}
"""
    expected = []
    for ids in batch:
        rows = []
        for id in ids:
            h = x[id].copy()
            for _ in range(3 if id % 2 == 0 else 1):
                for depth in range(id % 3):
                    h = h + np.float32(depth)
                    h = h + h
                h = h + np.float32(id % 3)
            rows.append(h)
        expected.append(np.array(rows))
    found = execute(Program(body, 3, {"x": x}, loops=3, steps="%steps"), batch)
    assert [one.steps for one in found] == [[1 if id % 2 else 3 for id in ids] for ids in batch]
    assert_equal(found, expected)


def test_recur_over_a_selection(rng: Generator) -> None:
    x, batch = table(rng, 3), ragged(rng)
    body = f"""{embed(3)}{EVEN}
%max = arith.constant 3 : index
%k = lariat.select %all where %even : !all to !k
%xk = lariat.take %x of %all at %k : !all:3 at !k
%z, %s = lariat.recur max(%max : index) over %k : !k as %a : !a carry(%h = %xk : !k:3) {{
  %next = arith.addf %h, %h : !a:3
  lariat.next keep %a : !a carry(%next : !a:3)
}}
%y = lariat.put %z of %k into %x of %all : !k:3 into !all:3
"""
    found = execute(Program(body, 3, {"x": x}, loops=3), batch)
    assert_doubled(found, x, batch, lambda id: 0 if id % 2 else 3)
