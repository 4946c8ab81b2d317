# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The trained fixtures and what their reference files hold, as cases that a session can run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load_file

from lariat.session import GenerateOptions, ScoreOptions

MODELS = Path(os.environ.get("LARIAT_MODELS_DIR", Path(__file__).resolve().parents[3] / "test" / "models"))
NAMES = ("albert", "hrm", "huginn", "mor-expert", "mor-share", "mor-token", "ouro", "rrt")

# A discrete decision is compared where its stored gap is this many times the tolerance.
GAP_FACTOR = 10.0

# Cache and layer of a slot name, by what stands before the loop number.
SLOT_NAMES = {"first": ("kv_first", 0), "last": ("kv_last", 0)}


def tolerance(oracle_error: float) -> float:
    """Largest logit error allowed, from the oracle's own float32 error."""
    return 4 * oracle_error + 1e-5


@dataclass(frozen=True)
class Fixture:
    """A folder under test/models."""

    path: Path
    config: dict[str, Any] = field(repr=False)
    tensors: dict[str, NDArray[Any]] = field(repr=False)
    facts: dict[str, Any] = field(repr=False)

    @staticmethod
    def load(name: str) -> Fixture:
        return Fixture.load_from(MODELS / name)

    @staticmethod
    def load_from(folder: Path) -> Fixture:
        return Fixture(
            folder,
            json.loads((folder / "config.json").read_text()),
            load_file(folder / "reference.safetensors"),
            json.loads((folder / "reference.json").read_text()),
        )

    @property
    def name(self) -> str:
        return self.path.name

    def cases(self) -> Iterator[str]:
        """Names of the scored cases: len1, ..., ragged0, ..."""
        return (name for name, facts in self.facts.items() if isinstance(facts, dict) and "runs" in facts)

    def ids(self, case: str) -> list[int]:
        return [int(token) for token in self.tensors[f"{case}.ids"]]

    def rules(self, case: str) -> list[str]:
        return list(self.facts[case]["runs"])

    def run(self, case: str, rule: str) -> dict[str, Any]:
        found: dict[str, Any] = self.facts[case]["runs"][rule]
        return found

    def logits(self, case: str, rule: str) -> NDArray[Any] | None:
        """Stored logits: all rows, or the last ones; none where only the depth is stored."""
        stem = case if rule == "run" else f"{case}.{rule}"
        keys = (f"{stem}.logits", f"{stem}.logits_tail")
        return next((self.tensors[key] for key in keys if key in self.tensors), None)

    def depth(self, case: str, rule: str) -> NDArray[Any] | None:
        return self.tensors.get(f"{case}.{rule}.depth")


def score_options(rule: str) -> ScoreOptions:
    """What to ask for to get a rule of SEMANTICS.md."""
    if rule.startswith(("exit@", "select@")):
        kind, threshold = rule.split("@")
        return ScoreOptions(exit_threshold=float(threshold), missing="compute" if kind == "select" else None)
    if rule == "causal":
        return ScoreOptions(mode="generate")
    if rule.startswith("full") and rule != "full":
        return ScoreOptions(loops=int(rule.removeprefix("full")))
    assert rule in ("topk", "full", "run"), rule
    return ScoreOptions()


def generate_options(rule: str, tokens: int) -> GenerateOptions:
    """The same for a greedy run that no id ends."""
    score = score_options(rule)
    return GenerateOptions(
        max_new_tokens=tokens,
        ignore_eos=True,
        loops=score.loops,
        exit_threshold=score.exit_threshold,
        missing=score.missing,
    )


def slot_place(name: str) -> tuple[str, int, int]:
    """Cache, layer and slot of a name in kv_slots: first, sharedJ.loopR, layerJ.loopR, core.layerJ.loopR, codaI, ..."""
    if name in SLOT_NAMES:
        return (*SLOT_NAMES[name], 0)
    for outside in ("prelude", "coda"):
        if name.startswith(outside):
            return f"kv_{outside}", int(name.removeprefix(outside)), 0
    layer, loop = name.removeprefix("core.").split(".loop")
    return "kv", int(layer.removeprefix("shared").removeprefix("layer")), int(loop)
