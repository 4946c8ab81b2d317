# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mixture-of-Depths, from the paper: a routed layer replaces some rows by z times its output, others pass.

z = W x; rule topk takes the k = max(1, floor(capacity S)) largest z, rule causal the rows with sigmoid(p(x)) > 1/2, p
being the predictor. A row sees the rows u <= t that the layer takes.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from .mor import scores, select_topk
from .pieces import Config, KVSlots, Layer, Options, Result, Weights, causal, embed, final_norm, head


def run_mod(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    num_rows, num_layers = len(ids), config["num_hidden_layers"]
    routed = list(config.get("mod_layers", range(1, num_layers, 2)))
    share = Fraction(config.get("mod_capacity", "1/8")) if options.capacity is None else options.capacity[0]
    x, gap, all_active = embed(weights, ids), math.inf, []
    kv_slots: KVSlots = {}
    for i in range(num_layers):
        name = f"model.layers.{i}"
        layer = Layer(config, weights, f"{name}.")
        active = np.ones(num_rows, dtype=bool)
        if i not in routed:
            x = layer.causal_output(x)
        else:
            z = scores(config, weights, f"{name}.mod_router", x, "linear")[:, 0]
            if options.rule == "topk":
                active, new_gap = select_topk(z, active, max(1, math.floor(num_rows * share)))
            else:
                p = scores(config, weights, f"{name}.mod_predictor", x, config["mod_predictor"])[:, 0]
                active, new_gap = p > 0, float(np.min(np.abs(p)))
            gap = min(gap, new_gap)
            if active.any():
                keys, values = layer.entries(x)
                y = layer.output(x, keys, values, causal(num_rows) & active, active)
                x = np.where(active[:, None], z[:, None] * y, x)
            all_active.append(active)
        kv_slots[f"layer{i}"] = (int(active.sum()), int(active.sum()))
    normed = final_norm(config, weights, x)
    return Result(
        logits=head(config, weights, normed),
        depth=np.ones(num_rows),
        decision_gap=gap,
        kv_slots=kv_slots,
        active=np.array(all_active),
    )
