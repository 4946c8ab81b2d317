# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares the oracle with every stored tensor of the trained fixtures.

    python -m oracle.verify_fixtures MODELS_DIR [NAME ...] [--no-greedy]

MODELS_DIR holds one folder per fixture. Stored floats are float64 results rounded to float32, so
the oracle must agree to 1e-5; integers must be equal. Exit status 1 where something differs.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .pieces import Array, Config, Result, Weights
from .reference import load_checkpoint, run
from .tensors import read_tensors

_TOLERANCE = 1e-5
#: Stored runs in float32 carry float32's own error.
_TOLERANCE_FP32 = 1e-4
_CASE = re.compile(r"^(len\d+|ragged\d+|prefix\d+)\.(.*)$")
_GREEDY = re.compile(r"^greedy\.(.+)\.p(\d+)\.ids$")
_RULE = r"(?:(?P<rule>topk|causal|full\d*|select@[\d.]+?|exit@[\d.]+?)\.)?"
_KEY = re.compile("^" + _RULE + r"(?P<name>[a-z][a-z0-9_]*)(?:\.(?P<index>\d+))?$")


@dataclass
class Row:
    """One line of the table: all tensors of one field of one fixture."""

    num_tensors: int = 0
    num_wrong: int = 0
    largest_error: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def add(self, key: str, error: float, tolerance: float) -> None:
        self.num_tensors += 1
        self.largest_error = max(self.largest_error, error)
        if not error <= tolerance:
            self.num_wrong += 1
            self.wrong.append(f"{key}: {error:.3g}")


def error_of(got: Array, expected: Array) -> float:
    """Largest absolute difference; inf where shapes, NaN places or any integer differ."""
    if got.shape != expected.shape:
        return math.inf
    if expected.dtype.kind in "iu":
        return 0.0 if np.array_equal(got, expected) else math.inf
    if not np.array_equal(np.isnan(got), np.isnan(expected)):
        return math.inf
    difference = np.abs(np.nan_to_num(got) - np.nan_to_num(expected.astype(np.float64)))
    return float(difference.max(initial=0.0))


def pick(result: Result, name: str, index: int | None) -> Array:
    """The part of a result a stored tensor names."""
    if name.startswith("logits"):
        return result.logits[-32:] if name == "logits_tail" else result.logits
    value: Any = getattr(result, name)
    return np.asarray(value if index is None else value[index])


