# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fixtures on a device with memory of its own: the bits of the CPU, and host code that touches shared memory only."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import lariat
from lariat._process import find_tool

from .conftest import require_tools
from .fixtures import MODELS


# An encoder, a router per token, a state of its own, exits.
@pytest.mark.parametrize("name", ["albert", "mor-token", "huginn", "ouro"])
def test_a_device_gives_the_bits_of_the_cpu(name: str, tmp_path: Path) -> None:
    require_tools()
    tests = find_tool("lariat-compile").parents[1] / "unittests" / "LariatDeviceTests"
    if not tests.is_file():
        pytest.skip(f"{tests} is not built")
    artefact = tmp_path / "model.lariat"
    lariat.compile(MODELS / name, artefact, lariat.CompileOptions(target="native"))
    done = subprocess.run(
        [tests, "--gtest_filter=CompiledArtefact.*"],
        env={**os.environ, "LARIAT_DEVICE_ARTEFACT": str(artefact)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "[  PASSED  ] 2 tests" in done.stdout
