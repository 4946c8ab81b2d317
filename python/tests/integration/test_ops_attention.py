# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention, caches under every policy that runs, and state: compiled, run, compared with numpy float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lariat.compiler import CompileOptions, compile
from tests.integration.programs import (
    EVEN,
    VOCAB,
    Array,
    Ids,
    Outcome,
    PerDepth,
    Program,
    Reference,
    assert_near,
    embed,
    execute,
    expand,
    full,
    is_even,
    normal,
    open_text,
    ragged,
    remainder,
    table,
    to_bf16,
)

pytest_plugins = ["tests.integration.seeds"]
pytestmark = pytest.mark.usefixtures("pipeline")

Generator = np.random.Generator

# Attention.


@dataclass(frozen=True)
class Rule:
    """What attention does to scores."""

    mask: str = "causal"
    heads: int = 2
    kv_heads: int = 2
    width: int = 4
    scale: float | None = None
    softcap: float | None = None
    sinks: Array | None = None
    bias: Array | None = None

    def clauses(self) -> str:
        words = [f"mask(<{self.mask}>)"]
        words += [f"scale({self.scale})"] if self.scale else []
        words += [f"softcap({self.softcap})"] if self.softcap else []
        words += ["sinks(@sinks)"] if self.sinks is not None else []
        words += ["distance_bias(@bias)"] if self.bias is not None else []
        return " ".join(words)

    def weights(self) -> dict[str, Array | PerDepth]:
        named = {"sinks": self.sinks, "bias": self.bias}
        return {name: value for name, value in named.items() if value is not None}

    def sees(self, position: int, other: int, prefix: int) -> bool:
        past = other <= position
        kind, _, size = self.mask.rstrip(")").partition("(")
        if kind == "window":
            return past and position - int(size) < other
        if kind == "chunk":
            return past and position // int(size) == other // int(size)
        return past or kind == "full" or (kind == "prefix" and position < prefix and other < prefix)

    def mix(self, query: Array, position: int, entries: Sequence[tuple[int, Array, Array]], prefix: int = 0) -> Array:
        """One row; an entry is (position, key, value)."""
        q = query.astype(np.float64).reshape(self.heads, self.width)
        result = np.zeros_like(q)
        seen = [entry for entry in entries if self.sees(position, entry[0], prefix)]
        for head in range(self.heads if seen else 0):
            group = head * self.kv_heads // self.heads
            columns = slice(group * self.width, (group + 1) * self.width)
            scores = []
            for other, key, _ in seen:
                scale = self.scale or 1 / math.sqrt(self.width)
                score = scale * float(q[head] @ key[columns].astype(np.float64))
                if self.softcap:
                    score = self.softcap * math.tanh(score / self.softcap)
                distance = position - other
                if self.bias is not None and 0 <= distance < self.bias.shape[1]:
                    score += float(self.bias[head, distance])
                scores.append(score)
            sink = [] if self.sinks is None else [float(self.sinks[head])]
            exponentials = np.exp(np.array(scores + sink) - max(scores + sink))
            shares = exponentials[: len(scores)] / exponentials.sum()
            result[head] = sum(share * value[columns] for share, (_, _, value) in zip(shares, seen, strict=True))
        return result.reshape(-1)


RULES = {
    "causal": Rule(),
    "full": Rule("full"),
    "prefix": Rule("prefix"),
    "window": Rule("window(3)"),
    "chunk": Rule("chunk(4)"),
    "grouped": Rule(heads=4, kv_heads=2),
    "one_kv_head": Rule(heads=3, kv_heads=1),
    "scale": Rule(scale=1.75),
    "softcap": Rule(softcap=0.5),
    "sinks": Rule(heads=4, kv_heads=2, sinks=np.array([1.5, -2.0, 0.25, 4.0])),
    "distance_bias": Rule(heads=4, kv_heads=2, bias=np.array([[0.5, -1, 2], [3, 0, -3], [0, 0, 1], [-2, 2, -2]])),
    "all": Rule("window(6)", 4, 2, 4, 0.7, 2.5, np.array([1, 0, -1, 2]), np.array([[1, -1]] * 4)),
}

