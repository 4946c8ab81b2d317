# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mixture-of-Recursions: private first and last layers, shared layers between them, a router that ends recursion.

Source: https://arxiv.org/abs/2507.10524. Expert choice keeps the rows with the largest scores at each depth; token
choice gives each row its depth before the loop.
"""

from __future__ import annotations

import math as numbers
import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from lariat._checkpoint import Checkpoint
from lariat._config import Config, Size, is_number, one_of
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute
from lariat._ir.builder import Region, Rows, RowTensor, Tensor, Value
from lariat.models._exit import loop
from lariat.models._layers import Place, llama_layer, own_cache, read_layer_shape
from lariat.models._model import Entry, Model

_POLICIES = {"recursion-wise": attr.own("skip"), "recursive-sharing": attr.first(), "hybrid": attr.own("slot0")}

Block = Callable[[Value], Value]


def build(config: Config, checkpoint: Checkpoint) -> str:
    """IR text of a Mixture-of-Recursions model."""
    # Config.
    model = Model(config, checkpoint)
    shape = read_layer_shape(config)
    vocab, context = config.size("vocab_size"), config.size("max_position_embeddings")
    num_shared, max_depth = config.layers("num_shared_layers"), config.layers("num_recursions")
    config.get("sharing", one_of("middle_cycle"), "middle_cycle")
    router = config.choice("router_type", ["expert", "token"])
    policy = _POLICIES[config.choice("kv_policy", list(_POLICIES))]
    tied = config.flag("tie_word_embeddings")
    rule: _ExpertChoice | _TokenChoice
    rule = _ExpertChoice(config, max_depth) if router == "expert" else _TokenChoice(config, max_depth)
    summary = f"1 + {num_shared} layers x {max_depth} recursions + 1, {router} choice"
    model.describe("mor", "decoder", vocab, context, config.eos(), summary)
    config.finish()
    model.attributes["lariat.loops"] = attr.loops(max_depth, max_depth, max_depth)
    heads = shape.attention
    first, last = own_cache(model, "kv_first", 1, heads), own_cache(model, "kv_last", 1, heads)
    shared = model.cache("kv", num_shared, heads.kv_heads, heads.head_dim, max_depth, policy)

    # Prelude.
    entry = model.begin(loops=True)
    x = model.embed(entry.ids, "model.embed_tokens", vocab, shape.width)
    x = llama_layer(model, x, "model.layers.0", shape, Place(first, 0), model.project)

    # Core.
    def block(x: Value) -> Value:
        for layer in range(num_shared):
            x = llama_layer(model, x, f"model.layers.{layer + 1}", shape, Place(shared, layer), model.project)
        return x

    x, steps = rule.loop(model, entry, x, block)

    # Coda.
    x = llama_layer(model, x, f"model.layers.{num_shared + 1}", shape, Place(last, 0), model.project)
    x = model.norm(model.wanted(x), "model.norm", shape.eps)
    return model.finish(logits=model.head(x, vocab, tied), steps=steps)


class _ExpertChoice:
    """At each depth the rows with the largest scores go on, and their update is weighted by the score."""

    def __init__(self, config: Config, max_depth: Size) -> None:
        config.unsupported("router_func", ("a string", lambda v: isinstance(v, str)), ["sigmoid"])
        self.alpha = config.number("router_alpha")
        check = ("a number between 0 and 1", lambda value: is_number(value) and 0 < value < 1)
        passing = config.get("decode_threshold", check, 0.5)
        self.decode_score = numbers.log(passing / (1 - passing))
        self.capacity = _read_capacity(config, max_depth)
        self.max_depth = max_depth

    def loop(self, model: Model, entry: Entry, x: Value, block: Block) -> tuple[Value, Value]:
        f = model.f
        names = [f"model.routers.{depth}.weight" for depth in range(self.max_depth)]
        router = model.weight("model.routers", (x.width,), symbol="router", stored=(1, x.width), stack=names)

        def step(rows: Value, carried: Sequence[Value]) -> tuple[Value, Sequence[Value], None]:
            score = model.score(carried[0], router, by=rows)
            with f.part("model.routers"):
                kept = ops.top_k(f, score, rows, capacity=self.capacity, result_type=Rows(f.label("kept")),
                                 decode=self._decode(model, rows), name="kept")  # fmt: skip
                x = math.take(f, carried[0], kept, "x")
            y = block(x)
            with f.part("model.routers"):
                score = math.take(f, score, kept, "z")
                gate = math.scaled(f, math.sigmoid(f, score), self.alpha, "gate")
                update = math.multiply(f, math.widen(f, gate, x.width, "gate"), y, "update")
                return kept, [math.add(f, x, update, "x")], None

        (x,), steps = loop(model, entry, [("x", x)], step)
        return x, steps

    # Decode rule: each row alone, by its score; at depth 0 every row goes on.
    def _decode(self, model: Model, rows: Value) -> Region:
        f = model.f
        column = RowTensor((), "f32", rows.label)
        region = f.region(("rows", rows.type), ("first", column.of("i1")), ("z", column))
        with region:
            _, first, score = region.arguments
            passed = math.compare(f, score, "oge", math.full(f, self.decode_score, score, "limit"), "passed")
            ops.end(f, go=math.either(f, first, passed, "go"))
        return region


class _TokenChoice:
    """A row's depth is chosen before the loop; its update is weighted once, where it stops."""

    def __init__(self, config: Config, max_depth: Size) -> None:
        self.softmax = config.choice("router_func", ["softmax", "sigmoid"]) == "softmax"
        self.alpha = config.number("router_alpha")
        self.biased = config.flag("loss_free_bias", False)
        self.max_depth = max_depth

    def loop(self, model: Model, entry: Entry, x: Value, block: Block) -> tuple[Value, Value]:
        f = model.f
        scores = model.linear(x, "model.router", self.max_depth, as_="scores")
        with f.part("model.router"):
            shares = math.softmax(f, scores, "shares") if self.softmax else math.sigmoid(f, scores, "shares")
            shares = math.scaled(f, shares, self.alpha, "shares")
            chosen = self._chosen(model, shares)
            weight = self._weight(model, shares, chosen)

        def step(rows: Value, carried: Sequence[Value]) -> tuple[Value, Sequence[Value], Value]:
            y = block(carried[0])
            with f.part("model.router"):
                gate = math.widen(f, math.take(f, weight, rows, "weight"), y.width, "weight")
                out = math.add(f, math.take(f, x, rows, "entered"), math.multiply(f, gate, y, "update"), "out")
                depth = ops.depth_of(f, rows, result_type=RowTensor((), "index", rows.label), name="depth")
                last = math.take(f, chosen, rows, "last")
                return rows, [y, out], math.compare(f, last, "sle", math.cast_to_i32(f, depth, "depth"), "stop")

        (_, out), steps = loop(model, entry, [("x", x), ("out", x)], step)
        return out, steps

    def _chosen(self, model: Model, shares: Value) -> Value:
        """The depth with the largest share; a load-balancing bias steers the choice only."""
        f = model.f
        if self.biased or model.has("model.router_bias"):
            name = model.weight("model.router_bias", (self.max_depth,))
            bias = ops.value_of(f, weight=name, result_type=Tensor((int(self.max_depth),)), name="bias")
            shares = math.add(f, shares, ops.spread(f, bias, f.rows_of(shares), result_type=shares.type, name="bias"))
        return ops.argmax(f, shares, result_type=shares.rows.wide().of("i32"), name="last")

    def _weight(self, model: Model, shares: Value, chosen: Value) -> Value:
        """The share of the chosen depth."""
        f = model.f
        type = shares.rows.of("i32")
        columns = ops.spread(
            f, math.column_numbers(f, shares.width), f.rows_of(shares), result_type=type, name="columns"
        )
        here = math.compare(f, columns, "eq", math.widen(f, chosen, shares.width, "last"), "here")
        picked = math.choose(f, here, shares, math.full(f, 0.0, shares, "zero"), "picked")
        return math.reduce(f, picked, "sum", "weight")


def _read_capacity(config: Config, max_depth: Size) -> Attribute:
    """Shares "n/d" of a sequence, one per recursion."""

    def is_share(text: object) -> bool:
        parts = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text) if isinstance(text, str) else None
        return parts is not None and 0 < int(parts[1]) <= int(parts[2])

    default = [f"{max_depth - depth}/{max_depth}" for depth in range(max_depth)]
    check = ('a list of shares like "2/3"', lambda value: isinstance(value, list) and all(map(is_share, value)))
    texts = config.get("capacity", check, default)
    if len(texts) != max_depth:
        raise config.wrong("capacity", f"{max_depth} shares from {max_depth.key}")
    shares = [Fraction(text) for text in texts]
    denominator = numbers.lcm(*(share.denominator for share in shares))
    if denominator > 2**62:
        raise config.wrong("capacity", "shares with a small common denominator")
    return attr.capacity([int(share * denominator) for share in shares], denominator)
