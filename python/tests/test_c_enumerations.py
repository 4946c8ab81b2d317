# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Enumerations of the runtime and its C interface have the same numbers: where one changes alone, the build fails."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from lariat._process import find_tool

ROOT = Path(__file__).resolve().parents[2]

# An enumeration of the runtime, its header, the source that compares it, and its first number there.
ENUMERATIONS = [
    ("Order", "Scheduler.h", "Engine.cpp", "LARIAT_ORDER_OLDEST"),
    ("LoopRun", "Engine.h", "Engine.cpp", "LARIAT_LOOP_AUTO"),
    ("Finish", "Engine.h", "Generation.cpp", "LARIAT_FINISH_NONE"),
]


def check(source: str, includes: Path) -> str:
    """What the compiler says to a source of the C interface with headers of `includes` before all others."""
    database = find_tool("lariat-compile").parents[1] / "compile_commands.json"
    if not database.exists():
        pytest.skip("the compiler is not built")
    file = f"lib/CAPI/Runtime/{source}"
    command = next(
        shlex.split(one["command"]) for one in json.loads(database.read_text()) if one["file"].endswith(f"/{file}")
    )
    flags = [word for word in command if word.startswith(("-I", "-D", "-std="))]
    arguments = [command[0], "-fsyntax-only", f"-I{includes}", *flags, str(ROOT / file)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=300).stderr


@pytest.mark.parametrize(("name", "header", "source", "number"), ENUMERATIONS, ids=[one[0] for one in ENUMERATIONS])
def test_an_enumeration_of_another_order_does_not_compile(
    tmp_path: Path, name: str, header: str, source: str, number: str
) -> None:
    place = Path("lariat") / "Runtime" / "Engine" / header
    text = (ROOT / "include" / place).read_text()
    start = f"enum class {name} {{"
    assert text.count(start) == 1
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text(text.replace(start, f"{start} Unknown,"))
    said = check(source, tmp_path)
    assert "static assertion failed" in said and number in said
