# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""No stretch of more than 12 equal lines in two of the libraries that answer requests.

The reference path and the runtime answer the same requests: what both need of them is lib/Requests. Lines are compared
without their spaces, and blank lines do not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tree

LIBRARIES = ("Reference", "Requests", "Runtime")
MOST = 12


class Place(NamedTuple):
    library: str
    path: str
    first: int  # line of a file, from 1


def _lines(path: Path) -> list[tuple[int, str]]:
    """Number and text, without spaces, of each line that is not blank."""
    numbered = enumerate((tree.text(path) or "").splitlines(), 1)
    return [(number, stripped) for number, line in numbered if (stripped := "".join(line.split()))]


def check(root: Path) -> Iterator[tree.Finding]:
    stretches: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    for library in LIBRARIES:
        folders = (f"lib/{library}", f"include/lariat/{library}")
        for path in tree.files(root, *folders, suffixes=(".h", ".cpp")):
            lines = _lines(path)
            for at in range(len(lines) - MOST):
                stretch = tuple(line for _, line in lines[at : at + MOST + 1])
                stretches[stretch].append(Place(library, path.relative_to(root).as_posix(), lines[at][0]))
    reported: set[tuple[str, str]] = set()
    for places in stretches.values():
        for other in places[1:]:
            first = places[0]
            if other.library != first.library and (first.path, other.path) not in reported:
                reported.add((first.path, other.path))  # the windows behind it tell the same
                yield other.path, other.first, f"more than {MOST} lines are those of {first.path}:{first.first}"


if __name__ == "__main__":
    tree.run("duplicates", check)
