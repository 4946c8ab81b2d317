# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Released looped models as shapes: config.json with their keys and sizes, and the tensors that their files hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["RELEASED", "ReleasedShape"]

Tensors = Iterator[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class ReleasedShape:
    """A released model without its weights.

    Attributes:
        config: config.json.
        loops_key: key of the number of loop steps.
        list_tensors: names and shapes of the stored tensors, by config.
    """

    name: str
    config: Mapping[str, Any]
    loops_key: str
    list_tensors: Callable[[Mapping[str, Any]], Tensors]

    def with_loops(self, loops: int) -> ReleasedShape:
        return replace(self, config={**self.config, self.loops_key: loops})

    def tensors(self) -> Tensors:
        return self.list_tensors(self.config)

    @property
    def num_weights(self) -> int:
        return sum(math.prod(size) for _, size in self.tensors())

    def std(self, name: str, size: tuple[int, ...]) -> tuple[float, float]:
        """Mean and deviation of a tensor's values: rows keep their size through projections, logits are near 1."""
        if name.endswith(("bias", "z_L_init")):
            return 0.0, 0.02 if name.endswith("bias") else 1.0
        if len(size) == 1:
            return 1.0, 0.1
        if name.endswith(("embed_tokens.weight", "wte.weight")):
            return 0.0, 1 / math.sqrt(size[1]) if self.ties_embeddings else 0.02
        return 0.0, 1 / math.sqrt(size[1])

    @property
    def ties_embeddings(self) -> bool:
        return bool(self.config.get("tie_word_embeddings", self.config.get("tie_embeddings", False)))


def _llama(config: Mapping[str, Any]) -> Tensors:
    """Llama's names; Ouro has two more norms in a layer, and a gate."""
    width, inner, dim = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, entry = config["num_attention_heads"] * dim, config["num_key_value_heads"] * dim
    norms = ["input_layernorm", "post_attention_layernorm"]
    yield "model.embed_tokens.weight", (config["vocab_size"], width)
    if config["model_type"] == "ouro":
        norms += ["input_layernorm_2", "post_attention_layernorm_2"]
        yield "model.early_exit_gate.weight", (1, width)
        yield "model.early_exit_gate.bias", (1,)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        yield f"{prefix}.self_attn.q_proj.weight", (query, width)
        yield f"{prefix}.self_attn.k_proj.weight", (entry, width)
        yield f"{prefix}.self_attn.v_proj.weight", (entry, width)
        yield f"{prefix}.self_attn.o_proj.weight", (width, query)
        yield f"{prefix}.mlp.gate_proj.weight", (inner, width)
        yield f"{prefix}.mlp.up_proj.weight", (inner, width)
        yield f"{prefix}.mlp.down_proj.weight", (width, inner)
        for norm in norms:
            yield f"{prefix}.{norm}.weight", (width,)
    yield "model.norm.weight", (width,)
    yield "lm_head.weight", (config["vocab_size"], width)


def _hrm_text(config: Mapping[str, Any]) -> Tensors:
    """Two stacks with fused projections and no norm weights."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    query = config["num_attention_heads"] * config["head_dim"]
    yield "model.embed_tokens.weight", (config["vocab_size"], width)
    yield "model.z_L_init", (width,)
    for stack in "LH":
        for layer in range(config["num_layers_per_stack"]):
            prefix = f"model.{stack}_module.layers.{layer}"
            yield f"{prefix}.attn.gqkv_proj.weight", (4 * query, width)
            yield f"{prefix}.attn.o_proj.weight", (width, query)
            yield f"{prefix}.mlp.gate_up_proj.weight", (2 * inner, width)
            yield f"{prefix}.mlp.down_proj.weight", (width, inner)
    yield "lm_head.weight", (config["vocab_size"], width)


def _huginn(config: Mapping[str, Any]) -> Tensors:
    """Prelude, core and coda with fused projections; the head is the embedding."""
    width, inner, heads = config["n_embd"], config["intermediate_size"], config["n_heads"]
    yield "transformer.wte.weight", (config["padded_vocab_size"], width)
    stacks = {"prelude": "n_layers_in_prelude", "core_block": "n_layers_in_recurrent_block", "coda": "n_layers_in_coda"}
    for stack, key in stacks.items():
        for layer in range(config[key]):
            prefix = f"transformer.{stack}.{layer}"
            for norm in range(1, 5):
                yield f"{prefix}.norm_{norm}.weight", (width,)
            yield f"{prefix}.attn.Wqkv.weight", (3 * width, width)
            yield f"{prefix}.attn.qk_bias", (2, 1, heads, width // heads)
            yield f"{prefix}.attn.proj.weight", (width, width)
            yield f"{prefix}.mlp.fc.weight", (2 * inner, width)
            yield f"{prefix}.mlp.proj.weight", (width, inner)
    yield "transformer.adapter.weight", (width, 2 * width)
    yield "transformer.ln_f.weight", (width,)


def _ouro(name: str, layers: int) -> ReleasedShape:
    config = {
        "model_type": "ouro", "hidden_size": 2048, "intermediate_size": 5632, "num_attention_heads": 16,
        "num_key_value_heads": 16, "head_dim": 128, "num_hidden_layers": layers, "vocab_size": 49152,
        "total_ut_steps": 4, "early_exit_threshold": 1.0, "max_position_embeddings": 65536, "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0, "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    return ReleasedShape(name, config, "total_ut_steps", _llama)


RELEASED = {
    shape.name: shape
    for shape in (
        _ouro("ouro-1.4b", 24),
        _ouro("ouro-2.6b", 48),
        ReleasedShape(
            "nanbeige-3b",
            {
                "model_type": "nanbeige", "hidden_size": 3072, "intermediate_size": 10752, "num_attention_heads": 48,
                "num_key_value_heads": 8, "head_dim": 128, "num_hidden_layers": 22, "vocab_size": 166144,
                "num_loops": 2, "skip_loop_final_norm": False, "max_position_embeddings": 262144,
                "rms_norm_eps": 1e-5, "rope_theta": 70000000.0, "hidden_act": "silu", "tie_word_embeddings": False,
                "torch_dtype": "bfloat16", "bos_token_id": 166100, "eos_token_id": 166101,
            },
            "num_loops",
            _llama,
        ),
        ReleasedShape(
            "hrm-text-1b",
            {
                "model_type": "hrm_text", "hidden_size": 1536, "intermediate_size": 4096, "num_attention_heads": 12,
                "num_key_value_heads": 12, "head_dim": 128, "num_layers_per_stack": 16, "num_hidden_layers": 128,
                "vocab_size": 151808, "H_cycles": 2, "L_cycles": 3, "embedding_scale": 50.0, "prefix_lm": True,
                "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu",
                "tie_word_embeddings": False, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2,
            },
            "H_cycles",
            _hrm_text,
        ),
        ReleasedShape(
            "huginn-3.5b",
            {
                "model_type": "huginn_raven", "n_embd": 5280, "n_heads": 55, "intermediate_size": 17920,
                "vocab_size": 65536, "padded_vocab_size": 65536, "block_size": 4096, "n_layers_in_prelude": 2,
                "n_layers_in_recurrent_block": 4, "n_layers_in_coda": 2, "mean_recurrence": 32, "rope_base": 50000.0,
                "norm_eps": 1e-6, "qk_bias": True, "tie_embeddings": True, "injection_type": "linear",
                "torch_dtype": "bfloat16", "bos_token_id": 65504, "eos_token_id": 65505,
            },
            "mean_recurrence",
            _huginn,
        ),
    )
}  # fmt: skip
"""By name. Sizes are those of ByteDance's Ouro, Nanbeige4.2-3B, HRM-Text-1B and Huginn-0125."""