CACHE = "lariat.cache @kv layers({layers}) heads({heads}) dim({width}) depths({depths}) : {type} policy({policy})\n"
OWN = "#lariat.own<missing = skip>"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("op", ["attention", "attend"])
def test_attention_and_attend(rng: Generator, op: str, rule: Rule) -> None:
    query, kv, batch = rule.heads * rule.width, rule.kv_heads * rule.width, ragged(rng, (9, 1, 6))
    q, k, v = table(rng, query), table(rng, kv), table(rng, kv)
    heads = f"heads({rule.heads}, {rule.kv_heads})" if op == "attention" else f"heads({rule.heads})"
    declarations = ""
    if op == "attention":
        call = f"lariat.attention %q, %k, %v at %all {heads} {rule.clauses()} : !all:{query}, !all:{kv}"
    else:
        declarations = CACHE.format(layers=1, heads=rule.kv_heads, width=rule.width, depths=1, type="f32", policy=OWN)
        call = f"lariat.attend @kv[0] %q at %all {heads} {rule.clauses()} : !all:{query}"
    append = f"lariat.append @kv[0] %k, %v at %all : !all:{kv}\n" if op == "attend" else ""
    body = embed(query, "q") + embed(kv, "k") + embed(kv, "v") + append + f"%y = {call}\n"
    prefix = 4 if rule.mask == "prefix" else 0
    program = Program(body, query, {"q": q, "k": k, "v": v, **rule.weights()}, declarations)
    found = execute(program, batch, **({"prefix": prefix} if prefix else {}))
    expected = []
    for ids in batch:
        entries = [(position, k[id], v[id]) for position, id in enumerate(ids)]
        expected.append(np.array([rule.mix(q[id], p, entries, prefix) for p, id in enumerate(ids)]))
    assert_near(found, expected)


def test_attention_of_a_row_that_sees_nothing_is_zero(rng: Generator) -> None:
    x, batch = table(rng, 4), ragged(rng)
    declarations = CACHE.format(layers=1, heads=1, width=4, depths=1, type="f32", policy=OWN)
    rule = Rule(heads=1, kv_heads=1)
    body = f"""{embed(4)}{EVEN}
%k = lariat.select %all where %even : !all to !k
%xk = lariat.take %x of %all at %k : !all:4 at !k
lariat.append @kv[0] %xk, %xk at %k : !k:4
%y = lariat.attend @kv[0] %x at %all heads(1) mask(<causal>) : !all:4
"""
    expected = []
    for ids in [*batch, [1, 3, 2, 5]]:
        entries = [(position, x[id], x[id]) for position, id in enumerate(ids) if id % 2 == 0]
        expected.append(np.array([rule.mix(x[id], position, entries) for position, id in enumerate(ids)]))
    found = execute(Program(body, 4, {"x": x}, declarations), [*batch, [1, 3, 2, 5]])
    assert_near(found, expected)
    assert not found[-1].logits[:2].any()
    assert [one.slots["kv"] for one in found] == [[[(int(is_even(ids).sum()), 0)]] for ids in [*batch, [1, 3, 2, 5]]]


def test_encoder_attends_in_both_directions(rng: Generator) -> None:
    x, batch, rule = table(rng, 8), ragged(rng), Rule("full")
    text = Program(
        embed(8) + "%y = lariat.attention %x, %x, %x at %all heads(2, 2) mask(<full>) : !all:8, !all:8\n", 8, {"x": x}
    ).text()
    text = text.replace('kind = "decoder"', 'kind = "encoder"')
    wanted = expand(f'(!wanted:{VOCAB} {{lariat.output = "logits"}})')
    text = text.replace(wanted, expand('(!all:8 {lariat.output = "hidden"})'))
    text = text.replace(expand(f"return %logits : !wanted:{VOCAB}"), expand("return %y : !all:8"))
    with open_text(text) as opened:
        found = opened.encode(batch)
    expected = []
    for ids in batch:
        entries = [(position, x[id], x[id]) for position, id in enumerate(ids)]
        expected.append(np.array([rule.mix(x[id], position, entries) for position, id in enumerate(ids)]))
    assert_near([Outcome(hidden, [0] * len(hidden), {}) for hidden in found], expected)


