# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The measured models in PyTorch, for every peer: the same function as Lariat's, from the same checkpoint.

Loops over depth are Python loops, so that tracers see an unrolled program. Each application of a layer has its own keys
and values. `prefill` returns them, because a system that goes on to decode needs them.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as functional
from safetensors.torch import load_file
from torch import Tensor, nn


class Layer(nn.Module):
    """One Llama layer: x + attention(rms(x)), then the same with the gated feed-forward."""

    def __init__(self, config: dict, tensors: dict[str, Tensor], prefix: str) -> None:
        super().__init__()
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.head_dim, self.eps = config["head_dim"], config["rms_norm_eps"]
        for name in ("q", "k", "v", "o"):
            setattr(self, name, linear(tensors[f"{prefix}.self_attn.{name}_proj.weight"]))
        for name in ("gate", "up", "down"):
            setattr(self, name, linear(tensors[f"{prefix}.mlp.{name}_proj.weight"]))
        self.norm1 = nn.Parameter(tensors[f"{prefix}.input_layernorm.weight"])
        self.norm2 = nn.Parameter(tensors[f"{prefix}.post_attention_layernorm.weight"])

    def queries_keys_values(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries and keys, and values: [1, heads, rows, head_dim]."""
        n = rms(x, self.norm1, self.eps)

        def split(y: Tensor, heads: int) -> Tensor:
            return y.view(1, -1, heads, self.head_dim).transpose(1, 2)

        query, key = split(self.q(n), self.heads), split(self.k(n), self.kv_heads)
        return rotate(query, cos, sin), rotate(key, cos, sin), split(self.v(n), self.kv_heads)

    def finish(self, x: Tensor, seen: Tensor) -> Tensor:
        x = x + self.o(seen.transpose(1, 2).reshape(1, -1, self.heads * self.head_dim))
        n = rms(x, self.norm2, self.eps)
        return x + self.down(functional.silu(self.gate(n)) * self.up(n))


class Looped(nn.Module):
    """A model of the families that bench/ measures; `written_out` avoids fused attention, for exporters."""

    def __init__(self, directory: Path, written_out: bool = False) -> None:
        super().__init__()
        config = json.loads((directory / "config.json").read_text())
        tensors = load_file(directory / "model.safetensors")
        self.config, self.written_out = config, written_out
        self.routed = config["model_type"] == "mor"
        if self.routed:
            shared, self.loops = config["num_shared_layers"], config["num_recursions"]
            prelude, coda = 1, 1
            # What is left out here, choosing rows, must have no effect.
            assert set(config["capacity"]) == {"1/1"} and config["decode_threshold"] < 1e-20
            assert config["router_type"] == "expert" and config["kv_policy"] == "recursion-wise"
            self.alpha = config["router_alpha"]
            routers = [tensors[f"model.routers.{depth}.weight"] for depth in range(self.loops)]
            self.routers = nn.ParameterList(routers)
        else:
            assert config["model_type"] == "nanbeige" and config["skip_loop_final_norm"]
            shared, self.loops = config["num_hidden_layers"], config["num_loops"]
            prelude, coda = 0, 0
        layers = [Layer(config, tensors, f"model.layers.{at}") for at in range(prelude + shared + coda)]
        self.prelude, self.shared = nn.ModuleList(layers[:prelude]), nn.ModuleList(layers[prelude : prelude + shared])
        self.coda = nn.ModuleList(layers[prelude + shared :])
        self.embed = nn.Parameter(tensors["model.embed_tokens.weight"])
        self.norm = nn.Parameter(tensors["model.norm.weight"])
        assert config["tie_word_embeddings"]
        self.slots = prelude + shared * self.loops + coda
        positions = torch.arange(config["max_position_embeddings"], dtype=torch.float64)[:, None]
        columns = torch.arange(0, config["head_dim"], 2, dtype=torch.float64)
        angles = positions * config["rope_theta"] ** (-columns / config["head_dim"])
        angles = torch.cat((angles, angles), -1)
        self.register_buffer("cos", angles.cos().float())
        self.register_buffer("sin", angles.sin().float())
        self.eval().requires_grad_(False)

    def prefill(self, ids: Tensor) -> tuple[Tensor, ...]:
        """ids [1, rows] to logits of the last row [1, vocabulary], then keys and values of every slot."""
        rows = ids.shape[1]
        mask = torch.full((rows, rows), -1e30).triu(1) if self.written_out else None
        entries: list[Tensor] = []

        def attend(slot: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            entries.extend((key, value))
            if mask is not None:
                return attention(query, key, value, mask)
            return functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)

        x = self.layers(functional.embedding(ids, self.embed), self.cos[:rows], self.sin[:rows], attend)
        return (self.head(x[:, -1]), *entries)

    def decode_sliced(self, token: Tensor, position: int, caches: list[Tensor]) -> Tensor:
        """One row against the part of the caches that is filled; for eager execution."""
        end = position + 1

        def attend(slot: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys, values = caches[2 * slot], caches[2 * slot + 1]
            keys[:, :, position:end], values[:, :, position:end] = key, value
            return functional.scaled_dot_product_attention(query, keys[:, :, :end], values[:, :, :end], enable_gqa=True)

        x = functional.embedding(token, self.embed)
        return self.head(self.layers(x, self.cos[position:end], self.sin[position:end], attend)[:, 0])

    def decode_masked(self, token: Tensor, position: Tensor, *caches: Tensor) -> Tensor:
        """One row against whole caches of fixed size, with a mask; for compilers that want static shapes."""
        mask = torch.where(torch.arange(caches[0].shape[2]) <= position, 0.0, float("-inf"))[None, None, None]

        def attend(slot: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys, values = caches[2 * slot], caches[2 * slot + 1]
            keys.index_copy_(2, position, key)
            values.index_copy_(2, position, value)
            return functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, enable_gqa=True)

        x = functional.embedding(token, self.embed)
        return self.head(self.layers(x, self.cos[position], self.sin[position], attend)[:, 0])

    def decode_split(self, token: Tensor, position: Tensor, mask: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """One row against caches that are only read; the new keys and values are results, the caller stores them."""
        added: list[Tensor] = []

        def attend(slot: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys, values = past[2 * slot], past[2 * slot + 1]
            added.extend((key, value))
            num_past = keys.shape[2]
            grouped = query.view(1, keys.shape[1], -1, query.shape[3])
            scores = torch.cat((grouped @ keys.transpose(-1, -2) + mask, grouped @ key.transpose(-1, -2)), -1)
            weights = torch.softmax(scores * query.shape[3] ** -0.5, -1)
            return (weights[..., :num_past] @ values + weights[..., num_past:] @ value).view(query.shape)

        x = functional.embedding(token, self.embed)
        x = self.layers(x, self.cos[position], self.sin[position], attend)
        return (self.head(x[:, 0]), *added)

    def layers(self, x: Tensor, cos: Tensor, sin: Tensor, attend) -> Tensor:
        slot = 0

        def apply(layers: nn.ModuleList, x: Tensor) -> Tensor:
            nonlocal slot
            for layer in layers:
                seen = attend(slot, *layer.queries_keys_values(x, cos, sin))
                x, slot = layer.finish(x, seen), slot + 1
            return x

        x = apply(self.prelude, x)
        for depth in range(self.loops):
            if self.routed:
                weight = self.alpha * torch.sigmoid(functional.linear(x, self.routers[depth]))
                x = x + weight * apply(self.shared, x)
            else:
                x = apply(self.shared, x)
        return apply(self.coda, x)

    def head(self, x: Tensor) -> Tensor:
        return functional.linear(rms(x, self.norm, self.config["rms_norm_eps"]), self.embed)


class Entry(nn.Module):
    """One method of a model as a module of its own, which exporters ask for."""

    def __init__(self, model: Looped, method: str) -> None:
        super().__init__()
        self.model, self.method = model, method

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return getattr(self.model, self.method)(*arguments)


def linear(weight: Tensor) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    made.weight = nn.Parameter(weight)
    return made


def rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """softmax(q k / sqrt(d) + mask) v, heads of one group beside each other, in ops that every exporter knows."""
    rows, head_dim = query.shape[2:]
    groups = query.shape[1] // key.shape[1]
    grouped = query.reshape(1, key.shape[1], groups, rows, head_dim)
    scores = grouped @ key[:, :, None].transpose(-1, -2) * head_dim**-0.5 + mask
    return (torch.softmax(scores, -1) @ value[:, :, None]).reshape(query.shape)
