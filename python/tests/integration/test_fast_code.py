# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Machine code follows from the shapes of a model, not from its depth and hardly from its number of layers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lariat
from lariat.bench.make_checkpoint import make_checkpoint
from lariat.bench.shapes import SHAPES
from tests.integration.families import find_spec, write_family
from tests.integration.random_models import RandomModel
from tests.oracle.specs import Spec


def compile_module(folder: Path, name: str, text: str, weights: Path | None = None) -> tuple[Path, dict[str, Any]]:
    """The artefact of a module and the compiler's figures."""
    source, artefact, report = (folder / f"{name}{end}" for end in (".mlir", ".lariat", ".json"))
    source.write_text(text)
    lariat.compile(source, artefact, lariat.CompileOptions(pipeline="fast", weights=weights, report=report))
    return artefact, json.loads(report.read_text())


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_code_is_the_same_for_1_and_8_and_64_loop_steps(tmp_path: Path, seed: int) -> None:
    model = RandomModel.draw(seed)
    codes = []
    for loops in (1, 8, 64):
        artefact, _ = compile_module(tmp_path, f"loops{loops}", model.with_loops(loops).text())
        codes.append({path.name: path.read_bytes() for path in sorted((artefact / "code").iterdir())})
    assert codes[0] and codes[0] == codes[1] == codes[2]


@pytest.mark.long
def test_code_for_135_million_weights_takes_less_than_100_kB_an_isa(tmp_path: Path) -> None:
    """Code generation takes time by the byte: 55 kB are about two seconds."""
    checkpoint = make_checkpoint(SHAPES["mor135"], tmp_path / "checkpoint", seed=0)
    report = tmp_path / "report.json"
    lariat.compile(checkpoint, tmp_path / "model.lariat", lariat.CompileOptions(report=report))
    sizes = {isa: target["code_bytes"] for isa, target in json.loads(report.read_text())["targets"].items()}
    assert sizes and all(size < 100_000 for size in sizes.values()), sizes


def with_layers(spec: Spec, layers: int) -> Spec:
    config = {**spec.config, "num_shared_layers": layers}
    return replace(spec, name=f"{spec.name}-{layers}", config=config)


def test_forty_layers_have_hardly_more_code_than_four(tmp_path: Path) -> None:
    spec = find_spec("mor-token-sigmoid")
    sizes: dict[int, dict[str, int]] = {}
    for layers in (4, 40):
        family = write_family(tmp_path, with_layers(spec, layers))
        _, report = compile_module(tmp_path, f"layers{layers}", family.text, family.directory)
        sizes[layers] = {isa: figures["code_bytes"] for isa, figures in report["targets"].items()}
    for isa, size in sizes[4].items():
        assert size > 0
        assert sizes[40][isa] <= 1.1 * size, f"{isa}: {size} bytes for 4 layers, {sizes[40][isa]} for 40"
