# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The random-weight checkpoints make_checkpoints.py writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Spec:
    """A checkpoint: folder name, config.json, how the weights are stored, tensors that the config does not ask for."""

    name: str
    config: dict[str, Any]
    storage: Literal["single", "sharded", "bf16"] = "single"
    more_tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)


def decoder(family: str, hidden: int, heads: str, head_dim: int, **keys: Any) -> dict[str, Any]:
    """The part of config.json all decoder fixtures share; heads: "query/kv"."""
    num_heads, num_kv_heads = (int(n) for n in heads.split("/"))
    common = {
        "vocab_size": 272,
        "max_position_embeddings": 256,
        "rope_theta": 10000.0,
        "rms_norm_eps": 1e-5,
        "bos_token_id": 256,
        "eos_token_id": 257,
        "pad_token_id": 258,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "family": family,
        "model_type": family,
        "hidden_size": hidden,
        "num_attention_heads": num_heads,
        "num_key_value_heads": num_kv_heads,
        "head_dim": head_dim,
        "intermediate_size": 2 * hidden,
    }
    return {**common, **keys}


def mor(max_depth: int, num_shared: int, router: str, policy: str) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "router_type": router,
        "num_shared_layers": num_shared,
        "num_recursions": max_depth,
        "sharing": "middle_cycle",
        "router_func": "sigmoid",
        "router_alpha": 0.1,
        "kv_policy": policy,
    }
    if router == "expert":
        keys["decode_threshold"] = 0.5
        steps = range(max_depth, 0, -1)
        keys["capacity"] = [f"{step}/{max_depth}" for step in steps]
    else:
        keys["loss_free_bias"] = False
    return keys


def _exit(rule: str, thresholds: list[float], policy: str) -> dict[str, Any]:
    return {"exit_rule": rule, "exit_thresholds": thresholds, "exit_kv_policy": policy}


def _huginn(prelude: int, core: int, coda: int, mean: int, maximum: int) -> dict[str, Any]:
    return {
        "num_prelude_layers": prelude,
        "num_core_layers": core,
        "num_coda_layers": coda,
        "state_std": 0.4,
        "mean_recurrence": mean,
        "max_recurrence": maximum,
    }


_ALBERT = {
    "family": "albert",
    "model_type": "albert",
    "vocab_size": 264,
    "hidden_size": 48,
    "embedding_size": 20,
    "num_attention_heads": 3,
    "intermediate_size": 72,
    "num_hidden_layers": 4,
    "num_hidden_groups": 2,
    "inner_group_num": 2,
    "hidden_act": "gelu_new",
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout_prob": 0.0,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 258,
    "mask_token_id": 259,
    "torch_dtype": "float32",
    "tie_word_embeddings": True,
}

_HRM = {
    "architectures": ["HrmTextForCausalLM"],
    "model_type": "hrm_text",
    "vocab_size": 260,
    "hidden_size": 48,
    "intermediate_size": 56,
    "num_attention_heads": 3,
    "head_dim": 16,
    "H_cycles": 3,
    "L_cycles": 1,
    "L_bp_cycles": [1],
    "num_layers_per_stack": 1,
    "num_hidden_layers": 6,
    "embedding_scale": 9.5,
    "prefix_lm": True,
    "rope_parameters": {"rope_theta": 2000.0, "rope_type": "default"},
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 128,
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": None,
    "dtype": "float32",
    "tie_word_embeddings": False,
    "use_cache": True,
}

_HAZARD, _MARGIN, _CHANGE = "cumulative-hazard", "top2-margin", "latent-diff"

