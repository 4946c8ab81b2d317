# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mixture-of-Recursions: private first and last layers, shared layers between them, a router that ends recursion.

Source: https://arxiv.org/abs/2507.10524 and its code. Expert choice keeps the rows with the largest scores at each
depth; token choice gives each row its depth before the loop. With x the rows that a router sees, Y those that come out
of the shared layers and H the rows that went into the loop step (for token choice: into the loop):

    z = router(x / router_temperature)        g = router_alpha * router_func(z)
    expert choice: H + g Y at each depth      token choice: H + g Y once, with g of the depth that was chosen

Keys of config.json besides those of Llama and the sizes (defaults in parentheses):

    router_type         expert, token
    router_arch         linear (), mlp, wide_mlp: D -> 2D -> GELU -> out, in the code the same; the name is ours
    router_func         expert choice: sigmoid (), tanh, identity; token choice: softmax, sigmoid, tanh, identity
    router_alpha        above 0
    router_temperature  above 0 (1)
    gating              weighted (), or additive: g is 1
    kv_policy           recursion-wise, recursive-sharing, hybrid
    capacity            expert choice: a share "n/d" per depth ((R - d) / R)
    decode_threshold    expert choice, when generating: a row of depth > 0 passes where router_func(z) is at least that
                        (sigmoid 0.5, tanh 0; identity has no rule without it, and then the model only scores)
    loss_free_bias      token choice: model.router_bias is added to g for the choice of the depth, not for the weight

