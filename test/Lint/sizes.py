# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""No source file over 1000 lines; above 600 a line of advice: ask whether there are two subjects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tree

LIMIT, ADVICE = 1000, 600
SUFFIXES = (".cpp", ".h", ".c", ".td", ".py", ".pyi", ".sh", ".cmake", "CMakeLists.txt", ".mlir")


def check(root: Path) -> Iterator[tree.Finding]:
    for path in tree.files(root, suffixes=SUFFIXES):
        shown = path.relative_to(root).as_posix()
        if shown.startswith("docs/generated/"):
            continue
        lines = (tree.text(path) or "").count("\n")
        if lines > LIMIT:
            yield shown, LIMIT, f"file has {lines} lines, the limit is {LIMIT}"
        elif lines > ADVICE:
            print(f"advice: {shown} has {lines} lines, above {ADVICE} ask whether there are two subjects")


if __name__ == "__main__":
    tree.run("sizes", check)
