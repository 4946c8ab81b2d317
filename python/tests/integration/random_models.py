# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small looped decoders drawn from a seed, with inline weights."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute
from lariat._ir.builder import F32, Builder, Region, Rows, RowTensor, Tensor, Value

_OWN: dict[str, tuple[str, ...]] = {"skip": (), "slot0": (), "copy_last": ("propagate",), "propagate": ("copy_last",)}
# Ends and policies go round, so that few seeds see all of them.
_ENDS = ("threshold", "router", "threshold", "top_k", "threshold", "bound")
_POLICIES = ("copy_last", "slot0", "propagate", "first", "latest", "union", "skip",
             "last", "ring", "first_then_shared", "scoped", "phased", "phased")  # fmt: skip


def _draw_policy(
    g: np.random.Generator, name: str, own: Sequence[str], end: str, loops: int
) -> tuple[str, tuple[str, ...]]:
    """The policy of the loop's cache, and the missing modes that a caller may pick."""
    order = "atomic" if end == "top_k" else str(g.choice(["atomic", "sequential"]))

    def write(name: str, scope: str = "") -> str:
        if name in own:
            return f"#lariat.own<missing = {name}{scope}>"
        if name == "last":
            return f"#lariat.last<order = {order}>"
        slots = f"<{g.integers(1, loops)}, order = {order}>" if name in ("ring", "first_then_shared") else ""
        return f"#lariat.{name}{slots}"

    if name == "phased":
        parts = g.choice([*own, "first", "latest", "union", "last", "ring", "first_then_shared"], 2, replace=False)
        scope = ", exit_scope = generated" if end == "threshold" and g.integers(2) else ""
        return f"#lariat.phased<prompt = {write(parts[0], scope)}, generated = {write(parts[1])}>", ()
    if name == "scoped":
        mode = str(g.choice(own))
        return write(mode, ", exit_scope = generated"), (mode, "compute") if end == "threshold" else ()
    if name not in own:
        return write(name), ()
    allowed = tuple(mode for mode in _OWN[name] if mode in own)
    more = f", allowed = [{', '.join(allowed)}]" if allowed else ""
    return write(name, more), (name, *allowed, "compute") if end == "threshold" else ()


@dataclass(frozen=True)
class RandomModel:
    """Layers around which rows loop.

    Attributes:
        end: what ends the loop of a row: `bound`, `threshold` (stop bits), `router` or `top_k` (rows not kept).
        policy: of the loop's cache.
        missing: modes a caller may pick.
        prelude: whether a layer with a cache of its own comes before the loop.
        injects: whether each step adds a projection of what came before the loop, which can be hoisted.
        indexed: whether norms choose their weight by depth.
        shifts: whether each step mixes in the row before.
        enters: whether only rows of odd ids enter the loop.
    """

    seed: int
    end: str
    policy: str
    missing: tuple[str, ...]
    layers: int
    heads: int
    kv_heads: int
    dim: int
    norm: ops.NormKind
    style: ops.RopeStyle
    prelude: bool
    injects: bool
    indexed: bool
    shifts: bool
    enters: bool
    loops: int
    vocab: int = 24

    @staticmethod
    def draw(seed: int) -> RandomModel:
        g = np.random.default_rng([11, seed])
        end, name = _ENDS[seed % len(_ENDS)], _POLICIES[seed % len(_POLICIES)]
        own = [mode for mode in _OWN if end in ("threshold", "bound") or mode != "propagate"]
        if (name in _OWN and name not in own) or (name == "scoped" and end in ("router", "top_k")):
            name = "skip"
        kv_heads = int(g.integers(1, 3))
        flips = [bool(flip) for flip in g.integers(0, 2, 5)]
        norms: tuple[ops.NormKind, ...] = ("rms", "layer", "l2")
        model = RandomModel(
            seed, end, "", (),
            layers=int(g.integers(1, 3)), heads=kv_heads * int(g.integers(1, 3)), kv_heads=kv_heads,
            dim=int(g.choice([4, 6])), norm=norms[g.integers(3)], style="interleaved" if g.integers(2) else "half",
            prelude=flips[0], injects=flips[1], indexed=flips[2], shifts=flips[3], enters=False,
            loops=int(g.integers(3, 6)),
        )  # fmt: skip
        policy, missing = _draw_policy(np.random.default_rng([18, seed]), name, own, end, model.loops)
        return replace(
            model, policy=policy, missing=missing, enters=flips[4] and not missing and "#lariat.own" not in policy
        )

    def with_loops(self, loops: int) -> RandomModel:
        return replace(self, loops=loops)

    @property
    def has_exit(self) -> bool:
        return self.end == "threshold"

    @property
    def has_top_k(self) -> bool:
        return self.end == "top_k"

    @property
    def order(self) -> str:
        """Of rows of the prompt."""
        prompt = self.policy.partition("generated = ")[0] if self.is_phased else self.policy
        return next((order for order in ("atomic", "sequential") if f"order = {order}" in prompt), "free")

    @property
    def is_phased(self) -> bool:
        """Whether generated rows differ from those of a prompt."""
        return "phased" in self.policy or "exit_scope" in self.policy

    def text(self) -> str:
        return _Writer(self).write()