@pytest.mark.parametrize("chunk", [None, 1, 4])
def test_layers_of_a_cache_are_apart(rng: Generator, chunk: int | None) -> None:
    x, z, batch, rule = table(rng, 4), table(rng, 4), ragged(rng), Rule(heads=1, kv_heads=1)
    declarations = CACHE.format(layers=2, heads=1, width=4, depths=1, type="f32", policy=OWN)
    body = f"""{embed(4)}{embed(4, "z")}
lariat.append @kv[0] %x, %x at %all : !all:4
lariat.append @kv[1] %z, %z at %all : !all:4
%first = lariat.attend @kv[0] %x at %all heads(1) mask(<causal>) : !all:4
%second = lariat.attend @kv[1] %x at %all heads(1) mask(<causal>) : !all:4
%y = lariat.concat %first, %second : !all:4, !all:4 to !all:8
"""
    expected = []
    for ids in batch:
        rows = []
        for position, id in enumerate(ids):
            entries = [[(p, t[i], t[i]) for p, i in enumerate(ids)] for t in (x, z)]
            rows.append(np.concatenate([rule.mix(x[id], position, layer) for layer in entries]))
        expected.append(np.array(rows))
    assert_near(execute(Program(body, 8, {"x": x, "z": z}, declarations), batch, chunk=chunk), expected)


def test_append_again_replaces_the_entry(rng: Generator) -> None:
    x, z, batch, rule = table(rng, 4), table(rng, 4), ragged(rng), Rule(heads=1, kv_heads=1)
    declarations = CACHE.format(layers=1, heads=1, width=4, depths=1, type="f32", policy=OWN)
    body = f"""{embed(4)}{embed(4, "z")}
lariat.append @kv[0] %x, %x at %all : !all:4
lariat.append @kv[0] %z, %x at %all : !all:4
%y = lariat.attend @kv[0] %x at %all heads(1) mask(<causal>) : !all:4
"""
    expected = []
    for ids in batch:
        entries = [(position, z[id], x[id]) for position, id in enumerate(ids)]
        expected.append(np.array([rule.mix(x[id], position, entries) for position, id in enumerate(ids)]))
    found = execute(Program(body, 4, {"x": x, "z": z}, declarations), batch)
    assert_near(found, expected)
    assert [one.slots["kv"] for one in found] == [[[(len(ids), 0)]] for ids in batch]


def test_cache_of_bf16_rounds_keys_and_values(rng: Generator, tmp_path: Path) -> None:
    x, batch, rule = table(rng, 4), ragged(rng), Rule(heads=1, kv_heads=1)
    declarations = CACHE.format(layers=1, heads=1, width=4, depths=1, type="f32", policy=OWN)
    body = f"""{embed(4)}
lariat.append @kv[0] %x, %x at %all : !all:4
%y = lariat.attend @kv[0] %x at %all heads(1) mask(<causal>) : !all:4
"""
    rounded = to_bf16(x)
    expected = []
    for ids in batch:
        entries = [(position, rounded[id], rounded[id]) for position, id in enumerate(ids)]
        expected.append(np.array([rule.mix(x[id], position, entries) for position, id in enumerate(ids)]))
    source, artefact = tmp_path / "model.mlir", tmp_path / "model.lariat"
    source.write_text(Program(body, 4, {"x": x}, declarations).text())
    compile(source, artefact, CompileOptions(kv_dtype="bf16", pipeline="reference"))
    with Reference(artefact) as reference:
        found = [Outcome(one.logits[:, :4], one.steps, one.slots) for one in reference.score(batch)]
    assert_near(found, expected)


@pytest.mark.parametrize("chunk", [None, 2])
def test_slot_operand_takes_the_place_of_the_policys_slot(rng: Generator, chunk: int | None) -> None:
    """A loop that is not over depth: entries of step i are those of slot i."""
    x, batch, rule = table(rng, 4), ragged(rng), Rule(heads=1, kv_heads=1)
    declarations = CACHE.format(layers=1, heads=1, width=4, depths=3, type="f32", policy=OWN)
    body = f"""{embed(4)}
%c0 = arith.constant 0 : index
%c1 = arith.constant 1 : index
%c3 = arith.constant 3 : index
%y = scf.for %i = %c0 to %c3 step %c1 iter_args(%h = %x) -> (!all:4) {{
  lariat.append @kv[0] %h, %h at %all slot(%i) : !all:4
  %o = lariat.attend @kv[0] %h at %all heads(1) mask(<causal>) slot(%i) : !all:4
  %next = arith.subf %x, %o : !all:4
  scf.yield %next : !all:4
}}
"""
    expected = []
    for ids in batch:
        h = x[ids].astype(np.float64)
        for _ in range(3):
            entries = [(position, row, row) for position, row in enumerate(h)]
            h = x[ids] - np.array([rule.mix(row, position, entries) for position, row in enumerate(h)])
        expected.append(h)
    found = execute(Program(body, 4, {"x": x}, declarations), batch, chunk=chunk)
    assert_near(found, expected)
    assert [one.slots["kv"] for one in found] == [[[(len(ids), 0)] * 3] for ids in batch]


