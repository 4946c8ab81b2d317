# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Relaxed recursive transformer: shared Llama layers, a low-rank pair per depth on every projection, margin exit.

Source: https://arxiv.org/abs/2410.20672.
"""

from __future__ import annotations

from lariat._checkpoint import Checkpoint
from lariat._config import NUMBERS, Config, one_of
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.builder import Value
from lariat.exits import ignore_heads, pick
from lariat.models._exit import exit_loop, exit_policy
from lariat.models._layers import Place, llama_layer, read_layer_shape, store_all
from lariat.models._model import Model


def build(config: Config, checkpoint: Checkpoint, exit_rule: str | None = None) -> str:
    """IR text of a relaxed recursive model."""
    # Config.
    model = Model(config, checkpoint)
    shape = read_layer_shape(config)
    vocab, context = config.size("vocab_size"), shape.context
    num_layers, max_depth = config.layers("num_shared_layers"), config.layers("num_loops")
    rank, alpha = config.size("lora_rank", smallest=0), config.number("lora_alpha")
    config.get("exit_rule", one_of("top2-margin"))
    policy = exit_policy(config)
    tied = config.flag("tie_word_embeddings")
    summary = f"{num_layers} layers x {max_depth} loop steps, LoRA rank {rank}"
    model.describe("rrt", "decoder", vocab, context, config.eos(), summary)
    config.finish({"exit_thresholds": NUMBERS})
    model.attributes["lariat.loops"] = attr.loops(max_depth, 1, max_depth)
    rule = pick(exit_rule, ["top2-margin"], max_depth)
    model.attributes["lariat.exit"] = rule.declare()
    ignore_heads(model)
    heads = shape.attention
    cache = model.cache("kv", num_layers, heads.kv_heads, heads.head_dim, max_depth, policy)
    f = model.f

    # Weight map: model.layers.J.PART.P.weight is shared, model.lora.R.J.P.A and .B are of depth R.
    def project(x: Value, name: str, width: int, as_: str) -> Value:
        _, _, layer, _, projection = name.split(".")
        weight = model.weight(f"{name}.weight", (width, x.width))
        if rank == 0:
            with f.part(name):
                return ops.linear(f, x, weight=weight, result_type=x.rows.wide(width), name=as_)
        a, b = (
            model.weight(
                f"model.lora.*.{layer}.{projection}.{factor}",
                sizes,
                symbol=f"lora.{layer}.{projection}.{factor}",
                stack=[f"model.lora.{depth}.{layer}.{projection}.{factor}" for depth in range(max_depth)],
            )
            for factor, sizes in (("A", (rank, x.width)), ("B", (width, rank)))
        )
        with f.part(name):
            return ops.linear(f, x, weight=weight, low_rank_a=a, low_rank_b=b, scale=alpha / rank,
                              by=f.rows_of(x), result_type=x.rows.wide(width), name=as_)  # fmt: skip

    # Prelude.
    entry = model.begin(loops=True, threshold=True)
    x = model.embed(entry.ids, "model.embed_tokens", vocab, shape.width)

    # Core.
    def step(rows: Value, x: Value) -> Value:
        for layer in range(num_layers):
            x = llama_layer(model, x, f"model.layers.{layer}", shape, Place(cache, layer), project)
        return x

    def fill(rows: Value, x: Value) -> None:
        store_all(model, x, num_layers, shape, cache, project)

    def readout(x: Value) -> Value:
        return model.head(model.norm(x, "model.norm", shape.eps), vocab, tied)

    x, steps = exit_loop(model, entry, rule, ("x", x), step, fill=fill, readout=readout)

    # Coda.
    return model.finish(logits=readout(model.wanted(x)), steps=steps)