class _Writer:
    """Writes `@forward` and what it needs."""

    def __init__(self, model: RandomModel) -> None:
        self.model = model
        self.width = model.heads * model.dim
        self.module, self.f = Builder(), Builder()
        self.declared: set[str] = set()

    # Weights.

    def weight(self, name: str, *shape: int, scale: float = 1.0, offset: float = 0.0, indexed: bool = False) -> str:
        """Values follow from the seed and the name."""
        if name not in self.declared:
            self.declared.add(name)
            depths = 3 if indexed else None
            full = (3, *shape) if indexed else shape
            g = np.random.default_rng([self.model.seed, zlib.crc32(name.encode())])
            data = offset + scale * g.standard_normal(full) / (np.sqrt(shape[-1]) if len(shape) > 1 else 1.0)
            value = f'dense<"0x{data.astype("<f4").tobytes().hex().upper()}"> : {Tensor(full)}'
            ops.weight(self.module, sym_name=name, type=Tensor(shape), depths=depths,
                       beyond="clamp" if indexed else None, value=Attribute(value))  # fmt: skip
        return name

    def linear(self, x: Value, name: str, width: int, scale: float = 1.0) -> Value:
        weight = self.weight(name, width, x.width, scale=scale)
        return ops.linear(self.f, x, weight=weight, result_type=x.rows.wide(width), name=name)

    def score(self, x: Value, name: str) -> Value:
        """One value per row, of either sign."""
        weight, bias = self.weight(name, x.width, scale=0.7), self.weight(f"{name}_bias", 1, scale=0.1)
        return ops.linear(self.f, x, weight=weight, bias=bias, result_type=x.rows.wide(), name=name)

    def norm(self, x: Value, name: str, by: Value | None = None) -> Value:
        weight = self.weight(name, x.width, scale=0.2, offset=1.0, indexed=by is not None)
        return ops.norm(self.f, x, kind=self.model.norm, weight=weight, eps=1e-5, by=by, name="n")

    # Layers.

    def keys_and_values(self, n: Value, name: str, cache: str, layer: int, rows: Value) -> None:
        model = self.model
        width = model.kv_heads * model.dim
        k, v = self.linear(n, f"{name}_k", width), self.linear(n, f"{name}_v", width)
        ops.append(self.f, self.rope(k, rows, model.kv_heads), v, rows, cache=cache, layer=layer)

    def rope(self, x: Value, rows: Value, heads: int) -> Value:
        return ops.rope(self.f, x, rows, heads=heads, theta=100.0, style=self.model.style)

    def layer(self, x: Value, name: str, cache: str, layer: int, rows: Value, by: Value | None) -> Value:
        f = self.f
        n = self.norm(x, f"{name}_norm", by)
        q = self.rope(self.linear(n, f"{name}_q", self.width), rows, self.model.heads)
        self.keys_and_values(n, name, cache, layer, rows)
        seen = ops.attend(f, q, rows, cache=cache, layer=layer, heads=self.model.heads, mask=attr.mask("causal"))
        x = math.add(f, x, self.linear(seen, f"{name}_o", self.width))
        inner = math.gelu_tanh(f, self.linear(self.norm(x, f"{name}_norm2", by), f"{name}_up", 2 * self.width))
        return math.add(f, x, self.linear(inner, f"{name}_down", self.width))

    # The loop.

    def block(self, x: Value, rows: Value, x0: Value) -> Value:
        """One step for the rows of `x`."""
        f, model = self.f, self.model
        if model.injects:
            x = math.add(f, x, self.linear(math.take(f, x0, rows, "before"), "inject", self.width, scale=0.5))
        if model.shifts:
            x = math.add(f, x, math.scaled(f, ops.shift(f, x, rows, state="shift", layer=0), 0.5))
        for layer in range(model.layers):
            x = self.layer(x, f"layer{layer}", "kv", layer, rows, rows if model.indexed else None)
        # Keeps routers and gates undecided for as many steps as there are.
        return self.norm(x, "loop_norm")

    def route(self, x: Value, rows: Value) -> tuple[Value, Value]:
        """The rows that go on, and their values."""
        f = self.f
        z = self.score(x, "router")
        label = f.label("kept")
        if self.model.end == "top_k":
            decode = f.region(("r", rows.type), ("first", z.rows.of("i1")), ("s", z.type))
            with decode:
                _, first, s = decode.arguments
                passed = math.compare(f, s, "oge", math.full(f, 0.0, s), "passed")
                ops.end(f, go=math.either(f, first, passed))
            kept = ops.top_k(f, z, rows, capacity=attr.capacity([3, 2, 1], 4), result_type=Rows(label), decode=decode)
        else:
            go = math.compare(f, z, "oge", math.full(f, -0.2, z), "go")
            kept = ops.select(f, rows, go, result_type=Rows(label), name="kept")
        return kept, math.take(f, x, kept, "x")

    def step(self, rows: Value, carried: Sequence[Value], x0: Value, threshold: Value | None) -> None:
        f = self.f
        if threshold is None:
            (x,) = carried
            if self.model.end in ("router", "top_k"):
                rows, x = self.route(x, rows)
            ops.next(f, rows, [self.block(x, rows, x0)])
            return
        x, left = carried
        x = self.block(x, rows, x0)
        stays = math.sigmoid(f, self.score(x, "gate"), "stays")
        left = math.multiply(f, left, math.add(f, stays, math.full(f, 0.25, stays)), "left")
        limit = math.take(f, threshold, rows, "limit")
        one = math.full(f, 1.0, limit, "one")
        stop = math.compare(f, math.subtract(f, one, left), "ogt", limit, "stop")
        ops.next(f, rows, [x, left], stop=stop)

    def fill(self, rows: Value, carried: Sequence[Value]) -> None:
        for layer in range(self.model.layers):
            n = self.norm(carried[0], f"layer{layer}_norm", rows if self.model.indexed else None)
            self.keys_and_values(n, f"layer{layer}", "kv", layer, rows)
        ops.end(self.f)

    def region(self, label: str, carried: Sequence[Value], write: Callable[[Value, Sequence[Value]], None]) -> Region:
        label = self.f.label(label)
        region = self.f.region((label, Rows(label)), *(("c", value.rows.at(label)) for value in carried))
        with region:
            rows, *values = region.arguments
            write(rows, values)
        return region

    def loop(self, over: Value, x: Value, loops: Value, threshold: Value | None) -> tuple[Value, Value]:
        f = self.f
        carried = [x] if threshold is None else [x, math.full(f, 1.0, threshold, "left")]
        body = self.region("active", carried, lambda rows, values: self.step(rows, values, x, threshold))
        fill = self.region("stopped", carried, self.fill) if "propagate" in self.model.policy else None
        x, *_, steps = ops.recur(f, loops, over, carried, finals_types=[value.type for value in carried],
                                 steps_type=RowTensor((), "i32", over.label), body=body, fill=fill)  # fmt: skip
        return x, steps

    # The function.

    def write(self) -> str:
        f, model = self.f, self.model
        columns = {"ids": "i32", "loops": "index", **({"threshold": "f32"} if model.has_exit else {})}
        inputs = [("rows", f.value("all", Rows("all")))]
        inputs += [(name, f.value(name, RowTensor((), element, "all"))) for name, element in columns.items()]
        named = dict(inputs)
        f.label("all")
        f.enter_rows(named["rows"])
        self.declare_memory()
        embedding = self.weight("embedding", model.vocab, self.width, scale=float(np.sqrt(self.width)))
        x = ops.embed(f, named["ids"], weight=embedding, result_type=RowTensor((self.width,), "f32", "all"), name="x")
        if model.prelude:
            x = self.layer(x, "prelude", "kv_prelude", 0, named["rows"], None)
        if model.enters:
            x, steps = self.loop_over_odd_ids(x, named)
        else:
            x, steps = self.loop(named["rows"], x, named["loops"], named.get("threshold"))
        logits = self.linear(self.norm(x, "final_norm"), "head", model.vocab, scale=2.0)
        wanted = ops.last(f, named["rows"], result_type=Rows(f.label("wanted")), name="wanted")
        logits = math.take(f, logits, wanted, "logits")
        return self.finish(inputs, {"logits": logits, "steps": steps})

    def declare_memory(self) -> None:
        model = self.model
        ops.cache(self.module, sym_name="kv", layers=model.layers, heads=model.kv_heads, dim=model.dim, type=F32,
                  policy=Attribute(model.policy), depths=model.loops)  # fmt: skip
        if model.prelude:
            ops.cache(self.module, sym_name="kv_prelude", layers=1, heads=model.kv_heads, dim=model.dim, type=F32,
                      policy=attr.own("skip"), depths=1)  # fmt: skip
        if model.shifts:
            ops.state(self.module, sym_name="shift", layers=1, width=self.width, type=F32)

    def loop_over_odd_ids(self, x: Value, named: dict[str, Value]) -> tuple[Value, Value]:
        f, rows = self.f, named["rows"]
        one = math.full(f, 1, named["ids"], "one")
        (bit,) = f.op("arith.andi", operands=[named["ids"], one], results=[("bit", one.type)])
        odd = math.compare(f, bit, "eq", one, "odd")
        entering = ops.select(f, rows, odd, result_type=Rows(f.label("entering")), name="entering")
        threshold = math.take(f, named["threshold"], entering, "t") if "threshold" in named else None
        loops = math.take(f, named["loops"], entering, "loops")
        y, steps = self.loop(entering, math.take(f, x, entering, "x"), loops, threshold)
        none = math.full(f, 0, named["ids"], "none")
        return ops.put(f, y, entering, x, rows), ops.put(f, steps, entering, none, rows)

    def finish(self, inputs: Sequence[tuple[str, Value]], outputs: dict[str, Value]) -> str:
        f, module, model = self.f, self.module, self.model
        f.op("func.return", operands=list(outputs.values()))
        body = module.region()
        body.arguments = tuple(value for _, value in inputs)
        body.lines = f.lines
        types = [", ".join(str(value.type) for value in group) for group in (dict(inputs).values(), outputs.values())]
        tags = [attr.dictionary({"lariat.input": attr.string(name)}) for name, _ in inputs]
        results = [attr.dictionary({"lariat.output": attr.string(name)}) for name in outputs]
        module.op(
            "func.func",
            attributes={
                "sym_name": attr.string("forward"),
                "function_type": attr.type(f"({types[0]}) -> ({types[1]})"),
                "arg_attrs": attr.array(tags),
                "res_attrs": attr.array(results),
            },
            regions=[body],
        )
        facts = {
            "lariat.model": attr.model("random", "decoder", model.vocab, 64, [], f"seed {model.seed}"),
            "lariat.loops": attr.loops(model.loops, model.loops, model.loops),
            **({"lariat.exit": attr.exit("test", 1.0, 0.0, 1.0)} if model.has_exit else {}),
        }
        lines = ['"builtin.module"() ({', *(f"  {line}" for line in module.lines)]
        return "\n".join([*lines, f"}}) {attr.dictionary(facts)} : () -> ()", ""])
