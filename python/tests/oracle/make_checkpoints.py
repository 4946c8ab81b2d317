# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes random-weight checkpoints in the format of the trained fixtures.

    python -m oracle.make_checkpoints OUT_DIR [--seed N] [--tokenizer FILE] [--only NAME ...]

Each folder gets config.json, the weights, reference.safetensors and reference.json (layout:
SEMANTICS.md section 8; cases len1, len2, len31, ragged0..2). Seeds are tried in turn until no
discrete decision is closer than _SMALLEST_GAP, float32 takes the same decisions, and depths vary.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .pieces import Array, Result
from .reference import run
from .shapes import tensor_shapes
from .specs import SPECS, Spec
from .tensors import from_bf16, to_bf16, write_tensors

_LENGTHS = {"len1": 1, "len2": 2, "len31": 31, "ragged0": 5, "ragged1": 40, "ragged2": 17}
_SMALLEST_GAP = 2e-4
_MAX_ATTEMPTS = 50


def random_weights(spec: Spec, generator: np.random.Generator) -> dict[str, Array]:
    """float32 weights scaled so that routers and exits take varied decisions."""
    weights = {}
    for name, shape in {**tensor_shapes(spec.config), **spec.more_tensors}.items():
        noise = generator.standard_normal(shape)
        if len(shape) == 1:
            is_scale = name.endswith("orm.weight") or "norm_" in name or "layernorm" in name
            value = 1 + 0.2 * noise if is_scale else 0.3 * noise
        elif "embed" in name and "mapping" not in name:
            value = 0.5 * noise
        else:
            value = noise / math.sqrt(shape[1])
        if ".lora." in name or "down_proj" in name:
            value = 0.5 * value
        elif name == "model.early_exit_gate.bias":
            value = value - 1.0
        elif name == "model.early_exit_gate.weight":
            value = 1.5 * value
        elif name == "model.adapter.weight":
            # A weak state half lets the loop settle, faster for some rows than for others.
            value[:, : shape[0]] *= 0.7
        weights[name] = value.astype(np.float32)
        if spec.storage == "bf16":
            weights[name] = from_bf16(to_bf16(weights[name])).reshape(shape)
    return weights


def rules_of(config: dict[str, Any]) -> list[str]:
    """The rules the fixtures of this family list; one unnamed rule for albert and hrm."""
    if config["model_type"] == "mod":
        return ["topk", "causal"] if config.get("mod_predictor") else ["topk"]
    if config["model_type"] == "mor":
        if config["router_type"] == "token":
            return ["causal"]
        has_rule = config["router_func"] != "identity" or "decode_threshold" in config
        return ["topk", "causal"] if has_rule else ["topk"]
    if "exit_thresholds" not in config:
        return [""]
    rules = ["full"]
    if "max_recurrence" in config:
        rules.append(f"full{config['max_recurrence']}")
    for q in config["exit_thresholds"]:
        rules += [f"select@{q}", f"exit@{q}"]
    return rules


def random_ids(config: dict[str, Any], num_rows: int, generator: np.random.Generator) -> list[int]:
    """Bytes; the first id is bos, and an encoder gets some mask ids."""
    ids = generator.integers(0, 256, num_rows)
    if "mask_token_id" in config:
        ids[::5] = config["mask_token_id"]
    else:
        ids[0] = config["bos_token_id"]
    return [int(i) for i in ids]


def _stored(case: str, rule: str, result: Result) -> dict[str, Array]:
    """The tensors of one run under the fixtures' names."""
    prefix = f"{case}.{rule}." if rule else f"{case}."
    tensors = {prefix + "logits": result.logits}
    if rule:
        tensors[prefix + "depth"] = result.depth
    for name in ("active", "router_z", "gate"):
        value = getattr(result, name)
        if value is not None:
            tensors[prefix + name] = value
    if case == "len31":
        for name in ("hidden", "loop_logits"):
            for i, value in enumerate(getattr(result, name)):
                tensors[f"{prefix}{name}.{i}"] = value
    return {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in tensors.items()}


def _summary(rule: str, result: Result, error: float) -> dict[str, Any]:
    gap = None if math.isinf(result.decision_gap) else result.decision_gap
    slots = {k: {"visible": v, "computed": c} for k, (v, c) in result.kv_slots.items()}
    return {
        "fp32_max_abs_err": error,
        "max_abs_logit": float(np.abs(result.logits).max()),
        "smallest_decision_gap": gap,
        "kv_slots": slots if rule else None,
    }


