# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What conftest.py makes of tests that skip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest
def test_of_a_build(): pytest.skip("the tools are not built")
def test_of_a_module(): pytest.importorskip("no_such_module", reason="the native module is not built")
def test_of_a_machine(): pytest.skip("no /dev/full")
"""


@pytest.mark.parametrize(("built", "summary"), [("1", "2 failed, 1 skipped"), ("", "3 skipped")])
def test_a_missing_build_fails_only_where_all_was_built(tmp_path: Path, built: str, summary: str) -> None:
    (tmp_path / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (tmp_path / "test_skips.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LARIAT_BUILT": built})
    assert summary in done.stdout
