# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops whose rows may exit: ouro, rrt, huginn. SEMANTICS.md section 4.

One loop serves the three: a family says how a loop step is entered and left, which layers it runs
and when a row may stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

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
    head,
    linear,
    sigmoid,
    softmax,
)


@dataclass(frozen=True)
class _Family:
    """What tells the three families apart.

    layers(r): the layers of loop step r; enter(s): loop input from the state; leave(x): new state
    from the last layer's output; gate(before, after): the score of every row, which is what the
    fixtures store; stops(score, q): bool[S]; readout(s): logits; accumulates: the score compared
    with q is the hazard accumulated from the gate instead of the gate itself.
    """

    slot_prefix: str
    layers: Callable[[int], list[Layer]]
    enter: Callable[[Array], Array]
    leave: Callable[[Array], Array]
    gate: Callable[[Array, Array], Array]
    stops: Callable[[Array, float], Array]
    readout: Callable[[Array], Array]
    accumulates: bool = False


@dataclass
class _LoopEnd:
    state: Array
    depth: Array
    gap: float
    kv_slots: KVSlots
    gates: list[Array]
    states: list[Array]


def _loop(family: _Family, s: Array, max_depth: int, options: Options, policy: str) -> _LoopEnd:
    num_rows, rule, q = len(s), options.rule, options.threshold
    running = np.ones(num_rows, dtype=bool)  # rows that are computed
    undecided = np.ones(num_rows, dtype=bool)  # rows whose exit has not been found yet
    depth = np.full(num_rows, max_depth)
    chosen = s  # per row, the state it stopped with
    kept: dict[int, tuple[Array, Array]] = {}
    hazard, survival = np.zeros_like(s[:, 0]), np.ones_like(s[:, 0])
    end = _LoopEnd(s, depth, math.inf, {}, [], [])
    for r in range(max_depth):
        # A stopped row keeps its frozen loop input in x, because no layer replaces it: the entries
        # made from x are then exactly those that "propagate" asks for.
        x = family.enter(s)
        for j, layer in enumerate(family.layers(r)):
            keys, values = layer.entries(x)
            if policy == "copy-last" and r > 0:
                own = running[:, None, None]
                keys = np.where(own, keys, kept[j][0])
                values = np.where(own, values, kept[j][1])
            kept[j] = keys, values
            slot = (num_rows if running.any() else 0, int(running.sum()))
            end.kv_slots[f"{family.slot_prefix}layer{j}.loop{r}"] = slot
            if running.any():
                x = layer.output(x, keys, values, causal(num_rows), running)
        before, s = s, np.where(running[:, None], family.leave(x), s)
        chosen = np.where(undecided[:, None], s, chosen)
        gate = family.gate(before, s)
        end.gates.append(gate)
        end.states.append(s)
        if rule == "full" or r == max_depth - 1:
            continue
        assert q is not None, "the rules select and exit need a threshold"
        score = gate
        if family.accumulates:
            hazard, survival = hazard + gate * survival, survival * (1 - gate)
            score = hazard
        # As in the fixtures, select counts the score of rows already decided as well.
        asked = undecided if rule == "exit" else np.ones_like(undecided)
        end.gap = min(end.gap, float(np.min(np.abs(score - q)[asked], initial=math.inf)))
        if family.accumulates and q >= 1:
            continue  # never early, even where rounding brings the sum up to 1
        stopping = undecided & family.stops(score, q)
        depth[stopping] = r + 1
        undecided = undecided & ~stopping
        if rule == "exit":
            running = undecided
    end.state = chosen
    return end


def _finish(family: _Family, end: _LoopEnd, options: Options) -> Result:
    full = options.rule == "full"
    return Result(
        logits=family.readout(end.state),
        depth=end.depth,
        decision_gap=end.gap,
        kv_slots=end.kv_slots,
        gate=np.array(end.gates) if full else None,
        hidden=end.states if full else [],
        loop_logits=[family.readout(s) for s in end.states] if full else [],
    )


