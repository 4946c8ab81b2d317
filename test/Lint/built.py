# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every C++ source is named in a CMakeLists.txt of its folder or one above: others are neither built nor run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import tree


def check(root: Path) -> Iterator[tree.Finding]:
    for path in tree.files(root, "bench", "lib", "python", "tools", "unittests", suffixes=(".cpp",)):
        folders = [folder for folder in path.parents if folder.is_relative_to(root) and folder != root]
        lists = [folder / "CMakeLists.txt" for folder in folders]
        if not any(path.name in re.split(r"[\s()/]", tree.text(one) or "") for one in lists if one.exists()):
            yield path.relative_to(root).as_posix(), 1, "no CMakeLists.txt names it"


if __name__ == "__main__":
    tree.run("built", check)
