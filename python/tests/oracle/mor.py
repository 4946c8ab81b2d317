# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mixture-of-Recursions: SEMANTICS.md sections 2 (expert choice) and 3 (token choice).

What the fixtures do not have, from the paper and its code: routers of two linear maps with GELU between, `router_arch`,
whose input is divided by `router_temperature`; `router_func` tanh and identity; `gating` additive, which leaves the
weight out; the auxiliary router, whose sigmoid replaces that of z in the causal rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from .pieces import (
    Array,
    Config,
    KVSlots,
    Layer,
    Options,
    Result,
    Weights,
    causal,
    embed,
    final_norm,
    gelu,
    head,
    sigmoid,
    softmax,
)


@dataclass
class _SharedBlock:
    """The K shared layers with their K,V of recursion 0, which two of the policies look up."""

    layers: list[Layer]
    policy: str
    kv_slots: KVSlots
    at_start: list[tuple[Array, Array]] = field(default_factory=list)
    entered: Array | None = None

    def apply(self, x: Array, active: Array, depth: int) -> Array:
        """Runs the active rows (bool[S]) of x through the block; other rows of the result are x."""
        num_active = int(active.sum())
        if self.entered is None:
            self.entered = active  # a row that skips recursion 0 has no entry for others to look up
        visible = causal(len(x)) & self.entered
        for j, layer in enumerate(self.layers):
            keys, values = layer.entries(x)
            slot = (num_active, num_active)
            if depth == 0:
                self.at_start.append((keys, values))
            elif self.policy == "recursive-sharing":
                keys, values = self.at_start[j]
                slot = (0, 0)
            elif self.policy == "hybrid":
                own = active[:, None, None]
                keys = np.where(own, keys, self.at_start[j][0])
                values = np.where(own, values, self.at_start[j][1])
                slot = (int(self.entered.sum()) if num_active else 0, num_active)
            elif self.policy == "recursion-wise":
                visible = causal(len(x)) & active
            else:
                raise ValueError(f"unknown kv_policy {self.policy!r}")
            self.kv_slots[f"shared{j}.loop{depth}"] = slot
            if num_active:
                x = layer.output(x, keys, values, visible, active)
        return x


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "softmax": softmax,
    "tanh": np.tanh,
    "identity": lambda z: z,
}


def scores(config: Config, weights: Weights, name: str, x: Array, kind: str) -> Array:
    """[S, out]: one linear map, or two with GELU between."""
    x = x / config.get("router_temperature", 1)
    if kind == "linear":
        return np.asarray(x @ weights[f"{name}.weight"].T)
    return np.asarray(gelu(x @ weights[f"{name}.0.weight"].T) @ weights[f"{name}.2.weight"].T)


def _gate(config: Config, weight: Array) -> Array:
    return np.ones_like(weight) if config.get("gating") == "additive" else weight


def _bound(config: Config, function: str, threshold: float | None) -> float:
    """The least score that passes."""
    p = config.get("decode_threshold", 0.0 if function == "tanh" else 0.5) if threshold is None else threshold
    if function == "identity":
        return float(p)
    return math.atanh(p) if function == "tanh" else math.log(p / (1 - p))


def select_topk(z: Array, before: Array, num_kept: int) -> tuple[Array, float]:
    """The num_kept rows of `before` with the largest z, lower row first on ties; and the gap."""
    rows = np.flatnonzero(before)
    order = rows[np.argsort(-z[rows], kind="stable")]
    active = np.zeros_like(before)
    active[order[:num_kept]] = True
    left_out = order[num_kept:]
    return active, float(z[order[num_kept - 1]] - z[left_out[0]]) if len(left_out) else math.inf


def _expert_choice(config: Config, weights: Weights, block: _SharedBlock, x: Array, options: Options) -> Result:
    num_rows, max_depth = len(x), config["num_recursions"]
    kind, function = config.get("router_arch", "linear"), config.get("router_func", "sigmoid")
    has_auxiliary = "model.aux_routers.0.weight" in weights
    bound = _bound(config, "sigmoid" if has_auxiliary else function, options.threshold)
    declared = [Fraction(text) for text in config.get("capacity", [])]
    capacity = options.capacity or declared or [Fraction(max_depth - r, max_depth) for r in range(max_depth)]
    active = np.ones(num_rows, dtype=bool)
    all_active, all_z, hidden, gap = [], [], [x], math.inf
    for r in range(max_depth):
        z = scores(config, weights, f"model.routers.{r}", x, kind)[:, 0]
        all_z.append(np.where(active, z, np.nan))
        if options.rule == "topk":
            active, new_gap = select_topk(z, active, max(1, math.floor(num_rows * capacity[r])))
            gap = min(gap, new_gap)
        elif r > 0:
            decides = scores(config, weights, f"model.aux_routers.{r}", x, "linear")[:, 0] if has_auxiliary else z
            gap = min(gap, float(np.min(np.abs(decides[active] - bound), initial=math.inf)))
            active = active & (decides >= bound)
        y = block.apply(x, active, r)
        gated = x + _gate(config, config["router_alpha"] * _FUNCTIONS[function](z))[:, None] * y
        x = np.where(active[:, None], gated, x)
        all_active.append(active)
        hidden.append(x)
    return Result(
        logits=x,
        depth=np.sum(all_active, axis=0),
        decision_gap=gap,
        active=np.array(all_active),
        router_z=np.array(all_z),
        hidden=hidden,
    )


def _token_choice(config: Config, weights: Weights, block: _SharedBlock, x: Array) -> Result:
    max_depth = config["num_recursions"]
    z = scores(config, weights, "model.router", x, config.get("router_arch", "linear"))
    p = config["router_alpha"] * _FUNCTIONS[config["router_func"]](z)
    steered = p
    if config.get("loss_free_bias"):
        steered = p + weights["model.router_bias"]
    last = np.argmax(steered, axis=1)
    gate = _gate(config, np.take_along_axis(p, last[:, None], axis=1))
    gap = math.inf
    if max_depth > 1:
        ranked = np.sort(steered, axis=1)
        gap = float(np.min(ranked[:, -1] - ranked[:, -2]))
    start, all_active, hidden = x, [], [x]
    for r in range(max_depth):
        active = last >= r
        y = block.apply(x, active, r)
        x = np.where((last == r)[:, None], start + gate * y, y)
        all_active.append(active)
        hidden.append(x)
    return Result(
        logits=x,
        depth=last + 1,
        decision_gap=gap,
        active=np.array(all_active),
        router_z=z.T,
        hidden=hidden,
    )


def run_mor(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    num_shared, num_rows = config["num_shared_layers"], len(ids)
    if options.rule not in ("topk", "causal"):
        raise ValueError(f"mor has the rules topk and causal, not {options.rule!r}")
    layers = [Layer(config, weights, f"model.layers.{i}.") for i in range(num_shared + 2)]
    kv_slots: KVSlots = {"first": (num_rows, num_rows)}
    policy = options.kv_policy or config["kv_policy"]
    block = _SharedBlock(layers[1:-1], policy, kv_slots)
    x = layers[0].causal_output(embed(weights, ids))
    if config["router_type"] == "expert":
        result = _expert_choice(config, weights, block, x, options)
    else:
        result = _token_choice(config, weights, block, x)
    kv_slots["last"] = (num_rows, num_rows)
    normed = final_norm(config, weights, layers[-1].causal_output(result.hidden[-1]))
    result.hidden.append(normed)
    result.logits = head(config, weights, normed)
    result.kv_slots = kv_slots
    return result
