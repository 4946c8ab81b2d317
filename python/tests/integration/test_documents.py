# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The commands and programs in README.md and the tutorials run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lariat._process import find_tool
from lariat.errors import RuntimeFault
from tests.public.available import require_public_checkpoint

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
FENCE = re.compile(r"^```(sh|python)\n(.*?)^```$", re.M | re.S)

# Set-up and whole suites, which cannot run inside a test.
NOT_HERE = ("scripts/setup.sh", "scripts/demo.sh", "scripts/test.sh")


def _blocks(document: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block, without lines that set the machine up."""
    found = []
    for language, text in FENCE.findall(document.read_text(encoding="utf-8")):
        lines = [line for line in text.splitlines() if not line.startswith(NOT_HERE)]
        if any(line.strip() for line in lines):
            found.append((language, "\n".join(lines)))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_run_in_order(document: Path, tmp_path: Path) -> None:
    try:
        binaries = find_tool("lariat-reference").parent
    except RuntimeFault as error:
        pytest.skip(f"the tools are not built: {error}")
    if not (binaries / "lariat").exists():
        pytest.skip(f"{binaries / 'lariat'}, the launcher, is not built: scripts/setup.sh writes it")
    if "scripts/smollm2.py" in document.read_text(encoding="utf-8"):
        require_public_checkpoint()
    # A checkout as the reader sees it: the models and the commands at their places.
    for name in ("include", "scripts", "test"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "build" / "release" / "bin").mkdir(parents=True)
    (tmp_path / "build" / "release" / "lib").symlink_to(binaries.parent / "lib")
    (tmp_path / "build" / "venv").symlink_to(sys.prefix)
    for tool in binaries.iterdir():
        (tmp_path / "build" / "release" / "bin" / tool.name).symlink_to(tool)
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "python"),
    }
    blocks = _blocks(document)
    assert blocks, f"{document.name} has no block to run"
    for language, text in blocks:
        command = ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{document.name}:\n{text}\n{done.stdout}{done.stderr}"