def _check(options: Options, config: Config) -> str:
    if options.rule not in ("full", "select", "exit"):
        raise ValueError(f"unknown rule {options.rule!r}")
    policy = options.kv_policy or config.get("exit_kv_policy", "copy-last")
    if policy not in ("copy-last", "propagate"):
        raise ValueError(f"unknown exit_kv_policy {policy!r}")
    return str(policy)


def run_ouro(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    layers = [Layer(config, weights, f"model.layers.{j}.", kind="ouro") for j in range(config["num_hidden_layers"])]
    family = _Family(
        slot_prefix="",
        layers=lambda r: layers,
        enter=lambda s: s,
        leave=lambda x: final_norm(config, weights, x),
        gate=lambda before, s: sigmoid(linear(weights, "model.early_exit_gate", s)[:, 0]),
        stops=lambda cumulative, q: cumulative >= q,
        readout=lambda s: head(config, weights, s),
        accumulates=True,
    )
    max_depth = options.loops or config.get("total_ut_steps") or config["num_loops"]
    end = _loop(family, embed(weights, ids), max_depth, options, _check(options, config))
    return _finish(family, end, options)


def run_rrt(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    def layers(r: int) -> list[Layer]:
        return [
            Layer(config, weights, f"model.layers.{j}.", lora=f"model.lora.{r}.{j}.")
            for j in range(config["num_shared_layers"])
        ]

    def readout(s: Array) -> Array:
        return head(config, weights, final_norm(config, weights, s))

    def confidence(before: Array, s: Array) -> Array:
        p = np.sort(softmax(readout(s)), axis=1)
        return np.asarray(p[:, -1] - p[:, -2])

    family = _Family(
        slot_prefix="",
        layers=layers,
        enter=lambda s: s,
        leave=lambda x: x,
        gate=confidence,
        stops=lambda margin, q: margin > q,
        readout=readout,
    )
    max_depth = options.loops or config["num_loops"]
    end = _loop(family, embed(weights, ids), max_depth, options, _check(options, config))
    return _finish(family, end, options)


def run_huginn(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    def stack(name: str) -> list[Layer]:
        count = config[f"num_{name}_layers"]
        return [Layer(config, weights, f"model.{name}.{i}.", kind="huginn") for i in range(count)]

    prelude, core, coda = stack("prelude"), stack("core"), stack("coda")
    injected = config["embedding_scale"] * embed(weights, ids)
    for layer in prelude:
        injected = layer.causal_output(injected)

    def enter(s: Array) -> Array:
        return linear(weights, "model.adapter", np.concatenate([s, injected], axis=1))

    def readout(s: Array) -> Array:
        v = final_norm(config, weights, s)
        for layer in coda:
            v = layer.causal_output(v)
        return head(config, weights, final_norm(config, weights, v))

    def change(before: Array, s: Array) -> Array:
        return np.asarray(np.linalg.norm(s - before, axis=1) / np.linalg.norm(s, axis=1))

    family = _Family(
        slot_prefix="core.",
        layers=lambda r: core,
        enter=enter,
        leave=lambda x: x,
        gate=change,
        stops=lambda delta, q: delta < q,
        readout=readout,
    )
    unexited = options.rule == "full"
    max_depth = options.loops or config["mean_recurrence" if unexited else "max_recurrence"]
    start = options.initial_state
    start = np.zeros_like(injected) if start is None else start.astype(injected.dtype)
    end = _loop(family, start, max_depth, options, _check(options, config))
    result = _finish(family, end, options)
    if unexited:
        result.hidden = [injected, *result.hidden]
    outside: KVSlots = {f"prelude{i}": (len(ids), len(ids)) for i in range(len(prelude))}
    after: KVSlots = {f"coda{i}": (len(ids), len(ids)) for i in range(len(coda))}
    result.kv_slots = {**outside, **result.kv_slots, **after}
    return result
