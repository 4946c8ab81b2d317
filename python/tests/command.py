# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The `lariat` command as a user runs it, for tests of its exit status and messages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


class Command:
    """Runs `lariat` as a user does, in a folder of its own."""

    def __init__(self, folder: Path, tools: Path | None = None) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYTHONSAFEPATH": "1"}
        if tools is not None:
            self.environment["LARIAT_BIN_DIR"] = str(tools)

    def start(self, *arguments: object, **pipes: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "lariat", *map(str, arguments)]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, encoding="utf-8", **pipes)

    def run(self, *arguments: object) -> tuple[int, str, str]:
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def ok(self, *arguments: object) -> str:
        status, out, err = self.run(*arguments)
        assert (status, err) == (0, "")
        return out

    def fails(self, *arguments: object) -> str:
        """Message of a run that fails as the contract says, and leaves no temporary file."""
        before = sorted(self.folder.rglob("*.tmp"))
        status, out, err = self.run(*arguments)
        assert status > 0
        assert err.startswith("error: ") and err.endswith("\n") and err.count("\n") == 1, err
        assert "Traceback" not in err
        assert sorted(self.folder.rglob("*.tmp")) == before
        return err.removeprefix("error: ").rstrip("\n")
