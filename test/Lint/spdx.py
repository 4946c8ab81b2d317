# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every source file carries the licence line within its first ten lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tree

LINE = "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception"
SUFFIXES = (".cpp", ".h", ".c", ".td", ".py", ".pyi", ".sh")


def check(root: Path) -> Iterator[tree.Finding]:
    for path in tree.files(root, suffixes=SUFFIXES):
        source = tree.text(path) or ""
        if source.strip() and not any(LINE in line for line in source.splitlines()[:10]):
            yield path.relative_to(root).as_posix(), 1, f"missing '{LINE}' within the first ten lines"


if __name__ == "__main__":
    tree.run("spdx", check)