Tensors, of expert choice with R for the depth: model.routers.R, of token choice model.router, each followed by
`.weight`, or by `.0.weight` and `.2.weight` of an MLP. An auxiliary router model.aux_routers.R.weight (a name of ours),
where it is stored, decides in place of z when generating: sigmoid(aux) is at least decode_threshold (0.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lariat._checkpoint import Checkpoint
from lariat._config import BOOLEAN, Config, Size, list_of, one_of
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute
from lariat._ir.builder import RowTensor, Tensor, Value
from lariat.models._exit import loop
from lariat.models._layers import Place, llama_layer, own_cache, read_layer_shape
from lariat.models._model import Entry, Model
from lariat.models._routers import FUNCTIONS, KINDS, Rule, capacity_of, is_share, keep, score

_POLICIES = {"recursion-wise": attr.own("skip"), "recursive-sharing": attr.first(), "hybrid": attr.own("slot0")}
_AUXILIARY = "model.aux_routers.*"

Block = Callable[[Value], Value]


def build(config: Config, checkpoint: Checkpoint) -> str:
    """IR text of a Mixture-of-Recursions model."""
    # Config.
    model = Model(config, checkpoint)
    shape = read_layer_shape(config)
    vocab, context = config.size("vocab_size"), shape.context
    num_shared, max_depth = config.layers("num_shared_layers"), config.layers("num_recursions")
    config.get("sharing", one_of("middle_cycle"), "middle_cycle")
    router = config.choice("router_type", ["expert", "token"])
    policy = _POLICIES[config.choice("kv_policy", list(_POLICIES))]
    tied = config.flag("tie_word_embeddings")
    rule: _ExpertChoice | _TokenChoice
    rule = _ExpertChoice(model, max_depth) if router == "expert" else _TokenChoice(model, max_depth)
    summary = f"1 + {num_shared} layers x {max_depth} recursions + 1, {router} choice"
    model.describe("mor", "decoder", vocab, context, config.eos(), summary)
    config.finish()
    model.attributes["lariat.loops"] = attr.loops(max_depth, max_depth, max_depth)
    heads = shape.attention
    first, last = own_cache(model, "kv_first", 1, heads), own_cache(model, "kv_last", 1, heads)
    shared = model.cache("kv", num_shared, heads.kv_heads, heads.head_dim, max_depth, policy)

    # Prelude.
    entry = model.begin(loops=True, capacity=max_depth if router == "expert" else None)
    x = model.embed(entry.ids, "model.embed_tokens", vocab, shape.width)
    x = llama_layer(model, x, "model.layers.0", shape, Place(first, 0), model.project)

    # Core.
    def block(x: Value) -> Value:
        for layer in range(num_shared):
            x = llama_layer(model, x, f"model.layers.{layer + 1}", shape, Place(shared, layer), model.project)
        return x

    x, steps = rule.loop(entry, x, block)

    # Coda.
    x = llama_layer(model, x, f"model.layers.{num_shared + 1}", shape, Place(last, 0), model.project)
    x = model.norm(model.wanted(x), "model.norm", shape.eps)
    return model.finish(logits=model.head(x, vocab, tied), steps=steps)


class _Choice:
    """What both kinds of routers have."""

    def __init__(self, model: Model, max_depth: Size) -> None:
        config = model.config
        self.model = model
        self.max_depth = max_depth
        self.kind = config.choice("router_arch", KINDS, "linear")
        self.alpha = config.number("router_alpha")
        self.temperature = config.number("router_temperature", 1.0)
        self.weighted = config.choice("gating", ["weighted", "additive"], "weighted") == "weighted"

    def cooled(self, x: Value) -> Value:
        if self.temperature == 1.0:
            return x
        with self.model.f.part("router_temperature"):
            return math.scaled(self.model.f, x, 1 / self.temperature, "cooled")

    def gated(self, x: Value, gate: Value, y: Value, name: str) -> Value:
        """x + gate * y, or x + y."""
        f = self.model.f
        if self.weighted:
            y = math.multiply(f, math.widen(f, gate, y.width, "gate"), y, "update")
        return math.add(f, x, y, name)


class _ExpertChoice(_Choice):
    """At each depth the rows with the largest scores go on, and their update is weighted by the score."""

    def __init__(self, model: Model, max_depth: Size) -> None:
        super().__init__(model, max_depth)
        config = model.config
        config.unsupported("loss_free_bias", BOOLEAN, [False])
        self.function = FUNCTIONS[config.choice("router_func", list(FUNCTIONS), "sigmoid")]
        self.auxiliary = model.has(f"{_AUXILIARY}.weight".replace("*", "0"))
        self.limit = (FUNCTIONS["sigmoid"] if self.auxiliary else self.function).read_rule(config)
        self.capacity = _read_capacity(config, max_depth)

    def loop(self, entry: Entry, x: Value, block: Block) -> tuple[Value, Value]:
        model, f = self.model, self.model.f

        def step(rows: Value, carried: Sequence[Value]) -> tuple[Value, Sequence[Value], None]:
            seen = self.cooled(carried[0])
            z = score(model, seen, self.kind, "model.routers.*", symbol="router", depths=self.max_depth, by=rows)
            with f.part("model.routers"):
                kept = keep(model, entry, z, rows, self.capacity, self._rule(seen))
                x = math.take(f, carried[0], kept, "x")
            y = block(x)
            with f.part("model.routers"):
                z = math.take(f, z, kept, "z")
                gate = math.scaled(f, self.function.apply(model, z), self.alpha, "gate")
                return kept, [self.gated(x, gate, y, "x")], None

        (x,), steps = loop(model, entry, [("x", x)], step)
        return x, steps

    def _rule(self, x: Value) -> Rule | None:
        """Each row alone, by a score; at depth 0 every row goes on."""
        if self.limit is None:
            return None

        def auxiliary(rows: Value) -> Value:
            return score(self.model, x, "linear", _AUXILIARY, symbol="aux_router", depths=self.max_depth, by=rows)

        return Rule(self.limit, auxiliary if self.auxiliary else None, passes_at_start=True)


class _TokenChoice(_Choice):
    """A row's depth is chosen before the loop; its update is weighted once, where it stops."""

    def __init__(self, model: Model, max_depth: Size) -> None:
        super().__init__(model, max_depth)
        self.function = model.config.choice("router_func", ["softmax", *FUNCTIONS])
        self.biased = model.config.flag("loss_free_bias", False)

    def loop(self, entry: Entry, x: Value, block: Block) -> tuple[Value, Value]:
        model, f = self.model, self.model.f
        scores = score(model, self.cooled(x), self.kind, "model.router", symbol="router", columns=self.max_depth)
        with f.part("model.router"):
            apply = FUNCTIONS[self.function].apply if self.function in FUNCTIONS else _softmax
            shares = math.scaled(f, apply(model, scores), self.alpha, "shares")
            chosen = self._chosen(shares)
            weight = self._weight(shares, chosen)

        def step(rows: Value, carried: Sequence[Value]) -> tuple[Value, Sequence[Value], Value]:
            y = block(carried[0])
            with f.part("model.router"):
                gate = math.take(f, weight, rows, "weight")
                out = self.gated(math.take(f, x, rows, "entered"), gate, y, "out")
                depth = ops.depth_of(f, rows, result_type=RowTensor((), "index", rows.label), name="depth")
                last = math.take(f, chosen, rows, "last")
                return rows, [y, out], math.compare(f, last, "sle", math.cast_to_i32(f, depth, "depth"), "stop")

        (_, out), steps = loop(model, entry, [("x", x), ("out", x)], step)
        return out, steps

    def _chosen(self, shares: Value) -> Value:
        """The depth with the largest share; a load-balancing bias steers the choice only."""
        model, f = self.model, self.model.f
        if self.biased or model.has("model.router_bias"):
            name = model.weight("model.router_bias", (self.max_depth,))
            bias = ops.value_of(f, weight=name, result_type=Tensor((int(self.max_depth),)), name="bias")
            shares = math.add(f, shares, ops.spread(f, bias, f.rows_of(shares), result_type=shares.type, name="bias"))
        return ops.argmax(f, shares, result_type=shares.rows.wide().of("i32"), name="last")

    def _weight(self, shares: Value, chosen: Value) -> Value:
        """The share of the chosen depth."""
        f = self.model.f
        type = shares.rows.of("i32")
        columns = ops.spread(
            f, math.column_numbers(f, shares.width), f.rows_of(shares), result_type=type, name="columns"
        )
        here = math.compare(f, columns, "eq", math.widen(f, chosen, shares.width, "last"), "here")
        picked = math.choose(f, here, shares, math.full(f, 0.0, shares, "zero"), "picked")
        return math.reduce(f, picked, "sum", "weight")


def _softmax(model: Model, scores: Value) -> Value:
    return math.softmax(model.f, scores, "shares")


def _read_capacity(config: Config, max_depth: Size) -> Attribute:
    """Shares "n/d" of a sequence, one per recursion."""
    default = [f"{max_depth - depth}/{max_depth}" for depth in range(max_depth)]
    texts = config.get("capacity", ('a list of shares like "2/3"', list_of(is_share)), default)
    if len(texts) != max_depth:
        raise config.wrong("capacity", f"{max_depth} shares from {max_depth.key}")
    return capacity_of(config, "capacity", texts)