# KV policies: rows stop at depth id mod 3 + 1 of at most 4.

LOOPS = 4


@dataclass(frozen=True)
class Policy:
    """A policy in the loop of `policy_program`: how it looks, and what it means.

    Attributes:
        writes: whether a row at this depth writes its slot, the depth itself.
        finds: slots of an earlier row that a row at this depth reads, given the slots that are there.
    """

    text: str
    finds: Callable[[int, list[int]], list[int]]
    writes: Callable[[int], bool] = lambda depth: True
    fills: bool = False
    runs_on: bool = False
    request: str | None = None


def exact(depth: int, there: list[int]) -> list[int]:
    return [depth] if depth in there else []


def newest(depth: int, there: list[int]) -> list[int]:
    return [slot for slot in there if slot <= depth][-1:]


POLICIES = {
    "skip": Policy("#lariat.own<missing = skip>", exact),
    "slot0": Policy("#lariat.own<missing = slot0>", lambda depth, there: exact(depth, there) or there[:1]),
    "copy_last": Policy("#lariat.own<missing = copy_last>", newest),
    "propagate": Policy("#lariat.own<missing = propagate>", exact, fills=True),
    "picked_compute": Policy("#lariat.own<missing = copy_last>", exact, runs_on=True, request="compute"),
    "picked_propagate": Policy(
        "#lariat.own<missing = copy_last, allowed = [propagate]>", exact, fills=True, request="propagate"
    ),
    "picked_skip": Policy("#lariat.own<missing = propagate, allowed = [skip]>", exact, request="skip"),
    "first": Policy("#lariat.first", lambda depth, there: there[:1], writes=lambda depth: depth == 0),
    "latest": Policy("#lariat.latest", newest),
    "union": Policy("#lariat.union", lambda depth, there: [slot for slot in there if slot <= depth]),
    "ring": Policy(f"#lariat.ring<{LOOPS}, order = sequential>", exact),
    "wide_ring": Policy(f"#lariat.ring<{LOOPS + 3}, order = atomic>", exact),
    "first_then_shared": Policy(f"#lariat.first_then_shared<{LOOPS}, order = sequential>", exact),
}

STEP_RULE = Rule(heads=2, kv_heads=1, width=4)


def policy_program(policy: Policy, weights: dict[str, Array]) -> Program:
    fill = ""
    if policy.fills or "propagate" in policy.text:
        fill = """fill(%s : !s, %f) {
  %kf = lariat.linear %f, @k : !s:8 to !s:4
  %vf = lariat.linear %f, @v : !s:8 to !s:4
  lariat.append @kv[0] %kf, %vf at %s : !s:4
  lariat.end
}"""
    body = f"""{embed(8)}{remainder(3, "limit")}
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:8) {{
  %k = lariat.linear %h, @k : !a:8 to !a:4
  %v = lariat.linear %h, @v : !a:8 to !a:4
  lariat.append @kv[0] %k, %v at %a : !a:4
  %o = lariat.attend @kv[0] %h at %a heads(2) mask(<causal>) : !a:8
  %sum = arith.addf %h, %o : !a:8
  %next = math.tanh %sum : !a:8
  %d = lariat.depth_of %a : !a
  %l = lariat.take %limit of %all at %a : !all:index at !a
  %stop = arith.cmpi eq, %d, %l : !a:index
  lariat.next keep %a : !a carry(%next : !a:8) stop(%stop)
}} {fill}
"""
    declarations = CACHE.format(layers=1, heads=1, width=4, depths=LOOPS, type="f32", policy=policy.text)
    return Program(body, 8, dict(weights), declarations, LOOPS, "%steps", exit=True)


