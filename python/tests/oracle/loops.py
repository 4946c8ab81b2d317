# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops whose rows may exit: ouro, rrt, huginn, nanbeige. SEMANTICS.md section 4.

One loop serves them: a family says how a loop step is entered and left, which layers it runs
and how a state is read out; exits.py says when a row may stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .exits import Exit, make_exit
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
)

#: Configuration keys of nanbeige that change the forward pass; off in the shipped file.
_NANBEIGE_REJECTED = (
    "qk_layernorm",
    "enable_double_loop_split",
    "loop_share_kv",
    "enable_hyper_connection",
    "depth_attention",
    "enable_ngram_embedding",
)


@dataclass(frozen=True)
class _Family:
    """What tells the families apart.

    layers(r): the layers of loop step r; enter(s): loop input from the state; leave(x): new state
    from the last layer's output; rule: the exit rule the configuration declares; readout(s): logits
    of all rows; readout_in_loop(s, running): the same inside the loop, where the coda of a row that
    has stopped is not computed any more; None where that is no difference.
    """

    slot_prefix: str
    layers: Callable[[int], list[Layer]]
    enter: Callable[[Array], Array]
    leave: Callable[[Array], Array]
    rule: str
    readout: Callable[[Array], Array]
    readout_in_loop: Callable[[Array, Array], Array] | None = None


@dataclass
class _LoopEnd:
    state: Array
    depth: Array
    gap: float
    kv_slots: KVSlots
    gates: list[Array]
    scores: list[Array]
    states: list[Array]


def _loop(family: _Family, config: Config, weights: Weights, s: Array, max_depth: int, options: Options) -> _LoopEnd:
    policy = _check(options, config)
    exit, min_steps = make_exit(options.exit_rule or family.rule, config, weights, s)
    num_rows, rule, q = len(s), options.rule, options.threshold
    running = np.ones(num_rows, dtype=bool)  # rows that are computed
    undecided = np.ones(num_rows, dtype=bool)  # rows whose exit has not been found yet
    depth = np.full(num_rows, max_depth)
    chosen = s  # per row, the state it stopped with
    kept: dict[int, tuple[Array, Array]] = {}
    end = _LoopEnd(s, depth, math.inf, {}, [], [], [])
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
        end.states.append(s)

        def readout(s: Array = s, running: Array = running) -> Array:
            inside = family.readout_in_loop
            return inside(s, running) if inside else family.readout(s)

        score = exit.score(before, s, readout)
        end.gates.append(score if exit.gate is None else exit.gate)
        end.scores.append(score)
        stopping = np.zeros(num_rows, dtype=bool)
        if rule != "full":
            assert q is not None, "the rules select and exit need a threshold"
            # As in the fixtures, select counts the score of rows already decided as well.
            asked = undecided if rule == "exit" else np.ones_like(undecided)
            # The last decision is none, but for the weight of an output.
            if r < max_depth - 1 or type(exit).result is not Exit.result:
                end.gap = min(end.gap, float(np.min(exit.gap(score, q)[asked], initial=math.inf)))
            if q != exit.never and r + 1 >= min_steps:
                stopping = undecided & exit.passes(score, q)
        chosen = np.where(undecided[:, None], exit.result(s, stopping), chosen)
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
        scores=np.array(end.scores) if full else None,
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
        rule="cumulative-hazard",
        readout=lambda s: head(config, weights, s),
    )
    max_depth = options.loops or config.get("total_ut_steps") or config["num_loops"]
    end = _loop(family, config, weights, embed(weights, ids), max_depth, options)
    return _finish(family, end, options)


def run_rrt(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    def layers(r: int) -> list[Layer]:
        return [
            Layer(config, weights, f"model.layers.{j}.", lora=f"model.lora.{r}.{j}.")
            for j in range(config["num_shared_layers"])
        ]

    def readout(s: Array) -> Array:
        return head(config, weights, final_norm(config, weights, s))

    family = _Family(
        slot_prefix="",
        layers=layers,
        enter=lambda s: s,
        leave=lambda x: x,
        rule="top2-margin",
        readout=readout,
    )
    max_depth = options.loops or config["num_loops"]
    end = _loop(family, config, weights, embed(weights, ids), max_depth, options)
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

    # Entries of the coda at this depth, of each row that has got so far, else its last ones.
    kept: dict[int, tuple[Array, Array]] = {}

    def readout_in_loop(s: Array, running: Array) -> Array:
        v = final_norm(config, weights, s)
        for i, layer in enumerate(coda):
            keys, values = layer.entries(v)
            if i in kept:
                own = running[:, None, None]
                keys, values = np.where(own, keys, kept[i][0]), np.where(own, values, kept[i][1])
            kept[i] = keys, values
            v = layer.output(v, keys, values, causal(len(v)), np.ones(len(v), dtype=bool))
        return head(config, weights, final_norm(config, weights, v))

    family = _Family(
        slot_prefix="core.",
        layers=lambda r: core,
        enter=enter,
        leave=lambda x: x,
        rule=str(config.get("exit_rule", "latent-diff")),
        readout=readout,
        readout_in_loop=readout_in_loop,
    )
    unexited = options.rule == "full"
    max_depth = options.loops or config["mean_recurrence" if unexited else "max_recurrence"]
    start = options.initial_state
    start = np.zeros_like(injected) if start is None else start.astype(injected.dtype)
    end = _loop(family, config, weights, start, max_depth, options)
    result = _finish(family, end, options)
    if unexited:
        result.hidden = [injected, *result.hidden]
    outside: KVSlots = {f"prelude{i}": (len(ids), len(ids)) for i in range(len(prelude))}
    after: KVSlots = {f"coda{i}": (len(ids), len(ids)) for i in range(len(coda))}
    result.kv_slots = {**outside, **result.kv_slots, **after}
    return result


def run_nanbeige(config: Config, weights: Weights, ids: list[int], options: Options) -> Result:
    refused = [key for key in _NANBEIGE_REJECTED if config.get(key)]
    if refused:
        raise ValueError(f"nanbeige options not covered by the oracle: {refused}")
    layers = [Layer(config, weights, f"model.layers.{j}.") for j in range(config["num_hidden_layers"])]
    last = config.get("skip_loop_final_norm", False)
    family = _Family(
        slot_prefix="",
        layers=lambda r: layers,
        enter=lambda s: s,
        leave=lambda x: x if last else final_norm(config, weights, x),
        rule="top2-margin",  # it declares none: any that stops nothing
        readout=lambda s: head(config, weights, final_norm(config, weights, s) if last else s),
    )
    loss_weights = config.get("loop_loss_weights") or []
    max_depth = options.loops or (len(loss_weights) + 1 if loss_weights else config["num_loops"])
    end = _loop(family, config, weights, embed(weights, ids), max_depth, options)
    return _finish(family, end, options)