SPECS: tuple[Spec, ...] = (
    Spec(
        "mor-expert-hybrid",
        decoder("mor", 48, "4/2", 12, **mor(4, 3, "expert", "hybrid")) | {"router_alpha": 0.2},
    ),
    Spec(
        "mor-expert-sharing",
        decoder("mor", 40, "2/1", 16, rope_theta=500.0, **mor(2, 1, "expert", "recursive-sharing")),
    ),
    Spec(
        "mor-expert-bf16",
        decoder("mor", 32, "4/4", 8, **mor(3, 1, "expert", "recursion-wise"))
        | {
            "router_alpha": 0.35,
            "decode_threshold": 0.4,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
        },
        "bf16",
    ),
    Spec(
        "mor-token-sigmoid",
        decoder("mor", 48, "3/3", 16, **mor(4, 2, "token", "recursion-wise")) | {"router_alpha": 0.8},
    ),
    Spec(
        "ouro-propagate",
        decoder(
            "ouro",
            48,
            "4/4",
            12,
            tie_word_embeddings=False,
            num_hidden_layers=2,
            **{"num_loops": 6},
            **_exit(_HAZARD, [0.45, 0.8, 1.0], "propagate"),
        ),
    ),
    Spec(
        "ouro-one-loop",
        decoder(
            "ouro",
            32,
            "4/2",
            8,
            vocab_size=261,
            tie_word_embeddings=False,
            num_hidden_layers=2,
            **{"num_loops": 1},
            **_exit(_HAZARD, [0.5], "copy-last"),
        ),
    ),
    Spec(
        "ouro-sharded",
        decoder(
            "ouro",
            64,
            "4/1",
            16,
            num_hidden_layers=3,
            **{"num_loops": 3},
            rms_norm_eps=1e-3,
            **_exit(_HAZARD, [0.35, 0.6], "copy-last"),
        ),
        "sharded",
    ),
    Spec(
        "rrt-copy-last",
        decoder(
            "rrt",
            48,
            "6/3",
            8,
            num_shared_layers=3,
            **{"num_loops": 4},
            lora_rank=4,
            lora_alpha=12,
            **_exit(_MARGIN, [0.25, 0.55], "copy-last"),
        ),
    ),
    Spec(
        "rrt-propagate",
        decoder(
            "rrt",
            32,
            "2/2",
            20,
            vocab_size=300,
            num_shared_layers=1,
            **{"num_loops": 2},
            lora_rank=2,
            lora_alpha=1,
            **_exit(_MARGIN, [0.4], "propagate"),
        ),
    ),
    Spec(
        "huginn-propagate",
        decoder(
            "huginn",
            48,
            "4/4",
            12,
            embedding_scale=3.5,
            **_huginn(2, 1, 2, 3, 6),
            **_exit(_CHANGE, [0.6, 0.3], "propagate"),
        ),
    ),
    Spec(
        "huginn-copy-last",
        decoder(
            "huginn",
            32,
            "2/1",
            16,
            vocab_size=320,
            embedding_scale=5.656854249492381,
            **_huginn(1, 3, 1, 2, 5),
            **_exit(_CHANGE, [0.8, 0.55], "copy-last"),
        ),
    ),
    Spec(
        "nanbeige-loops",
        decoder("nanbeige", 48, "6/2", 8, num_hidden_layers=2, skip_loop_final_norm=True) | {"num_loops": 4},
    ),
    Spec("albert-groups", _ALBERT),
    Spec("hrm-h3-l1", _HRM),
    Spec(
        "mor-expert-auxiliary",
        decoder("mor", 32, "4/2", 8, **mor(3, 2, "expert", "recursion-wise"))
        | {"router_arch": "mlp", "router_func": "tanh", "router_alpha": 0.3},
        more_tensors={f"model.aux_routers.{depth}.weight": (1, 32) for depth in range(3)},
    ),
    Spec(
        "mor-token-bias",
        decoder("mor", 32, "2/2", 16, **mor(3, 1, "token", "hybrid"))
        | {"router_arch": "wide_mlp", "router_func": "softmax", "router_alpha": 1.0, "loss_free_bias": True},
    ),
    Spec("mod-every-other", decoder("mod", 32, "4/2", 8, num_hidden_layers=4, mod_capacity="1/2", mod_predictor="mlp")),
    Spec(
        "mod-linear-bf16",
        decoder(
            "mod", 48, "3/1", 16, num_hidden_layers=3, mod_layers=[0, 2], mod_capacity="2/5", mod_predictor="linear"
        )
        | {"tie_word_embeddings": False, "torch_dtype": "bfloat16"},
        "bf16",
    ),
    Spec("mod-score-only", decoder("mod", 32, "2/2", 16, num_hidden_layers=2, mod_layers=[0, 1])),
)