def run_policy(policy: Policy, ids: Ids, weights: dict[str, Array]) -> tuple[Array, list[tuple[int, int]]]:
    """Final rows, and (computed, filled) entries per slot."""
    count, limits = len(ids), [id % 3 for id in ids]
    running = weights["x"][ids].astype(np.float64)
    final = running.copy()
    cache: list[dict[int, tuple[Array, Array]]] = [{} for _ in range(count)]
    computed, filled = [0] * LOOPS, [0] * LOOPS
    for depth in range(LOOPS):
        stopped = [t for t in range(count) if limits[t] < depth]
        active = range(count) if policy.runs_on else [t for t in range(count) if t not in stopped]
        for t in [*(stopped if policy.fills else []), *active]:
            if policy.writes(depth):
                cache[t][depth] = (weights["k"] @ running[t], weights["v"] @ running[t])
                counts = computed if t in active else filled
                counts[depth] += 1
        new = running.copy()
        for t in active:
            entries = [
                (u, *cache[u][slot]) for u in range(count) for slot in policy.finds(depth, sorted(cache[u]))
            ]  # fmt: skip
            new[t] = np.tanh(running[t] + STEP_RULE.mix(running[t], t, entries))
            if depth <= limits[t]:
                final[t] = new[t]
        running = new
    return final, list(zip(computed, filled, strict=True))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_kv_policy(rng: Generator, policy: Policy) -> None:
    weights = {"x": table(rng, 8), "k": normal(rng, 4, 8) * 3, "v": normal(rng, 4, 8) * 2}
    batch = ragged(rng, (9, 1, 14))
    options: dict[str, Any] = {"missing": policy.request} if policy.request else {}
    with open_text(policy_program(policy, weights).text()) as opened:
        found = opened.score(batch, **options)
        for chunk in (1, 4):
            again = opened.score(batch, chunk=chunk, **options)
            assert all(a.same_bits(b) and a.slots == b.slots for a, b in zip(found, again, strict=True))
    expected = [run_policy(policy, ids, weights) for ids in batch]
    assert_near([Outcome(one.logits[:, :8], one.steps, {}) for one in found], [rows for rows, _ in expected])
    assert [one.steps for one in found] == [[id % 3 + 1 for id in ids] for ids in batch]
    # A policy may have fewer slots than depths, and more than it uses.
    for one, (_, slots) in zip(found, expected, strict=True):
        (layer,) = one.slots["kv"]
        assert layer[:LOOPS] == slots[: len(layer)]
        assert all(entries == (0, 0) for entries in [*layer[LOOPS:], *slots[len(layer) :]])


def test_last_policy_runs_where_there_is_one_depth(rng: Generator) -> None:
    x, batch, rule = table(rng, 4), ragged(rng), Rule(heads=1, kv_heads=1)
    declarations = CACHE.format(
        layers=1, heads=1, width=4, depths=1, type="f32", policy="#lariat.last<order = sequential>"
    )
    body = f"""{embed(4)}
lariat.append @kv[0] %x, %x at %all : !all:4
%y = lariat.attend @kv[0] %x at %all heads(1) mask(<causal>) : !all:4
"""
    expected = []
    for ids in batch:
        entries = [(position, x[id], x[id]) for position, id in enumerate(ids)]
        expected.append(np.array([rule.mix(x[id], position, entries) for position, id in enumerate(ids)]))
    assert_near(execute(Program(body, 4, {"x": x}, declarations), batch), expected)


# State.


@pytest.mark.parametrize("chunk", [None, 1, 3])
@pytest.mark.parametrize("op", ["shift", "scan"])
def test_state_goes_on_over_calls(rng: Generator, op: str, chunk: int | None) -> None:
    x, z, batch = table(rng, 4), table(rng, 4), ragged(rng)
    operands = "%x" if op == "shift" else "%x, %z"
    body = f"{embed(4)}{embed(4, 'z')}%y = lariat.{op} @s[1] {operands} at %all : !all:4\n"
    found = execute(
        Program(body, 4, {"x": x, "z": z}, "lariat.state @s layers(2) width(4) : f32\n"), batch, chunk=chunk
    )
    expected = []
    for ids in batch:
        state, rows = np.zeros(4), []
        for id in ids:
            before, state = state, (x[id] if op == "shift" else x[id].astype(np.float64) * state + z[id])
            rows.append(before if op == "shift" else state)
        expected.append(np.array(rows))
    assert_near(found, expected, 0 if op == "shift" else 1e-5)


