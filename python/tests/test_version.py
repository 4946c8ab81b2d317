# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The version stands in lariat/VERSION alone: package, its metadata and tools read it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import lariat
from lariat._process import find_tool

ROOT = Path(__file__).resolve().parents[2]
VERSION = (ROOT / "python" / "lariat" / "VERSION").read_text().strip()


def test_the_package_has_the_version() -> None:
    assert lariat.__version__ == VERSION


def test_the_metadata_of_the_package_have_the_version() -> None:
    setuptools = pytest.importorskip("setuptools.config.pyprojecttoml")
    project = setuptools.read_configuration(ROOT / "python" / "pyproject.toml")["project"]
    assert project["version"].strip() == VERSION


def test_the_compiler_prints_the_version() -> None:
    tool = find_tool("lariat-compile")
    if not tool.exists():
        pytest.skip("lariat-compile is not built")
    assert f"lariat-compile {VERSION}\n" in subprocess.run([tool, "--version"], capture_output=True, text=True).stdout


@pytest.mark.parametrize("path", ["CMakeLists.txt", "README.md", "python/pyproject.toml", "python/lariat/__init__.py"])
def test_no_other_file_names_the_version(path: str) -> None:
    assert VERSION not in (ROOT / path).read_text()
