# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""config.json and stored tensors of the measured models, by family."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lariat.bench.shapes import Shape

__all__ = ["config_of", "tensors_of"]

Tensors = Iterator[tuple[str, tuple[int, ...]]]


def config_of(shape: Shape) -> dict[str, Any]:
    """config.json of a checkpoint."""
    common: dict[str, Any] = {
        "model_type": shape.family,
        "hidden_size": shape.width,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.inner,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.context,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    if shape.family == "albert":
        return common | {"embedding_size": shape.embedding, "num_hidden_layers": shape.loops}
    common |= {
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "rope_theta": 10000.0,
        "rms_norm_eps": 1e-5,
    }
    if shape.family == "nanbeige":
        return common | {
            "num_hidden_layers": shape.shared,
            "num_loops": shape.loops,
            "skip_loop_final_norm": True,
        }
    if shape.family == "ouro":
        return common | {
            "num_hidden_layers": shape.shared,
            "total_ut_steps": shape.loops,
            "early_exit_threshold": 0.7,
            "tie_word_embeddings": False,
        }
    if shape.family == "rrt":
        return common | {
            "num_shared_layers": shape.shared,
            "num_loops": shape.loops,
            "lora_rank": shape.rank,
            "lora_alpha": 2.0 * max(shape.rank, 1),
            "exit_rule": "top2-margin",
            "exit_kv_policy": "copy-last",
        }
    return common | {
        "num_shared_layers": shape.shared,
        "num_recursions": shape.loops,
        "sharing": "middle_cycle",
        "router_type": "expert",
        "router_func": "sigmoid",
        "router_alpha": 0.1,
        "capacity": ["1/1"] * shape.loops,
        "decode_threshold": 1e-30,
        "kv_policy": "recursion-wise",
    }


def tensors_of(shape: Shape) -> Tensors:
    """Names and shapes of the stored tensors."""
    if shape.family == "albert":
        yield from _albert(shape)
        return
    yield "model.embed_tokens.weight", (shape.vocab, shape.width)
    yield "model.norm.weight", (shape.width,)
    norms = ["input_layernorm", "post_attention_layernorm"]
    if shape.family == "ouro":
        norms += ["input_layernorm_2", "post_attention_layernorm_2"]
        yield "lm_head.weight", (shape.vocab, shape.width)
        yield "model.early_exit_gate.weight", (1, shape.width)
        yield "model.early_exit_gate.bias", (1,)
    for layer in range(shape.num_layers):
        prefix = f"model.layers.{layer}"
        for norm in norms:
            yield f"{prefix}.{norm}.weight", (shape.width,)
        for name, outputs, inputs in shape.projections():
            yield f"{prefix}.{name}.weight", (outputs, inputs)
            for depth in range(shape.loops if shape.rank else 0):
                pair = f"model.lora.{depth}.{layer}.{name.rpartition('.')[2]}"
                yield f"{pair}.A", (shape.rank, inputs)
                yield f"{pair}.B", (outputs, shape.rank)
    if shape.family == "mor":
        for depth in range(shape.loops):
            yield f"model.routers.{depth}.weight", (1, shape.width)


def _albert(shape: Shape) -> Tensors:
    table = "embeddings"
    yield f"{table}.word_embeddings.weight", (shape.vocab, shape.embedding)
    yield f"{table}.position_embeddings.weight", (shape.context, shape.embedding)
    yield f"{table}.token_type_embeddings.weight", (2, shape.embedding)
    yield f"{table}.LayerNorm.weight", (shape.embedding,)
    yield f"{table}.LayerNorm.bias", (shape.embedding,)
    linears = {"encoder.embedding_hidden_mapping_in": (shape.width, shape.embedding)}
    layer = "encoder.albert_layer_groups.0.albert_layers.0"
    for part in ("query", "key", "value", "dense"):
        linears[f"{layer}.attention.{part}"] = (shape.width, shape.width)
    linears[f"{layer}.ffn"] = (shape.inner, shape.width)
    linears[f"{layer}.ffn_output"] = (shape.width, shape.inner)
    for name, size in linears.items():
        yield f"{name}.weight", size
        yield f"{name}.bias", size[:1]
    for norm in (f"{layer}.attention.LayerNorm", f"{layer}.full_layer_layer_norm"):
        yield f"{norm}.weight", (shape.width,)
        yield f"{norm}.bias", (shape.width,)
