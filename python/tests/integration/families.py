# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The fixtures, and checkpoints of the shape of a family with random weights, imported with their exit rule or another
one."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lariat
from tests.checkpoints import MODELS
from tests.oracle.make_checkpoints import random_weights
from tests.oracle.pieces import Array
from tests.oracle.specs import SPECS, Spec
from tests.oracle.tensors import write_tensors

# A family with an exit rule put in place, and a threshold at which its rows take different steps.
WITH_RULES: dict[str, float] = {
    "ouro-propagate act": 0.9,
    "ouro-propagate kl": 0.3,
    "huginn-propagate minp-kl": 0.05,
    "huginn-copy-last argmax-stability": 1,
    "nanbeige-loops entropy-diff": 0.2,
    "rrt-copy-last calm:tau=3,length=40,min_steps=2": 0.4,
}
DECODERS = ("hrm", "huginn", "mor-expert", "mor-share", "mor-token", "ouro", "rrt")


@dataclass(frozen=True)
class Family:
    """A checkpoint and its module; `threshold` is the first that its config names, or that of `WITH_RULES`."""

    directory: Path
    text: str
    vocab: int
    threshold: float | None

    @property
    def has_top_k(self) -> bool:
        return "lariat.top_k" in self.text


def find_spec(name: str) -> Spec:
    return next(spec for spec in SPECS if spec.name == name)


def write_named(folder: Path, name: str) -> Family:
    """`write_family` of `SPEC` or `SPEC RULE`."""
    spec, _, rule = name.partition(" ")
    return write_family(folder, find_spec(spec), rule)


def write_family(folder: Path, spec: Spec, rule: str = "") -> Family:
    """Writes the checkpoint to a directory of the name of spec and rule."""
    name = f"{spec.name} {rule}".strip()
    weights = random_weights(spec, np.random.default_rng(1)) | (random_heads(spec, 1) if rule else {})
    write_checkpoint(folder / name, spec, weights)
    thresholds = spec.config.get("exit_thresholds", [None])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = lariat.import_checkpoint(folder / name, exit_rule=rule or None)
    return Family(folder / name, text, spec.config["vocab_size"], WITH_RULES.get(name, thresholds[0]))


def random_heads(spec: Spec, seed: int) -> dict[str, Array]:
    """The gate and the head that some exit rules need."""
    generator, width = np.random.default_rng([3, seed]), spec.config["hidden_size"]
    weights = {}
    for name, size in (("early_exit_gate", 1), ("exit_head", 2)):
        weights[f"model.{name}.weight"] = 1.5 * generator.standard_normal((size, width)) / np.sqrt(width)
        weights[f"model.{name}.bias"] = generator.standard_normal(size) / 2 - 0.5
    return {name: value.astype(np.float32) for name, value in weights.items()}


def write_checkpoint(directory: Path, spec: Spec, weights: Mapping[str, Array]) -> None:
    directory.mkdir()
    write_tensors(directory / "model.safetensors", dict(weights))
    (directory / "config.json").write_text(json.dumps(spec.config))


def find_family(folder: Path, name: str) -> Family:
    """A fixture, or what `write_named` writes."""
    if name not in DECODERS:
        return write_named(folder, name)
    config = json.loads((MODELS / name / "config.json").read_text())
    threshold = config.get("exit_thresholds", [None])[0]
    return Family(MODELS / name, lariat.import_checkpoint(MODELS / name), config["vocab_size"], threshold)
