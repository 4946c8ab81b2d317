# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The oracle: dense float64 evaluation of one sequence, written from SEMANTICS.md alone.

It shares no code with the importers or the compiler. Example::

    config, weights = load_checkpoint("models/ouro")
    result = run(config, weights, [256, 72, 105], rule="exit@0.7")
    result.logits, result.depth
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .loops import run_huginn, run_nanbeige, run_ouro, run_rrt
from .mod import run_mod
from .mor import run_mor
from .pieces import Array, Config, KVSlots, Options, Result, Weights
from .stacks import run_albert, run_hrm, run_llama
from .tensors import read_tensors

__all__ = [
    "FAMILIES",
    "KVSlots",
    "Options",
    "Result",
    "family_of",
    "load_checkpoint",
    "parse_rule",
    "run",
]

FAMILIES: dict[str, Callable[[Config, Weights, list[int], Options], Result]] = {
    "albert": run_albert,
    "hrm": run_hrm,
    "huginn": run_huginn,
    "llama": run_llama,
    "mod": run_mod,
    "mor": run_mor,
    "nanbeige": run_nanbeige,
    "ouro": run_ouro,
    "rrt": run_rrt,
}
_DEFAULT_RULE = {"mod": "causal", "mor": "causal"}


def family_of(config: Config) -> str:
    name = str(config.get("family") or config["model_type"])
    return {"hrm_text": "hrm"}.get(name, name)


def parse_rule(text: str) -> tuple[str, int | None, float | None]:
    """Splits `exit@0.5` into (exit, None, 0.5), `full8` into (full, 8, None)."""
    name, at, threshold = text.partition("@")
    if at:
        return name, None, float(threshold)
    if name.startswith("full") and name != "full":
        return "full", int(name[len("full") :]), None
    return name, None, None


def load_checkpoint(
    directory: str | Path, *, weights_file: str = "model.safetensors"
) -> tuple[dict[str, Any], dict[str, Array]]:
    """config.json and the tensors (bf16 widened to float32), sharded files included."""
    directory = Path(directory)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    index = directory / f"{weights_file}.index.json"
    if (directory / weights_file).exists() or not index.exists():
        return config, read_tensors(directory / weights_file)
    weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    weights: dict[str, Array] = {}
    for shard in sorted(set(weight_map.values())):
        weights.update(read_tensors(directory / shard))
    assert set(weights) == set(weight_map), "the index names other tensors than the shards hold"
    return config, weights


def run(
    config: Config,
    weights: Weights,
    ids: list[int],
    *,
    rule: str | None = None,
    loops: int | None = None,
    threshold: float | None = None,
    kv_policy: str | None = None,
    exit_rule: str | None = None,
    prefix: int = 0,
    initial_state: Array | None = None,
    capacity: Sequence[Fraction] | None = None,
    dtype: Any = np.float64,
) -> Result:
    """Runs one sequence.

    Args:
        config: the parsed config.json, of a fixture or with Hugging Face's own keys.
        weights: tensors by their stored names.
        ids: token ids, at least one.
        rule: topk or causal (mor, mod); full, fullN, select, exit, or the last two with @threshold.
        loops: overrides the number of loop steps.
        threshold: of select and exit; for mor overrides decode_threshold.
        kv_policy: overrides kv_policy (mor) or exit_kv_policy (ouro, rrt, huginn).
        exit_rule: NAME[:option=value,...] in place of the one that the configuration declares.
        prefix: rows that see each other in both directions (hrm).
        initial_state: [S, D] for huginn instead of zeros.
        capacity: share of the rows that each depth keeps under the rule topk, instead of the declared ones.
        dtype: of all arithmetic.
    """
    family = family_of(config)
    name, rule_loops, rule_threshold = parse_rule(rule or _DEFAULT_RULE.get(family, "full"))
    options = Options(
        rule=name,
        loops=rule_loops if loops is None else loops,
        threshold=rule_threshold if threshold is None else threshold,
        kv_policy=kv_policy,
        exit_rule=exit_rule,
        prefix=prefix,
        initial_state=initial_state,
        capacity=capacity,
    )
    cast = {key: np.asarray(value, dtype=dtype) for key, value in weights.items()}
    result = FAMILIES[family](config, cast, [int(i) for i in ids], options)
    result.depth = np.asarray(result.depth, dtype=np.int32)
    if result.active is not None:
        result.active = np.asarray(result.active, dtype=np.uint8)
    return result
