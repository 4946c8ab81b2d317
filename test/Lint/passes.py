# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every pass of dialects/**/*.td runs: lib/Compiler/Pipelines.cpp creates it, in the order of the .td file.

A pass that no pipeline runs says in its description that it is `experimental` or for tests. Every pass counts what it
does: it has a statistic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import tree

PIPELINES = Path("lib/Compiler/Pipelines.cpp")
PASS = re.compile(r'^def (\w+) *: *Pass<"([\w-]+)".*?^}', re.M | re.S)
NOT_RUN = re.compile(r"\bexperimental\b|\bfor tests\b", re.I)


def check(root: Path) -> Iterator[tree.Finding]:
    pipelines = (root / PIPELINES).read_text()
    for path in tree.files(root, "dialects", suffixes=(".td",)):
        source, last = tree.text(path) or "", -1
        for match in PASS.finditer(source):
            place = path.relative_to(root).as_posix(), source[: match.start()].count("\n") + 1
            if "Statistic<" not in match[0]:
                yield *place, f"'{match[2]}' has no statistic"
            created = re.search(rf"\bcreate{match[1]}\(", pipelines)
            if created is None:
                if not NOT_RUN.search(match[0]):
                    yield *place, f"no pipeline of {PIPELINES} runs '{match[2]}', and it does not say 'experimental'"
            elif created.start() < last:
                yield *place, f"'{match[2]}' runs before the passes above it"
            else:
                last = created.start()


if __name__ == "__main__":
    tree.run("passes", check)
