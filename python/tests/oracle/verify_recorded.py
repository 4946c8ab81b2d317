# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares the oracle with the recorded outputs of transformers' classes (needs no torch).

    python -m oracle.verify_recorded [DIR]

DIR: folders written by hf.py, by default the checked-in copy. Exit status 1 where one differs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from .pieces import Array
from .reference import load_checkpoint, run
from .tensors import read_tensors

RECORDED = Path(__file__).parent / "recorded"


def recorded_rule(config: dict[str, Any]) -> str:
    """What the recorded logits are: Ouro's class computes every loop and selects one."""
    threshold = config.get("early_exit_threshold")
    return "full" if threshold is None else f"select@{threshold}"


def largest_error(directory: Path) -> float:
    """Largest |oracle - recorded| over all outputs of one folder, inf where steps differ."""
    config, weights = load_checkpoint(directory)
    expected = read_tensors(directory / "expected.safetensors")
    error = 0.0

    def compare(got: Array, name: str) -> None:
        nonlocal error
        error = max(error, float(np.abs(got - expected[name]).max()))

    for key in sorted(expected):
        kind, _, index = key.partition(".")
        if kind not in ("ids", "prefix_ids"):
            continue
        ids, rule = [int(t) for t in expected[key]], recorded_rule(config)
        if kind == "prefix_ids":
            prefix = int(expected[f"prefix_rows.{index}"][0])
            compare(run(config, weights, ids, prefix=prefix).logits, f"prefix_logits.{index}")
            continue
        result = run(config, weights, ids, rule=rule)
        name = "logits" if f"logits.{index}" in expected else "hidden"
        compare(result.logits, f"{name}.{index}")
        if rule == "full":
            continue
        if not np.array_equal(result.depth, expected[f"steps.{index}"]):
            return float("inf")
        full = run(config, weights, ids, rule="full")
        assert full.gate is not None
        compare(full.gate, f"gate.{index}")
        for r, logits in enumerate(full.loop_logits):
            compare(logits, f"loop_logits.{index}.{r}")
    return error


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDED
    worst = 0.0
    for path in sorted(root.glob("*/expected.safetensors")):
        error = largest_error(path.parent)
        worst = max(worst, error)
        print(f"{path.parent.name:26}{error:.2e}")
    return 0 if worst < 5e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