def _references(
    spec: Spec, weights: dict[str, Array], generator: np.random.Generator
) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """Tensors and JSON of the references, or None where a decision is too close to call."""
    config = spec.config
    tensors: dict[str, Array] = {}
    summary: dict[str, Any] = {}
    lengths = dict(_LENGTHS)
    if config.get("prefix_lm"):
        lengths["prefix12"] = 31
    varied: dict[str, set[int]] = {}
    for case, num_rows in lengths.items():
        ids = random_ids(config, num_rows, generator)
        tensors[case + ".ids"] = np.array(ids, dtype=np.int32)
        summary[case] = {"length": num_rows, "runs": {}}
        for rule in rules_of(config):
            options: dict[str, Any] = {"rule": rule or None}
            if case.startswith("prefix"):
                options["prefix"] = int(case[len("prefix") :])
            result = run(config, weights, ids, **options)
            single = run(config, weights, ids, dtype=np.float32, **options)
            if result.decision_gap < _SMALLEST_GAP:
                return None
            if not np.array_equal(result.depth, single.depth):
                return None
            error = float(np.abs(result.logits - single.logits).max())
            varied.setdefault(rule, set()).update(int(d) for d in result.depth)
            summary[case]["runs"][rule or "run"] = _summary(rule, result, error)
            tensors.update(_stored(case, rule, result))
    routed = [depths for rule, depths in varied.items() if not rule.startswith("full") and rule]
    if routed and _max_depth(config) > 1 and max(len(depths) for depths in routed) < 2:
        return None
    if config["model_type"] == "huginn":
        tensors.update(_initial_state(config, weights, generator))
    ragged = [n for case, n in lengths.items() if case.startswith("ragged")]
    note = "cases ragged0.. are one batch; each sequence equals its solo run"
    summary["ragged"] = {"lengths": ragged, "note": note}
    summary["steps_seen"] = {rule: sorted(depths) for rule, depths in varied.items() if rule}
    return tensors, summary


def _initial_state(
    config: dict[str, Any], weights: dict[str, Array], generator: np.random.Generator
) -> dict[str, Array]:
    ids = random_ids(config, 9, generator)
    start = generator.standard_normal((9, config["hidden_size"])) * config["state_std"]
    start = start.astype(np.float32)
    tensors = {"init_state.ids": np.array(ids, dtype=np.int32), "init_state.s0": start}
    for steps in (1, config["mean_recurrence"], config["max_recurrence"]):
        result = run(config, weights, ids, loops=steps, initial_state=start)
        tensors[f"init_state.steps{steps}.logits"] = result.logits.astype(np.float32)
    return tensors


def _max_depth(config: dict[str, Any]) -> int:
    keys = ("num_recursions", "num_loops", "max_recurrence")
    return int(next((config[key] for key in keys if key in config), 1))


def _write_weights(directory: Path, spec: Spec, weights: dict[str, Array]) -> None:
    if spec.storage != "sharded":
        path = directory / "model.safetensors"
        write_tensors(path, weights, bf16=spec.storage == "bf16")
        return
    names = sorted(weights)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    weight_map = {}
    for number, half in enumerate(halves, 1):
        shard = f"model-{number:05}-of-{len(halves):05}.safetensors"
        write_tensors(directory / shard, {name: weights[name] for name in half})
        weight_map.update(dict.fromkeys(half, shard))
    total = sum(array.nbytes for array in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    _write_json(directory / "model.safetensors.index.json", index)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def make_checkpoint(spec: Spec, out_dir: Path, *, seed: int = 0, tokenizer: Path | None = None) -> Path:
    """Writes one checkpoint and returns its folder."""
    for attempt in range(_MAX_ATTEMPTS):
        generator = np.random.default_rng([seed, attempt, *spec.name.encode()])
        weights = random_weights(spec, generator)
        references = _references(spec, weights, generator)
        if references is not None:
            break
    else:
        raise RuntimeError(f"{spec.name}: no seed below {_MAX_ATTEMPTS} gives clear decisions")
    tensors, summary = references
    summary["seed"] = [seed, attempt]
    directory = out_dir / spec.name
    directory.mkdir(parents=True, exist_ok=True)
    _write_json(directory / "config.json", spec.config)
    _write_weights(directory, spec, weights)
    write_tensors(directory / "reference.safetensors", tensors)
    _write_json(directory / "reference.json", summary)
    if tokenizer is not None:
        shutil.copyfile(tokenizer, directory / "tokenizer.json")
    return directory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json to copy into each folder")
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    for spec in SPECS:
        if arguments.only and spec.name not in arguments.only:
            continue
        directory = make_checkpoint(spec, arguments.out_dir, seed=arguments.seed, tokenizer=arguments.tokenizer)
        summary = json.loads((directory / "reference.json").read_text(encoding="utf-8"))
        print(f"{spec.name}: seed {summary['seed']}, steps seen {summary['steps_seen']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
