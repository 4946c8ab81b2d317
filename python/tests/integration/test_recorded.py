# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checkpoints of transformers' own classes and of the Ouro and Nanbeige compositions agree with recorded outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lariat.session import ScoreOptions, Session

RECORDED = Path(__file__).resolve().parents[1] / "oracle" / "recorded"
NAMES = sorted(folder.name for folder in RECORDED.iterdir() if folder.is_dir())

# These outputs are float32 runs of tiny models; both sides round.
ALLOWED = 2e-5


@pytest.mark.parametrize("name", NAMES)
def test_outputs_agree(open_session: Callable[..., Session], name: str) -> None:
    config = json.loads((RECORDED / name / "config.json").read_text())
    expected = load_file(RECORDED / name / "expected.safetensors")
    session = open_session(RECORDED / name)
    numbers = sorted(int(key.split(".")[1]) for key in expected if key.startswith("ids."))
    batch = [[int(token) for token in expected[f"ids.{number}"]] for number in numbers]
    if config["model_type"] == "albert":
        for number, encoded in zip(numbers, session.encode(batch), strict=True):
            found = encoded.logits if f"logits.{number}" in expected else encoded.hidden
            wanted = expected.get(f"logits.{number}", expected.get(f"hidden.{number}"))
            assert found is not None and wanted is not None
            assert np.abs(found - wanted).max() <= ALLOWED
        return
    options = ScoreOptions()
    if config["model_type"] == "ouro":
        # The class computes all loops and selects afterwards.
        options = ScoreOptions(exit_threshold=config["early_exit_threshold"], missing="compute")
    for number, result in zip(numbers, session.score(batch, options), strict=True):
        scale = max(1.0, float(np.abs(expected[f"logits.{number}"]).max()))
        assert np.abs(result.logits - expected[f"logits.{number}"]).max() <= ALLOWED * scale
        if f"steps.{number}" in expected:
            np.testing.assert_array_equal(result.steps, expected[f"steps.{number}"])


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("ouro")])
def test_every_loop_of_ouro_agrees(open_session: Callable[..., Session], name: str) -> None:
    expected = load_file(RECORDED / name / "expected.safetensors")
    session = open_session(RECORDED / name)
    ids = [int(token) for token in expected["ids.0"]]
    for loops in range(1, session.info.loops.default + 1):
        result = session.score([ids], ScoreOptions(loops=loops))[0]
        wanted = expected[f"loop_logits.0.{loops - 1}"]
        assert np.abs(result.logits - wanted).max() <= ALLOWED * max(1.0, float(np.abs(wanted).max()))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("hrm")])
def test_prefix_of_hrm_agrees(open_session: Callable[..., Session], name: str) -> None:
    expected = load_file(RECORDED / name / "expected.safetensors")
    if "prefix_ids.0" not in expected:
        assert not json.loads((RECORDED / name / "config.json").read_text())["prefix_lm"]
        return
    rows = int(expected["prefix_rows.0"].reshape(-1)[0])
    ids = [int(token) for token in expected["prefix_ids.0"]]
    result = open_session(RECORDED / name).score([ids], ScoreOptions(prefix=rows))[0]
    assert np.abs(result.logits - expected["prefix_logits.0"]).max() <= ALLOWED