def _expected_runs(expected: dict[str, Array]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(case, rule, stored key -> field) for every case and rule of a reference file."""
    fields: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for key in sorted(expected):
        case = _CASE.match(key)
        parsed = _KEY.match(case[2]) if case else None
        if case is None or parsed is None or case[2] == "ids":
            continue
        index = parsed["index"]
        fields[case[1], parsed["rule"] or ""][key] = parsed["name"] + (f".{index}" if index else "")
    for (case_name, rule), keys in fields.items():
        yield case_name, rule, keys


def _check_runs(
    config: Config, weights: Weights, expected: dict[str, Array], table: dict[str, Row]
) -> dict[str, Result]:
    results = {}
    for case, rule, keys in _expected_runs(expected):
        prefix = int(case[len("prefix") :]) if case.startswith("prefix") else 0
        result = run(config, weights, list(expected[case + ".ids"]), rule=rule, prefix=prefix)
        results[f"{case}.{rule}"] = result
        for key, part in keys.items():
            name, _, index = part.partition(".")
            error = error_of(pick(result, name, int(index) if index else None), expected[key])
            loose = name in ("logits_fp32run", "logits_transformers")
            table[name].add(key, error, _TOLERANCE_FP32 if loose else _TOLERANCE)
    for key in expected:
        steps = re.match(r"init_state\.steps(\d+)\.logits", key)
        if steps:
            start = expected["init_state.s0"]
            ids = list(expected["init_state.ids"])
            result = run(config, weights, ids, loops=int(steps[1]), initial_state=start)
            table["init_state"].add(key, error_of(result.logits, expected[key]), _TOLERANCE)
    return results


def _check_decisions(reference: Any, results: dict[str, Result], table: dict[str, Row]) -> None:
    """Decision gaps (three digits are stored) and slot lengths of reference.json."""
    for case, entry in reference.items():
        for rule, stored in entry.get("runs", {}).items() if isinstance(entry, dict) else ():
            result = results.get(f"{case}.{rule}")
            if result is None or stored["kv_slots"] is None:
                continue
            slots = {k: (v["visible"], v["computed"]) for k, v in stored["kv_slots"].items()}
            same = slots == result.kv_slots
            table["kv_slots"].add(f"{case}.{rule}", 0.0 if same else math.inf, 0.0)
            gap, got = stored["smallest_decision_gap"], result.decision_gap
            if gap is None or math.isinf(got):
                error = 0.0 if gap is None and math.isinf(got) else math.inf
            else:
                error = abs(gap - got) / max(abs(gap), 1e-12)
            table["decision_gap"].add(f"{case}.{rule} {gap} {got}", error, 1e-2)


def _greedy_rows(
    config: Config, weights: Weights, prompt: list[int], ids: list[int], rule: str
) -> tuple[Array, Array, Array]:
    """(logits of each choosing row, its depth, depth of all rows at the end), teacher-forced."""
    fed = prompt + ids[:-1]
    if rule != "recompute_topk":
        result = run(config, weights, fed, rule=rule)
        return result.logits[len(prompt) - 1 :], result.depth[len(prompt) - 1 :], result.depth
    logits, depths = [], []
    for i in range(len(ids)):
        result = run(config, weights, fed[: len(prompt) + i], rule="topk")
        logits.append(result.logits[-1])
        depths.append(result.depth[-1])
    return np.array(logits), np.array(depths, dtype=np.int32), result.depth


def _check_greedy(config: Config, weights: Weights, expected: dict[str, Array], table: dict[str, Row]) -> None:
    for key in sorted(expected):
        parsed = _GREEDY.match(key)
        if parsed is None:
            continue
        base, rule, ids = key[: -len(".ids")], parsed[1], list(expected[key])
        prompt = list(expected[base + ".prompt"])
        logits, depth, depths = _greedy_rows(config, weights, prompt, ids, rule)
        ranked = np.sort(logits, axis=1)
        got = {
            "ids": np.argmax(logits, axis=1).astype(np.int32),
            "margin": ranked[:, -1] - ranked[:, -2],
            "step_depth": depth,
            "depth": depths,
        }
        for name, value in got.items():
            if f"{base}.{name}" in expected:
                error = error_of(value, expected[f"{base}.{name}"])
                table["greedy." + name].add(f"{base}.{name}", error, _TOLERANCE)


def verify(directory: Path, *, suffix: str = "", greedy: bool = True) -> dict[str, Row]:
    """Compares one fixture; suffix "-bf16" picks the bf16 copy. Returns the table's rows."""
    config, weights = load_checkpoint(directory, weights_file=f"model{suffix}.safetensors")
    expected = read_tensors(directory / f"reference{suffix}.safetensors")
    table: dict[str, Row] = defaultdict(Row)
    results = _check_runs(config, weights, expected, table)
    reference = directory / f"reference{suffix}.json"
    if reference.exists():
        text = reference.read_text(encoding="utf-8")
        _check_decisions(json.loads(text), results, table)
    if greedy:
        _check_greedy(config, weights, expected, table)
    return dict(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--no-greedy", action="store_true")
    arguments = parser.parse_args()
    num_wrong = 0
    print(f"{'fixture':18}{'field':22}{'tensors':>8}{'wrong':>7}  largest error")
    for path in sorted(arguments.models.glob("*/reference*.safetensors")):
        if arguments.names and path.parent.name not in arguments.names:
            continue
        suffix = path.stem[len("reference") :]
        table = verify(path.parent, suffix=suffix, greedy=not arguments.no_greedy)
        for name, row in sorted(table.items()):
            label = path.parent.name + suffix
            counts = f"{row.num_tensors:8}{row.num_wrong:7}"
            print(f"{label:18}{name:22}{counts}  {row.largest_error:.2e}", flush=True)
            for line in row.wrong[:5]:
                print(f"    wrong: {line}")
            num_wrong += row.num_wrong
    print("all equal" if num_wrong == 0 else f"{num_wrong} tensors differ")
    return 0 if num_wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
