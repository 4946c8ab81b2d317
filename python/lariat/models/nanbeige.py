# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Nanbeige4.2: Llama layers, looped, with the final norm after every loop step or after the last one.

Source: the modeling code released with Nanbeige4.2-3B. Its options beyond the loop are off in the released file.
"""

from __future__ import annotations

from lariat._checkpoint import Checkpoint
from lariat._config import BOOLEAN, NUMBERS, OPTIONAL_COUNT, Config, Size
from lariat._ir import attributes as attr
from lariat._ir.builder import Value
from lariat.exits import ignore_heads, pick
from lariat.models._exit import exit_loop
from lariat.models._layers import Place, llama_layer, read_layer_shape, store_all
from lariat.models._model import Model

_ANY = ("a value", lambda value: True)
_SWITCHES = (
    "qk_layernorm", "enable_double_loop_split", "loop_share_kv", "enable_hyper_connection", "enable_mhc",
    "enable_h_res_identity", "mhc_identity_nohresparam", "mhc_diff_for_loop", "enable_depth_attention",
    "ngram_insert_all_layers",
)  # fmt: skip
_ABSENT = (
    "emb_neighbor_num", "emb_split_num", "ngram_vocab_size_ratio", "insert_ngram_layer_idx",
    "mhc_double_stream_position_for_loop",
)  # fmt: skip
# Sizes that only mean something where a switch above is on.
_SIZES = (
    "loop_middle_layers", "loop_middle_repeats", "num_residual_streams", "depth_attention_stride", "kv_channels",
    "ngram_embedding_hidden_size",
)  # fmt: skip
_OTHER_KEYS = dict.fromkeys(_SIZES, OPTIONAL_COUNT)


def build(config: Config, checkpoint: Checkpoint, exit_rule: str | None = None) -> str:
    """IR text of a Nanbeige model."""
    # Config.
    model = Model(config, checkpoint)
    shape = read_layer_shape(config, eps=1e-5)
    vocab, context = config.size("vocab_size"), shape.context
    num_layers = config.layers("num_hidden_layers")
    max_depth = _read_max_depth(config)
    norm_last = config.flag("skip_loop_final_norm", False)
    tied = config.flag("tie_word_embeddings", False)
    for key in _SWITCHES:
        config.unsupported(key, BOOLEAN, [False])
    for key in _ABSENT:
        config.unsupported(key, _ANY, [None, []])
    summary = f"{num_layers} layers x {max_depth} loop steps"
    model.describe("nanbeige", "decoder", vocab, context, config.eos(), summary)
    config.finish(_OTHER_KEYS)
    model.attributes["lariat.loops"] = attr.loops(max_depth, 1, max_depth)
    rule = pick(exit_rule, [], max_depth) if exit_rule else None
    policy = attr.own("skip")
    if rule:
        model.attributes["lariat.exit"] = rule.declare()
        ignore_heads(model)
        policy = attr.own("copy_last", ["propagate"])
    heads = shape.attention
    cache = model.cache("kv", num_layers, heads.kv_heads, heads.head_dim, max_depth, policy)

    # Prelude.
    entry = model.begin(loops=True, threshold=rule is not None)
    x = model.embed(entry.ids, "model.embed_tokens", vocab, shape.width)

    # Core.
    def step(rows: Value, x: Value) -> Value:
        for layer in range(num_layers):
            x = llama_layer(model, x, f"model.layers.{layer}", shape, Place(cache, layer), model.project)
        return x if norm_last else model.norm(x, "model.norm", shape.eps)

    def fill(rows: Value, x: Value) -> None:
        store_all(model, x, num_layers, shape, cache, model.project)

    def readout(x: Value) -> Value:
        return model.head(model.norm(x, "model.norm", shape.eps) if norm_last else x, vocab, tied)

    x, steps = exit_loop(model, entry, rule, ("x", x), step, fill=fill, readout=readout)

    # Coda.
    return model.finish(logits=readout(model.wanted(x)), steps=steps)


def _read_max_depth(config: Config) -> Size:
    """`loop_loss_weights`, where it has any, overrules `num_loops`."""
    declared = config.layers("num_loops")
    weights = config.get("loop_loss_weights", NUMBERS, [])
    return Size(len(weights) + 1, "loop_loss_weights") if weights else declared
