# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The version stands in cmake/LariatVersion.cmake and in the package, which python/pyproject.toml reads."""

from __future__ import annotations

import re
from pathlib import Path

import lariat

ROOT = Path(__file__).resolve().parents[2]


def test_the_package_has_the_version_of_the_compiler() -> None:
    text = (ROOT / "cmake" / "LariatVersion.cmake").read_text()
    assert re.findall(r"set\(LARIAT_VERSION (\S+)\)", text) == [lariat.__version__]
    assert not re.search(r"^version *= *\"", (ROOT / "python" / "pyproject.toml").read_text(), re.M)


def test_the_readme_cites_that_version() -> None:
    assert re.findall(r"version (\d+\.\d+\.\d+)", (ROOT / "README.md").read_text()) == [lariat.__version__]
