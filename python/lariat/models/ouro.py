# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ouro: a stack of sandwich-norm layers, looped, with the final norm inside the loop and a hazard gate.

Source: ByteDance's Ouro, https://arxiv.org/abs/2510.25741. Reads the keys of the released files and of the fixtures.
"""

from __future__ import annotations

from lariat._checkpoint import Checkpoint
from lariat._config import COUNT, NUMBERS, OPTIONAL_COUNT, SHARE, Config, one_of
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir.builder import Value
from lariat.exits import ignore_heads, pick
from lariat.models._exit import exit_loop, exit_policy
from lariat.models._layers import LayerShape, Place, read_layer_shape, self_attention, store_all, swiglu
from lariat.models._model import Model

_OTHER_KEYS = {
    "chunk_size": COUNT,
    "exit_thresholds": NUMBERS,
}
_RULE = "cumulative-hazard"


def build(config: Config, checkpoint: Checkpoint, exit_rule: str | None = None) -> str:
    """IR text of an Ouro model."""
    # Config.
    model = Model(config, checkpoint)
    shape = read_layer_shape(config)
    vocab, context = config.size("vocab_size"), shape.context
    num_layers = config.layers("num_hidden_layers")
    max_depth = config.layers("total_ut_steps" if "total_ut_steps" in config else "num_loops")
    config.get("exit_rule", one_of(_RULE), _RULE)
    declared = config.get("early_exit_threshold", SHARE, None)
    config.unsupported("early_exit_step", OPTIONAL_COUNT, [None])
    policy = exit_policy(config, "copy-last")
    tied = config.flag("tie_word_embeddings", False)
    summary = f"{num_layers} layers x {max_depth} loop steps"
    model.describe("ouro", "decoder", vocab, context, config.eos(), summary)
    config.finish(_OTHER_KEYS)
    model.attributes["lariat.loops"] = attr.loops(max_depth, 1, max_depth)
    rule = pick(exit_rule, [_RULE], max_depth)
    model.attributes["lariat.exit"] = rule.declare(declared if rule.rule.name == _RULE else None)
    ignore_heads(model)
    heads = shape.attention
    cache = model.cache("kv", num_layers, heads.kv_heads, heads.head_dim, max_depth, policy)

    # Prelude.
    entry = model.begin(loops=True, threshold=True)
    x = model.embed(entry.ids, "model.embed_tokens", vocab, shape.width)

    # Core.
    def step(rows: Value, x: Value) -> Value:
        for layer in range(num_layers):
            x = _layer(model, x, f"model.layers.{layer}", shape, Place(cache, layer))
        return model.norm(x, "model.norm", shape.eps)

    def fill(rows: Value, x: Value) -> None:
        store_all(model, x, num_layers, shape, cache, model.project)

    def readout(x: Value) -> Value:
        return model.head(x, vocab, tied)

    x, steps = exit_loop(model, entry, rule, ("x", x), step, fill=fill, readout=readout)

    # Coda.
    return model.finish(logits=readout(model.wanted(x)), steps=steps)


def _layer(model: Model, x: Value, prefix: str, shape: LayerShape, place: Place) -> Value:
    """The second norm of each half acts on the branch, before the sum."""
    n = model.norm(x, f"{prefix}.input_layernorm", shape.eps)
    attended = self_attention(model, n, f"{prefix}.self_attn", shape, place, model.project)
    attended = model.norm(attended, f"{prefix}.input_layernorm_2", shape.eps)
    with model.f.part(prefix):
        y = math.add(model.f, x, attended, "x")
    n = model.norm(y, f"{prefix}.post_attention_layernorm", shape.eps)
    fed = swiglu(model, n, f"{prefix}.mlp", shape, model.project)
    fed = model.norm(fed, f"{prefix}.post_attention_layernorm_2", shape.eps)
    with model.f.part(prefix):
        return math.add(model.f, y, fed, "x")
