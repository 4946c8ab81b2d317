# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names and shapes of the tensors the fixtures' checkpoints store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_Shape = tuple[int, ...]


def _llama_layer(config: dict[str, Any], prefix: str, norms: list[str]) -> Iterator[tuple[str, _Shape]]:
    hidden, inner, dim = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, entry = dim * config["num_attention_heads"], dim * config["num_key_value_heads"]
    for name, shape in (
        ("self_attn.q_proj", (query, hidden)),
        ("self_attn.k_proj", (entry, hidden)),
        ("self_attn.v_proj", (entry, hidden)),
        ("self_attn.o_proj", (hidden, query)),
        ("mlp.gate_proj", (inner, hidden)),
        ("mlp.up_proj", (inner, hidden)),
        ("mlp.down_proj", (hidden, inner)),
    ):
        yield f"{prefix}{name}.weight", shape
    for name in norms:
        yield f"{prefix}{name}.weight", (hidden,)


def _router(name: str, kind: str, hidden: int, columns: int) -> Iterator[tuple[str, _Shape]]:
    if kind == "linear":
        yield f"{name}.weight", (columns, hidden)
    else:
        yield f"{name}.0.weight", (2 * hidden, hidden)
        yield f"{name}.2.weight", (columns, 2 * hidden)


def _decoder_shapes(config: dict[str, Any]) -> Iterator[tuple[str, _Shape]]:
    hidden, vocab, family = config["hidden_size"], config["vocab_size"], config["family"]
    yield "model.embed_tokens.weight", (vocab, hidden)
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (vocab, hidden)
    norms = ["input_layernorm", "post_attention_layernorm"]
    if family == "huginn":
        yield "model.adapter.weight", (hidden, 2 * hidden)
        for name in ("prelude", "core", "coda"):
            for i in range(config[f"num_{name}_layers"]):
                norms = [f"norm_{n}" for n in (1, 2, 3, 4)]
                yield from _llama_layer(config, f"model.{name}.{i}.", norms)
        return
    num_layers = config.get("num_hidden_layers") or config["num_shared_layers"]
    if family == "ouro":
        yield "model.early_exit_gate.weight", (1, hidden)
        yield "model.early_exit_gate.bias", (1,)
        norms += ["input_layernorm_2", "post_attention_layernorm_2"]
    elif family == "mor":
        num_layers, max_depth = num_layers + 2, config["num_recursions"]
        kind = config.get("router_arch", "linear")
        if config["router_type"] == "token":
            yield from _router("model.router", kind, hidden, max_depth)
            if config["loss_free_bias"]:
                yield "model.router_bias", (max_depth,)
        else:
            for r in range(max_depth):
                yield from _router(f"model.routers.{r}", kind, hidden, 1)
    elif family == "mod":
        for i in config.get("mod_layers", range(1, num_layers, 2)):
            yield from _router(f"model.layers.{i}.mod_router", "linear", hidden, 1)
            if config.get("mod_predictor"):
                yield from _router(f"model.layers.{i}.mod_predictor", config["mod_predictor"], hidden, 1)
    for i in range(num_layers):
        layer = list(_llama_layer(config, f"model.layers.{i}.", norms))
        yield from layer
        for r in range(config["num_loops"] if family == "rrt" else 0):
            for name, shape in layer:
                if len(shape) == 2:
                    pair = f"model.lora.{r}.{i}.{name.split('.')[-2]}"
                    yield pair + ".A", (config["lora_rank"], shape[1])
                    yield pair + ".B", (shape[0], config["lora_rank"])


def _hrm_shapes(config: dict[str, Any]) -> Iterator[tuple[str, _Shape]]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    width = config["head_dim"] * config["num_attention_heads"]
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    yield "lm_head.weight", (config["vocab_size"], hidden)
    yield "model.z_L_init", (hidden,)
    for stack in ("L", "H"):
        for i in range(config["num_layers_per_stack"]):
            prefix = f"model.{stack}_module.layers.{i}."
            yield prefix + "attn.gqkv_proj.weight", (4 * width, hidden)
            yield prefix + "attn.o_proj.weight", (hidden, width)
            yield prefix + "mlp.gate_up_proj.weight", (2 * inner, hidden)
            yield prefix + "mlp.down_proj.weight", (hidden, inner)


def _albert_shapes(config: dict[str, Any]) -> Iterator[tuple[str, _Shape]]:
    hidden, narrow, inner = (config[k] for k in ("hidden_size", "embedding_size", "intermediate_size"))
    base = "albert.embeddings."
    yield base + "word_embeddings.weight", (config["vocab_size"], narrow)
    yield base + "position_embeddings.weight", (config["max_position_embeddings"], narrow)
    yield base + "token_type_embeddings.weight", (config["type_vocab_size"], narrow)
    linears = [("albert.encoder.embedding_hidden_mapping_in", (hidden, narrow))]
    linears.append(("predictions.dense", (narrow, hidden)))
    norms = [(base + "LayerNorm", narrow), ("predictions.LayerNorm", narrow)]
    yield "predictions.bias", (config["vocab_size"],)
    for g in range(config["num_hidden_groups"]):
        for j in range(config["inner_group_num"]):
            prefix = f"albert.encoder.albert_layer_groups.{g}.albert_layers.{j}."
            for name in ("query", "key", "value", "dense"):
                linears.append((f"{prefix}attention.{name}", (hidden, hidden)))
            linears += [(prefix + "ffn", (inner, hidden)), (prefix + "ffn_output", (hidden, inner))]
            norms.append((prefix + "attention.LayerNorm", hidden))
            norms.append((prefix + "full_layer_layer_norm", hidden))
    for name, shape in linears:
        yield name + ".weight", shape
        yield name + ".bias", shape[:1]
    for name, size in norms:
        yield name + ".weight", (size,)
        yield name + ".bias", (size,)


def tensor_shapes(config: dict[str, Any]) -> dict[str, _Shape]:
    """Every stored tensor of a checkpoint with this configuration."""
    makers = {"albert": _albert_shapes, "hrm_text": _hrm_shapes}
    return dict(makers.get(config["model_type"], _decoder_shapes)(config))