@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize("op", ["shift", "scan"])
def test_state_of_each_depth_is_that_of_the_rows_that_reach_it(rng: Generator, op: str, chunk: int | None) -> None:
    x, batch = table(rng, 4), ragged(rng, (11, 1, 6))
    operands = "%h" if op == "shift" else "%half, %h"
    body = f"""{embed(4)}{remainder(4, "max")}
%y, %steps = lariat.recur max(%max : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:4) {{
{full("%half", 0.5, "4xf32", "a")}
  %o = lariat.{op} @s[0] {operands} at %a : !a:4
  %sum = arith.addf %h, %o : !a:4
  %next = arith.mulf %sum, %half : !a:4
  lariat.next keep %a : !a carry(%next : !a:4)
}}
"""
    program = Program(body, 4, {"x": x}, "lariat.state @s layers(1) width(4) : f32\n", 3, "%steps")
    expected = []
    for ids in batch:
        h = x[ids].astype(np.float64)
        for depth in range(3):
            state = np.zeros(4)
            for t, id in enumerate(ids):
                if id % 4 > depth:
                    before, state = state, (h[t].copy() if op == "shift" else 0.5 * state + h[t])
                    h[t] = (h[t] + (before if op == "shift" else state)) / 2
        expected.append(h)
    assert_near(execute(program, batch, chunk=chunk), expected)


@pytest.mark.parametrize("stops", ["stop bits", "not kept"])
def test_fill_runs_for_stopped_rows_at_each_depth_they_did_not_reach(rng: Generator, stops: str) -> None:
    """Each row writes depths 0 to id mod 3 itself; the last row reads what the fill region wrote deeper."""
    x, batch, rule = table(rng, 4), ragged(rng, (7, 1, 10)), Rule(heads=1, kv_heads=1)
    declarations = CACHE.format(
        layers=1, heads=1, width=4, depths=4, type="f32", policy="#lariat.own<missing = propagate>"
    )
    end = {
        "stop bits": "lariat.next keep %a : !a carry(%next : !a:4) stop(%done)",
        # A row that is not kept is active in the step that drops it, so the depth is written here.
        "not kept": """%goes = arith.cmpi ule, %d, %l : !a:index
  %k = lariat.select %a where %goes : !a to !k
  %nk = lariat.take %next of %a at %k : !a:4 at !k
  lariat.next keep %k : !k carry(%nk : !k:4)""",
    }[stops]
    body = f"""{embed(4)}{remainder(3, "limit")}
%final, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:4) {{
  lariat.append @kv[0] %h, %h at %a : !a:4
  %next = arith.addf %h, %h : !a:4
  %d = lariat.depth_of %a : !a
  %l = lariat.take %limit of %all at %a : !all:index at !a
  %done = arith.cmpi eq, %d, %l : !a:index
  {end}
}} fill(%s : !s, %f) {{
  %negative = arith.negf %f : !s:4
  lariat.append @kv[0] %negative, %negative at %s : !s:4
  lariat.end
}}
%three = arith.constant 3 : index
%y = lariat.attend @kv[0] %x at %all heads(1) mask(<causal>) slot(%three) : !all:4
"""
    found = execute(Program(body, 4, {"x": x}, declarations, 4, "%steps"), batch)
    expected, counts = [], []
    for ids in batch:
        # At depth 3 every row has stopped, at the latest in step 2; one that is not kept wrote one depth more.
        last = [id % 3 + (1 if stops == "not kept" else 0) for id in ids]
        finals = [x[id].astype(np.float64) * 2 ** (id % 3 + 1) for id in ids]
        entries = [(t, f, f) if last[t] == 3 else (t, -f, -f) for t, f in enumerate(finals)]
        expected.append(np.array([rule.mix(x[id], position, entries) for position, id in enumerate(ids)]))
        computed = [sum(depth <= one for one in last) for depth in range(4)]
        counts.append([[(one, len(ids) - one) for one in computed]])
    assert [one.steps for one in found] == [[id % 3 + 1 for id in ids] for ids in batch]
    assert [one.slots["kv"] for one in found] == counts
    assert_near(found, expected)
