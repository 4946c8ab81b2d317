# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Memory by accounting: what the compiler foretells is what the runtime takes, and the process takes little more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lariat
from lariat.bench.make_checkpoint import make_checkpoint
from lariat.bench.shapes import SHAPES
from lariat.importer import import_to_file
from lariat.session import GenerateOptions, ScoreOptions
from tests.build import is_sanitised
from tests.checkpoints import MODELS, OPT

# What a process with Python, numpy and the runtime may take beyond weights, entries and calls.
OTHER_BYTES = 60 * 10**6


def foretell(checkpoint: Path, artefact: Path) -> dict[str, int]:
    """Figures of --print-memory=all."""
    module = artefact.with_suffix(".mlir")
    import_to_file(checkpoint, module)
    command = [OPT.with_name("lariat-compile"), module, "-o", artefact, "--print-memory=all", "--target", "native"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    patterns = {
        "weights": r"weights: (\d+) bytes",
        "arena_row": r"call of forward \(generate\): (\d+) bytes per row",
        "padding": r"call of forward \(generate\): .*rows rounded up to (\d+)",
        "cells": r"call of forward \(generate\): .*; (\d+) bytes of cells",
        "scratch": r"call of forward \(generate\): .*; (\d+) bytes of scratch per thread",
        "kv_token": r"; (\d+) bytes per token",
    }
    found = {name: re.findall(pattern, text) for name, pattern in patterns.items()}
    return {name: sum(map(int, numbers)) for name, numbers in found.items()}


def allocated(size: int) -> int:
    """Buffers are whole cache lines, large ones whole pages."""
    unit = 4096 if size >= 1 << 20 else 64
    return max(1, -(-size // unit)) * unit


@pytest.mark.parametrize("name", ["ouro", "mor-share", "mor-expert", "rrt", "huginn"])
@pytest.mark.parametrize("rows", [1, 100])
def test_a_call_takes_what_the_compiler_foretold(tmp_path: Path, name: str, rows: int) -> None:
    said = foretell(MODELS / name, tmp_path / "model.lariat")
    threads = 2
    with lariat.load(tmp_path / "model.lariat", threads=threads) as session:
        session.score([[1] * rows], ScoreOptions(mode="generate"))
        took = session.memory()
    padded = -(-rows // said["padding"]) * said["padding"]
    assert took["weights"] == said["weights"]
    assert took["arena"] == allocated(said["arena_row"] * padded)
    assert took["cells"] == allocated(said["cells"])
    assert took["scratch"] == allocated(-(-said["scratch"] // 64) * 64 * threads)
    assert took["kv_live"] == took["kv_pages"] == 0


def test_entries_of_a_running_sequence_take_what_the_compiler_foretold(tmp_path: Path) -> None:
    said = foretell(MODELS / "ouro", tmp_path / "model.lariat")
    with lariat.load(tmp_path / "model.lariat") as session:
        options = GenerateOptions(max_new_tokens=9, ignore_eos=True)
        for number, _ in enumerate(session.stream([[1, 2, 3, 4, 5]], options)):
            if number == 6:  # the prompt and six tokens were rows of calls, the seventh token was not yet
                assert session.memory()["kv_live"] == (5 + 6) * said["kv_token"]


@pytest.mark.skipif(is_sanitised(), reason="a sanitizer takes memory of its own")
def test_a_process_takes_little_more_than_weights_entries_and_calls(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(SHAPES["loop512"], tmp_path / "checkpoint", seed=0)
    lariat.compile(checkpoint, tmp_path / "model.lariat")
    program = f"""
import json, lariat
from lariat.session import GenerateOptions
with lariat.load({str(tmp_path / "model.lariat")!r}) as session:
    run = session.stream([[1] * 512], GenerateOptions(max_new_tokens=8, ignore_eos=True))
    held = [session.memory() for _, event in zip(range(7), run)][-1]
    list(run)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps(dict(held, peak=int(peak.split()[1]) * 1024)))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    took = json.loads(done.stdout)
    peak = took.pop("peak")
    accounted = sum(size for name, size in took.items() if name != "kv_live")
    assert peak <= accounted + OTHER_BYTES, f"{peak / 1e6:.1f} MB, of which {accounted / 1e6:.1f} MB are accounted for"
