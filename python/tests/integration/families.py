# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checkpoints of the shape of a family with random weights, imported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lariat
from tests.oracle.make_checkpoints import random_weights
from tests.oracle.specs import SPECS, Spec
from tests.oracle.tensors import write_tensors


@dataclass(frozen=True)
class Family:
    """A checkpoint and its module; `threshold` is the first that its config names."""

    directory: Path
    text: str
    vocab: int
    threshold: float | None

    @property
    def has_top_k(self) -> bool:
        return "lariat.top_k" in self.text


def find_spec(name: str) -> Spec:
    return next(spec for spec in SPECS if spec.name == name)


def write_family(folder: Path, spec: Spec) -> Family:
    """Writes the checkpoint to a directory of the spec's name."""
    directory = folder / spec.name
    directory.mkdir()
    write_tensors(directory / "model.safetensors", random_weights(spec, np.random.default_rng(1)))
    (directory / "config.json").write_text(json.dumps(spec.config))
    thresholds = spec.config.get("exit_thresholds")
    text = lariat.import_checkpoint(directory)
    return Family(directory, text, spec.config["vocab_size"], thresholds[0] if thresholds else None)
