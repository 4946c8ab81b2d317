# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Llama: an ordinary transformer, which is a loop of one step.

Source: transformers' LlamaForCausalLM; all kinds of rotary scaling, optional biases, tied head.
"""

from __future__ import annotations

from collections.abc import Sequence

from lariat._checkpoint import Checkpoint
from lariat._config import OBJECT, Config, one_of
from lariat._ir import attributes as attr
from lariat._ir.builder import Value
from lariat.models._exit import loop
from lariat.models._layers import Place, llama_layer, read_layer_shape
from lariat.models._model import Model

# Written by some trainers into files of this family.
_OTHER_KEYS = {"is_llama_config": one_of(True), "rope_interleaved": one_of(False), "transformers.js_config": OBJECT}


def build(config: Config, checkpoint: Checkpoint) -> str:
    """IR text of a Llama model."""
    # Config.
    model = Model(config, checkpoint)
    shape = read_layer_shape(config, context=2048, may_have_bias=True)
    vocab, context = config.size("vocab_size"), shape.context
    num_layers = config.layers("num_hidden_layers")
    attention_bias, mlp_bias = config.flag("attention_bias", False), config.flag("mlp_bias", False)
    tied = config.flag("tie_word_embeddings", False)
    model.describe("llama", "decoder", vocab, context, config.eos(), f"{num_layers} layers x 1 loop step")
    config.finish(_OTHER_KEYS)
    model.attributes["lariat.loops"] = attr.loops(1, 1, 1)
    heads = shape.attention
    cache = model.cache("kv", num_layers, heads.kv_heads, heads.head_dim, 1, attr.own("skip"))

    # Weight map: as Llama, biases where the config has them.
    def project(x: Value, name: str, width: int, as_: str) -> Value:
        return model.linear(x, name, width, attention_bias if ".self_attn." in name else mlp_bias, as_)

    # Prelude.
    entry = model.begin(loops=True)
    x = model.embed(entry.ids, "model.embed_tokens", vocab, shape.width)

    # Core.
    def step(rows: Value, carried: Sequence[Value]) -> tuple[Value, Sequence[Value], None]:
        (x,) = carried
        for layer in range(num_layers):
            x = llama_layer(model, x, f"model.layers.{layer}", shape, Place(cache, layer), project)
        return rows, [x], None

    (x,), steps = loop(model, entry, [("x", x)], step)

    # Coda.
    x = model.norm(model.wanted(x), "model.norm", shape.eps)
    return model.finish(logits=model.head(x, vocab, tied), steps=steps)
