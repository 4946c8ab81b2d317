# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ouro and Nanbeige put together from transformers' Llama modules (families.md 13, O7 and O8).

Their own modelling code is not in transformers; the equations are those of families.md 3.1 and 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

Tensors = dict[str, np.ndarray[Any, Any]]
Written = tuple[dict[str, Any], Tensors, Tensors]


def fill(model: nn.Module) -> None:
    """Random values of useful size for every parameter, the all-zero ones included."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if parameter.dim() > 1:
                is_embedding = "embeddings" in name or "embed_tokens" in name
                parameter.copy_(noise * (0.5 if is_embedding else 1 / math.sqrt(parameter.shape[1])))
            elif name.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise)  # norms
            else:
                parameter.copy_(0.3 * noise)  # biases, z_L_init


def _llama(vocabulary: int, **keys: Any) -> Any:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, **keys}
    config = transformers.LlamaConfig(vocab_size=vocabulary, tie_word_embeddings=False, **sizes)
    model: Any = transformers.LlamaForCausalLM(config)
    model.eval()
    model.set_attn_implementation("eager")
    fill(model)
    return model


def _positions(model: Any, x: torch.Tensor) -> tuple[Any, torch.Tensor]:
    """((cos, sin), additive causal mask) for one sequence."""
    num_rows = x.shape[1]
    embeddings = model.model.rotary_emb(x, torch.arange(num_rows)[None])
    mask = torch.full((num_rows, num_rows), -torch.inf).triu(1)[None, None]
    return embeddings, mask


def _numpy(state: dict[str, torch.Tensor]) -> Tensors:
    return {name: tensor.detach().clone().numpy() for name, tensor in state.items()}


def _ouro(vocabulary: int, id_lists: list[list[int]], **keys: Any) -> Written:
    num_layers, max_depth = keys.pop("num_hidden_layers"), keys.pop("total_ut_steps")
    threshold = keys.pop("early_exit_threshold")
    model = _llama(vocabulary, num_hidden_layers=num_layers, **keys)
    hidden, eps = model.config.hidden_size, model.config.rms_norm_eps
    after_attention: Any = nn.ModuleList(LlamaRMSNorm(hidden, eps) for _ in range(num_layers))
    after_mlp: Any = nn.ModuleList(LlamaRMSNorm(hidden, eps) for _ in range(num_layers))
    gate = nn.Linear(hidden, 1)
    for module in (after_attention, after_mlp, gate):
        fill(module)
    with torch.no_grad():
        gate.bias.sub_(0.8)
    tensors = _numpy(model.state_dict())
    for i in range(num_layers):
        prefix = f"model.layers.{i}."
        tensors[prefix + "input_layernorm_2.weight"] = after_attention[i].weight.detach().numpy()
        tensors[prefix + "post_attention_layernorm_2.weight"] = after_mlp[i].weight.detach().numpy()
    tensors["model.early_exit_gate.weight"] = gate.weight.detach().numpy()
    tensors["model.early_exit_gate.bias"] = gate.bias.detach().numpy()

    def loop_step(x: torch.Tensor) -> torch.Tensor:
        embeddings, mask = _positions(model, x)
        for i, layer in enumerate(model.model.layers):
            mixed, _ = layer.self_attn(layer.input_layernorm(x), position_embeddings=embeddings, attention_mask=mask)
            x = x + after_attention[i](mixed)
            x = x + after_mlp[i](layer.mlp(layer.post_attention_layernorm(x)))
        normed: torch.Tensor = model.model.norm(x)
        return normed

    expected: Tensors = {}
    for i, ids in enumerate(id_lists):
        with torch.no_grad():
            x, states = model.model.embed_tokens(torch.tensor([ids])), []
            for _ in range(max_depth):
                x = loop_step(x)
                states.append(x[0])
            lam = torch.cat([gate(s) for s in states], dim=1).sigmoid()  # [S, R]
            survival = torch.cumprod(torch.cat([torch.ones(len(ids), 1), 1 - lam], dim=1), dim=1)
            pdf = torch.cat([lam[:, :-1] * survival[:, :-2], survival[:, -2:-1]], dim=1)
            reached = pdf.cumsum(dim=1) >= threshold
            reached[:, -1] = True
            if threshold >= 1:
                reached[:, :-1] = False
            last = reached.int().argmax(dim=1)
            chosen = torch.stack(states)[last, torch.arange(len(ids))]
            expected[f"ids.{i}"] = np.array(ids, dtype=np.int32)
            expected[f"logits.{i}"] = model.lm_head(chosen).numpy()
            expected[f"steps.{i}"] = (last + 1).numpy().astype(np.int32)
            expected[f"gate.{i}"] = lam.T.contiguous().numpy()
            for r, s in enumerate(states):
                expected[f"loop_logits.{i}.{r}"] = model.lm_head(s).numpy()
    config = {
        "architectures": ["OuroForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_ouro.OuroConfig",
            "AutoModelForCausalLM": "modeling_ouro.OuroForCausalLM",
        },
        "model_type": "ouro",
        "total_ut_steps": max_depth,
        "early_exit_threshold": threshold,
        "layer_types": ["full_attention"] * num_layers,
        "sliding_window": None,
        "use_sliding_window": False,
        "max_window_layers": num_layers,
        **_shared_keys(model),
    }
    return config, tensors, expected


def _nanbeige(vocabulary: int, id_lists: list[list[int]], **keys: Any) -> Written:
    max_depth, skip = keys.pop("num_loops"), keys.pop("skip_loop_final_norm")
    model = _llama(vocabulary, **keys)
    expected: Tensors = {}
    for i, ids in enumerate(id_lists):
        with torch.no_grad():
            x = model.model.embed_tokens(torch.tensor([ids]))
            embeddings, mask = _positions(model, x)
            for r in range(max_depth):
                for layer in model.model.layers:
                    x = layer(x, attention_mask=mask, position_embeddings=embeddings)
                if not skip or r == max_depth - 1:
                    x = model.model.norm(x)
            expected[f"ids.{i}"] = np.array(ids, dtype=np.int32)
            expected[f"logits.{i}"] = model.lm_head(x)[0].numpy()
    config = {
        "architectures": ["NanbeigeForCausalLM"],
        "model_type": "nanbeige",
        "num_loops": max_depth,
        "loop_loss_weights": [],
        "skip_loop_final_norm": skip,
        **_shared_keys(model),
    }
    return config, _numpy(model.state_dict()), expected


def _shared_keys(model: Any) -> dict[str, Any]:
    """The Llama part of config.json, with rope_theta at the top as these models' files have it."""
    llama = model.config
    names = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"]
    names += ["num_attention_heads", "num_key_value_heads", "head_dim", "rms_norm_eps"]
    names += ["hidden_act", "max_position_embeddings", "attention_dropout", "initializer_range"]
    shared = {name: getattr(llama, name) for name in names}
    return {
        **shared,
        "rope_theta": float(llama.rope_parameters["rope_theta"]),
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "float32",
        "use_cache": True,
    }


COMPOSED: dict[str, Callable[[int, list[list[int]]], Written]] = {
    "ouro-4-steps": lambda vocabulary, ids: _ouro(
        vocabulary, ids, num_hidden_layers=2, **{"total_ut_steps": 4}, early_exit_threshold=1.0, head_dim=8
    ),
    "ouro-3-steps-threshold": lambda vocabulary, ids: _ouro(
        vocabulary,
        ids,
        num_hidden_layers=1,
        **{"total_ut_steps": 3},
        early_exit_threshold=0.5,
        head_dim=16,
        rope_theta=1e6,
        rms_norm_eps=1e-5,
    ),
    "nanbeige-2-loops": lambda vocabulary, ids: _nanbeige(
        vocabulary,
        ids,
        num_hidden_layers=2,
        num_key_value_heads=2,
        head_dim=16,
        **{"num_loops": 2},
        skip_loop_final_norm=False,
        rope_theta=7e7,
        rms_norm_eps=1e-5,
    ),
    "nanbeige-skip-norm": lambda vocabulary, ids: _nanbeige(
        vocabulary,
        ids,
        num_hidden_layers=2,
        num_key_value_heads=1,
        head_dim=12,
        **{"num_loops": 3},
        skip_loop_final_norm=True,
    ),
}
