# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Norms, rotary positions, attention and layers, dense and without a cache.

Equations: SEMANTICS.md section 1 of the trained fixtures. Every array has the dtype of the weights,
so the same code gives the float64 oracle and the float32 run whose error is reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Config = Mapping[str, Any]
Weights = Mapping[str, Array]
#: name of a slot -> (rows an attention in it can see, rows whose own K,V were computed in it)
KVSlots = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Options:
    """What a caller may override; None means what the configuration says."""

    rule: str = "full"
    loops: int | None = None
    threshold: float | None = None
    kv_policy: str | None = None
    exit_rule: str | None = None
    prefix: int = 0
    initial_state: Array | None = None
    capacity: Sequence[Fraction] | None = None


@dataclass
class Result:
    """One sequence of S rows.

    logits: [S, V]; depth: int32[S], executed loop steps of each row (1-based count);
    decision_gap: distance of the closest discrete decision, inf where none was taken;
    active: uint8[R, S]; router_z, gate and scores of the exit rule: [R, S]; each None where there is
    none; hidden, loop_logits as in the fixtures.
    """

    logits: Array
    depth: Array
    decision_gap: float = math.inf
    kv_slots: KVSlots = field(default_factory=dict)
    active: Array | None = None
    router_z: Array | None = None
    gate: Array | None = None
    scores: Array | None = None
    hidden: list[Array] = field(default_factory=list)
    loop_logits: list[Array] = field(default_factory=list)


def rms(v: Array, eps: float, weight: Array | None = None) -> Array:
    normed: Array = v / np.sqrt(np.mean(v * v, axis=-1, keepdims=True) + eps)
    return normed if weight is None else weight * normed


def sigmoid(z: Array) -> Array:
    # 1 / (1 + e^-z) without overflow for very negative z.
    e = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1 / (1 + e), e / (1 + e)), dtype=z.dtype)


def silu(z: Array) -> Array:
    return z * sigmoid(z)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def gelu(z: Array) -> Array:
    return np.asarray([0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in z.ravel()], dtype=z.dtype).reshape(z.shape)


def linear(weights: Weights, name: str, v: Array) -> Array:
    """`W v`, plus the bias where one is stored; W is stored (out, in)."""
    y: Array = v @ weights[name + ".weight"].T
    bias = weights.get(name + ".bias")
    return y if bias is None else y + bias


def rope_frequencies(config: Config, head_dim: int) -> Array:
    """float64[head_dim / 2]; with the llama3 stretching where the configuration asks for it."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0)
    frequencies = theta ** (-2.0 * np.arange(head_dim // 2) / head_dim)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return frequencies
    if kind != "llama3":
        raise ValueError(f"rope type {kind!r} is not covered by the oracle")
    # Long waves are slowed by factor, short ones kept, a linear blend between the two limits.
    length = float(rope["original_max_position_embeddings"])
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    turns = length * frequencies / (2 * math.pi)
    keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return np.asarray((1 - keep) * frequencies / float(rope["factor"]) + keep * frequencies)


def rotate(v: Array, frequencies: Array) -> Array:
    """RoPE on v: [S, heads, d], row t at position t, halves paired (i, i + d/2)."""
    angles = np.arange(v.shape[0])[:, None, None] * frequencies
    cos, sin = np.cos(angles).astype(v.dtype), np.sin(angles).astype(v.dtype)
    a, b = np.split(v, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def attend(q: Array, k: Array, v: Array, visible: Array) -> Array:
    """q: [T, H, d], k and v: [U, G, d], visible: bool[T, U] -> [T, H * d]."""
    num_heads, group = q.shape[1], q.shape[1] // k.shape[1]
    heads = []
    for h in range(num_heads):
        scores = q[:, h] @ k[:, h // group].T / math.sqrt(q.shape[2])
        heads.append(softmax(np.where(visible, scores, -np.inf)) @ v[:, h // group])
    return np.concatenate(heads, axis=-1)


def causal(num_rows: int) -> Array:
    """bool[S, S]: row t sees every u <= t."""
    return np.tri(num_rows, dtype=bool)


@dataclass(frozen=True)
class Layer:
    """One decoder layer; kind: "llama" (pre-norm), "ouro" (sandwich), "huginn" (norm after add)."""

    config: Config
    weights: Weights
    prefix: str
    kind: str = "llama"
    lora: str | None = None

    def _project(self, name: str, v: Array) -> Array:
        y = linear(self.weights, self.prefix + name, v)
        if self.lora is None:
            return y
        pair = self.lora + name.split(".")[-1]
        scale = self.config["lora_alpha"] / self.config["lora_rank"]
        low = v @ self.weights[pair + ".A"].T
        return np.asarray(y + scale * (low @ self.weights[pair + ".B"].T))

    def _norm(self, name: str, v: Array) -> Array:
        return rms(v, self.config["rms_norm_eps"], self.weights[self.prefix + name + ".weight"])

    def _first_norm(self, x: Array) -> Array:
        return self._norm("norm_1" if self.kind == "huginn" else "input_layernorm", x)

    def _heads(self, name: str, v: Array) -> Array:
        dim = head_dim(self.config)
        return self._project("self_attn." + name, v).reshape(v.shape[0], -1, dim)

    def entries(self, x: Array) -> tuple[Array, Array]:
        """K after rotation and V, [S, G, d] each, of all rows of the layer input x: [S, D]."""
        n = self._first_norm(x)
        frequencies = rope_frequencies(self.config, head_dim(self.config))
        return rotate(self._heads("k_proj", n), frequencies), self._heads("v_proj", n)

    def _mlp(self, n: Array) -> Array:
        hidden = silu(self._project("mlp.gate_proj", n)) * self._project("mlp.up_proj", n)
        return self._project("mlp.down_proj", hidden)

    def output(self, x: Array, k: Array, v: Array, visible: Array, rows: Array) -> Array:
        """x with the given rows (bool[S]) replaced by the layer's output; the others stay."""
        frequencies = rope_frequencies(self.config, head_dim(self.config))
        q = rotate(self._heads("q_proj", self._first_norm(x)), frequencies)
        mixed = self._project("self_attn.o_proj", attend(q[rows], k, v, visible[rows]))
        y = x[rows]
        if self.kind == "llama":
            y = y + mixed
            y = y + self._mlp(self._norm("post_attention_layernorm", y))
        elif self.kind == "ouro":
            y = y + self._norm("input_layernorm_2", mixed)
            mlp = self._mlp(self._norm("post_attention_layernorm", y))
            y = y + self._norm("post_attention_layernorm_2", mlp)
        else:
            y = self._norm("norm_2", y + mixed)
            y = self._norm("norm_4", y + self._mlp(self._norm("norm_3", y)))
        result: Array = x.copy()
        result[rows] = y
        return result

    def causal_output(self, x: Array) -> Array:
        """All rows, each seeing every u <= t in this layer's own entries."""
        k, v = self.entries(x)
        return self.output(x, k, v, causal(len(x)), np.ones(len(x), dtype=bool))


def head_dim(config: Config) -> int:
    dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return int(dim)


def embed(weights: Weights, ids: list[int]) -> Array:
    return np.asarray(weights["model.embed_tokens.weight"][np.asarray(ids)])


def head(config: Config, weights: Weights, v: Array) -> Array:
    tied = config.get("tie_word_embeddings", False)
    matrix = weights["model.embed_tokens.weight" if tied else "lm_head.weight"]
    return np.asarray(v @ matrix.T)


def final_norm(config: Config, weights: Weights, v: Array) -> Array:
    return rms(v, config["rms_norm_eps"], weights["model.norm.weight"])
