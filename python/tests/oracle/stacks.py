# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models without a decision per row: albert, hrm and plain llama.

albert and hrm: SEMANTICS.md sections 5 and 6.
"""

from __future__ import annotations

import math

import numpy as np

from .pieces import (
    Array,
    Config,
    KVSlots,
    Layer,
    Options,
    Result,
    Weights,
    attend,
    causal,
    embed,
    final_norm,
    head,
    head_dim,
    linear,
    rms,
    rope_frequencies,
    rotate,
    sigmoid,
    silu,
)


def run_llama(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    x, kv_slots = embed(weights, ids), KVSlots()
    hidden = [x]
    for i in range(config["num_hidden_layers"]):
        x = Layer(config, weights, f"model.layers.{i}.").causal_output(x)
        kv_slots[f"layer{i}"] = (len(ids), len(ids))
        hidden.append(x)
    logits = head(config, weights, final_norm(config, weights, x))
    return Result(logits, np.ones(len(ids), dtype=int), kv_slots=kv_slots, hidden=hidden)


def _hrm_layer(config: Config, weights: Weights, prefix: str, x: Array, visible: Array) -> Array:
    dim, eps, num_rows = head_dim(config), config["rms_norm_eps"], len(x)
    n = rms(x, eps)
    gate, q, k, v = np.split(linear(weights, prefix + "attn.gqkv_proj", n), 4, axis=1)
    frequencies = rope_frequencies(config, dim)
    q = rotate(q.reshape(num_rows, -1, dim), frequencies)
    k = rotate(k.reshape(num_rows, -1, dim), frequencies)
    mixed = attend(q, k, v.reshape(num_rows, -1, dim), visible)
    y = x + linear(weights, prefix + "attn.o_proj", sigmoid(gate) * mixed)
    left, right = np.split(linear(weights, prefix + "mlp.gate_up_proj", rms(y, eps)), 2, axis=1)
    return y + linear(weights, prefix + "mlp.down_proj", silu(left) * right)


def run_hrm(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    visible = causal(len(ids))
    visible[: options.prefix, : options.prefix] = True
    high_cycles, low_cycles = config["H_cycles"], config["L_cycles"]
    kv_slots = KVSlots()

    def stack(name: str, x: Array, step: int) -> Array:
        for i in range(config["num_layers_per_stack"]):
            prefix = f"model.{name}_module.layers.{i}."
            x = _hrm_layer(config, weights, prefix, x, visible)
            kv_slots[f"step{step}.layer{i}"] = (len(ids), len(ids))
        return rms(x, config["rms_norm_eps"])

    high = config["embedding_scale"] * embed(weights, ids)
    low = np.broadcast_to(weights["model.z_L_init"], high.shape)
    hidden, step = [high], 0
    for _ in range(high_cycles):
        for _ in range(low_cycles):
            low = stack("L", low + high, step)
            hidden.append(low)
            step += 1
        high = stack("H", high + low, step)
        hidden.append(high)
        step += 1
    depth = np.full(len(ids), high_cycles)
    return Result(head(config, weights, high), depth, kv_slots=kv_slots, hidden=hidden)


def _layer_norm(config: Config, weights: Weights, name: str, v: Array) -> Array:
    centred = v - v.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    normed = centred / np.sqrt(variance + config["layer_norm_eps"])
    return np.asarray(weights[name + ".weight"] * normed + weights[name + ".bias"])


def _gelu_tanh(z: Array) -> Array:
    inner = math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)
    return np.asarray(0.5 * z * (1 + np.tanh(inner)))


def _albert_layer(config: Config, weights: Weights, prefix: str, x: Array) -> Array:
    num_rows, heads = len(x), config["num_attention_heads"]
    q, k, v = (
        linear(weights, f"{prefix}attention.{name}", x).reshape(num_rows, heads, -1)
        for name in ("query", "key", "value")
    )
    mixed = attend(q, k, v, np.ones((num_rows, num_rows), dtype=bool))
    mixed = linear(weights, prefix + "attention.dense", mixed)
    y = _layer_norm(config, weights, prefix + "attention.LayerNorm", x + mixed)
    mlp = linear(weights, prefix + "ffn_output", _gelu_tanh(linear(weights, prefix + "ffn", y)))
    return _layer_norm(config, weights, prefix + "full_layer_layer_norm", y + mlp)


def _albert_readout(config: Config, weights: Weights, x: Array) -> Array:
    if "predictions.dense.weight" not in weights:
        return x  # AlbertModel, whose result is the hidden state
    v = _gelu_tanh(linear(weights, "predictions.dense", x))
    v = _layer_norm(config, weights, "predictions.LayerNorm", v)
    word = weights["albert.embeddings.word_embeddings.weight"]
    return np.asarray(v @ word.T + weights["predictions.bias"])


def run_albert(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    """AlbertForMaskedLM, or AlbertModel (logits: the hidden state) where no head is stored."""
    if "embeddings.word_embeddings.weight" in weights:
        weights = {f"albert.{name}": array for name, array in weights.items()}
    x = weights["albert.embeddings.word_embeddings.weight"][np.asarray(ids)]
    x = x + weights["albert.embeddings.token_type_embeddings.weight"][0]
    x = x + weights["albert.embeddings.position_embeddings.weight"][: len(ids)]
    x = _layer_norm(config, weights, "albert.embeddings.LayerNorm", x)
    x = linear(weights, "albert.encoder.embedding_hidden_mapping_in", x)
    hidden = [x]
    num_steps, num_groups = config["num_hidden_layers"], config["num_hidden_groups"]
    for step in range(num_steps):
        group = step * num_groups // num_steps
        for j in range(config["inner_group_num"]):
            prefix = f"albert.encoder.albert_layer_groups.{group}.albert_layers.{j}."
            x = _albert_layer(config, weights, prefix, x)
        hidden.append(x)
    return Result(
        _albert_readout(config, weights, x),
        np.full(len(ids), num_steps),
        hidden=hidden,
        loop_logits=[_albert_readout(config, weights, h) for h in hidden[1:]],
    )
