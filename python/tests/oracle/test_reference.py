# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks of the oracle itself: recorded torch outputs, and a second evaluation row by row.

The row-by-row evaluation decodes one row at a time with an explicit cache per (layer, loop step).
It covers what no trained fixture has: MoR's hybrid policy and propagate in ouro and huginn.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .make_checkpoints import make_checkpoint, random_ids, random_weights, rules_of
from .pieces import Array, Config, Weights, head, rms, rope_frequencies, sigmoid, silu, softmax
from .reference import run
from .specs import SPECS
from .verify_fixtures import verify
from .verify_recorded import RECORDED, largest_error

_SPECS = {spec.name: spec for spec in SPECS}
_Cache = dict[tuple[int, int], dict[int, tuple[Array, Array]]]


class _RowModel:
    """One row at a time; plain vectors, weights by name."""

    def __init__(self, config: Config, weights: Weights) -> None:
        self.config = config
        self.w = {name: np.asarray(value, dtype=np.float64) for name, value in weights.items()}
        self.eps, self.dim = config["rms_norm_eps"], config["head_dim"]
        self.cache: _Cache = {}

    def norm(self, name: str, v: Array) -> Array:
        return rms(v, self.eps, self.w[name + ".weight"])

    def rotate(self, v: Array, position: int) -> Array:
        # As complex numbers: a turn by position * frequency.
        pairs = v[:, : self.dim // 2] + 1j * v[:, self.dim // 2 :]
        turned = pairs * np.exp(1j * position * rope_frequencies(self.config, self.dim))
        return np.concatenate([turned.real, turned.imag], axis=1)

    def entry(self, prefix: str, x: Array, position: int) -> tuple[Array, Array]:
        huginn = self.config["family"] == "huginn"
        n = self.norm(prefix + ("norm_1" if huginn else "input_layernorm"), x)
        k = (self.w[prefix + "self_attn.k_proj.weight"] @ n).reshape(-1, self.dim)
        v = (self.w[prefix + "self_attn.v_proj.weight"] @ n).reshape(-1, self.dim)
        return self.rotate(k, position), v

    def layer(self, prefix: str, x: Array, position: int, seen: dict[int, tuple[Array, Array]]) -> Array:
        """seen: entries by position, the row's own included."""
        family = self.config["family"]
        n = self.norm(prefix + ("norm_1" if family == "huginn" else "input_layernorm"), x)
        q = (self.w[prefix + "self_attn.q_proj.weight"] @ n).reshape(-1, self.dim)
        q = self.rotate(q, position)
        heads = []
        for h in range(len(q)):
            g = h * next(iter(seen.values()))[0].shape[0] // len(q)
            scores = np.array([q[h] @ k[g] for k, _ in seen.values()]) / np.sqrt(self.dim)
            heads.append(softmax(scores) @ np.array([v[g] for _, v in seen.values()]))
        mixed = self.w[prefix + "self_attn.o_proj.weight"] @ np.concatenate(heads)

        def mlp(v: Array) -> Array:
            gate = silu(self.w[prefix + "mlp.gate_proj.weight"] @ v)
            up = self.w[prefix + "mlp.up_proj.weight"] @ v
            return np.asarray(self.w[prefix + "mlp.down_proj.weight"] @ (gate * up))

        if family == "huginn":
            y = self.norm(prefix + "norm_2", x + mixed)
            return self.norm(prefix + "norm_4", y + mlp(self.norm(prefix + "norm_3", y)))
        if family == "ouro":
            y = x + self.norm(prefix + "input_layernorm_2", mixed)
            inner = mlp(self.norm(prefix + "post_attention_layernorm", y))
            return y + self.norm(prefix + "post_attention_layernorm_2", inner)
        y = x + mixed
        return np.asarray(y + mlp(self.norm(prefix + "post_attention_layernorm", y)))

    def plain(self, prefix: str, x: Array, position: int) -> Array:
        """A layer outside the loop: appends to its own cache, sees all of it."""
        slot = self.cache.setdefault((hash(prefix), -1), {})
        slot[position] = self.entry(prefix, x, position)
        return self.layer(prefix, x, position, slot)


def _mor_expert(model: _RowModel, ids: list[int], policy: str) -> tuple[Array, Array]:
    config, w, rows, depths = model.config, model.w, [], []
    num_shared, max_depth = config["num_shared_layers"], config["num_recursions"]
    bound = np.log(config["decode_threshold"] / (1 - config["decode_threshold"]))
    for t, token in enumerate(ids):
        x = model.plain("model.layers.0.", w["model.embed_tokens.weight"][token], t)
        for r in range(max_depth):
            z = w[f"model.routers.{r}.weight"][0] @ x
            if r > 0 and z < bound:
                break
            depth, y = r + 1, x
            for j in range(num_shared):
                prefix = f"model.layers.{1 + j}."
                own = model.cache.setdefault((j, r), {})
                first = model.cache[j, 0]
                if policy != "recursive-sharing" or r == 0:
                    own[t] = model.entry(prefix, y, t)
                seen = {
                    "recursion-wise": own,
                    "recursive-sharing": first,
                    "hybrid": {u: own.get(u, first[u]) for u in first},
                }[policy]
                y = model.layer(prefix, y, t, seen)
            x = x + config["router_alpha"] * sigmoid(z) * y
        x = model.plain(f"model.layers.{num_shared + 1}.", x, t)
        rows.append(head(config, w, model.norm("model.norm", x)))
        depths.append(depth)
    return np.array(rows), np.array(depths)


def _looped(model: _RowModel, ids: list[int], policy: str, q: float) -> tuple[Array, Array]:
    """ouro and huginn under exit@q."""
    config, w, rows, depths = model.config, model.w, [], []
    huginn = config["family"] == "huginn"
    max_depth = config["max_recurrence"] if huginn else config["num_loops"]
    count = config["num_core_layers"] if huginn else config["num_hidden_layers"]
    prefixes = [f"model.{'core' if huginn else 'layers'}.{j}." for j in range(count)]
    for t, token in enumerate(ids):
        s = e = w["model.embed_tokens.weight"][token]
        if huginn:
            s, e = np.zeros_like(e), config["embedding_scale"] * e
            for i in range(config["num_prelude_layers"]):
                e = model.plain(f"model.prelude.{i}.", e, t)

        def enter(state: Array, e: Array = e) -> Array:
            if not huginn:
                return state
            return np.asarray(w["model.adapter.weight"] @ np.concatenate([state, e]))

        left, stopped_at = 1.0, max_depth
        for r in range(max_depth):
            x = enter(s)
            for j, prefix in enumerate(prefixes):
                slot = model.cache.setdefault((j, r), {})
                if r >= stopped_at:
                    last = model.cache[j, stopped_at - 1][t]
                    slot[t] = last if policy == "copy-last" else model.entry(prefix, x, t)
                    continue
                slot[t] = model.entry(prefix, x, t)
                x = model.layer(prefix, x, t, slot)
            if r >= stopped_at:
                continue
            before, s = s, x if huginn else model.norm("model.norm", x)
            if huginn:
                stop = bool(np.linalg.norm(s - before) / np.linalg.norm(s) < q)
            else:
                gate = w["model.early_exit_gate.weight"][0] @ s + w["model.early_exit_gate.bias"]
                left *= 1 - float(sigmoid(gate)[0])
                stop = 1 - left >= q and q < 1
            if stop:
                stopped_at = r + 1
        if huginn:
            s = model.norm("model.norm", s)
            for i in range(config["num_coda_layers"]):
                s = model.plain(f"model.coda.{i}.", s, t)
            s = model.norm("model.norm", s)
        rows.append(head(config, w, s))
        depths.append(stopped_at)
    return np.array(rows), np.array(depths)


def _compare(name: str, rule: str, policy: str, evaluate: Callable[..., Any], *extra: Any) -> None:
    spec = _SPECS[name]
    generator = np.random.default_rng(5)
    weights, ids = random_weights(spec, generator), random_ids(spec.config, 24, generator)
    result = run(spec.config, weights, ids, rule=rule, kv_policy=policy)
    logits, depth = evaluate(_RowModel(spec.config, weights), ids, policy, *extra)
    assert len(set(depth)) > 1, "the rows should not all take the same number of steps"
    np.testing.assert_array_equal(result.depth, depth)
    np.testing.assert_allclose(result.logits, logits, atol=1e-9)


@pytest.mark.parametrize("policy", ["recursion-wise", "recursive-sharing", "hybrid"])
@pytest.mark.parametrize("name", ["mor-expert-hybrid", "mor-expert-bf16", "mor-expert-sharing"])
def test_mor_row_by_row(name: str, policy: str) -> None:
    _compare(name, "causal", policy, _mor_expert)


@pytest.mark.parametrize("policy", ["copy-last", "propagate"])
@pytest.mark.parametrize("name", ["ouro-propagate", "ouro-sharded", "huginn-propagate"])
def test_exit_row_by_row(name: str, policy: str) -> None:
    q = _SPECS[name].config["exit_thresholds"][0]
    _compare(name, f"exit@{q}", policy, _looped, q)


@pytest.mark.parametrize("name", [n for n in _SPECS if not n.startswith("albert")])
def test_causal_rules_ignore_later_rows(name: str) -> None:
    config, generator = _SPECS[name].config, np.random.default_rng(6)
    weights, ids = random_weights(_SPECS[name], generator), random_ids(config, 20, generator)
    for rule in rules_of(config):
        if rule != "topk":
            whole = run(config, weights, ids, rule=rule or None)
            part = run(config, weights, ids[:11], rule=rule or None)
            np.testing.assert_array_equal(part.depth, whole.depth[:11])
            np.testing.assert_allclose(part.logits, whole.logits[:11], atol=1e-9)


@pytest.mark.parametrize("directory", sorted(RECORDED.glob("*/")), ids=lambda path: path.name)
def test_recorded_torch_outputs(directory: Path) -> None:
    assert largest_error(directory) < 2e-5


@pytest.mark.parametrize("name", ["ouro-sharded", "mor-expert-bf16", "hrm-h3-l1"])
def test_written_checkpoints_read_back(name: str, tmp_path: Path) -> None:
    table = verify(make_checkpoint(_SPECS[name], tmp_path))
    assert table["logits"].num_tensors > 0
    assert all(row.num_wrong == 0 for row in table.values())
