# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""No path of somebody's machine and none that leaves the repository: a checkout must stand alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import tree

# Absolute paths into a home or work folder, at the start of a word; and the folder beside the checkout.
MACHINE = re.compile(r"(?<![\w.~*/}-])/(?:work|root|home/\w+|Users/\w+)/[\w.-]+|\.\./shared\b")
BINARY = (".safetensors", ".mlirbc", ".npz", ".png")


def check(root: Path) -> Iterator[tree.Finding]:
    for path in tree.files(root):
        if path.name.endswith(BINARY) or (source := tree.text(path)) is None:
            continue
        for number, line in enumerate(source.splitlines(), 1):
            if match := MACHINE.search(line):
                yield path.relative_to(root).as_posix(), number, f"'{match[0]}' exists on one machine only"


if __name__ == "__main__":
    tree.run("paths", check)
