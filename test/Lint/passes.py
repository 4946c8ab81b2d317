# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every pass of dialects/**/*.td runs: lib/Compiler/Pipelines.cpp creates it, in the order of the .td file.

A pass that no pipeline runs says in its description that it is `experimental` or for tests. Every pass counts what it
does: it has a statistic. Every pass says in remarks what it decided, in the file that defines it, or says in its
description why there are none ("No remarks: it only checks.").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import tree

PIPELINES = Path("lib/Compiler/Pipelines.cpp")
PASS = re.compile(r'^def (\w+) *: *Pass<"([\w-]+)".*?^}', re.M | re.S)
NO_REMARKS = re.compile(r"\bNo remarks: ")
NOT_RUN = re.compile(r"\bexperimental\b|\bfor tests\b", re.I)


def remarking(root: Path) -> set[str]:
    """Passes, as their generated headers spell them, whose files make remarks."""
    found: set[str] = set()
    for path in tree.files(root, "lib", suffixes=(".cpp",)):
        source = tree.text(path) or ""
        if "remark::" in source:
            found.update(re.findall(r"#define GEN_PASS_DEF_(\w+)", source))
    return found


def check(root: Path) -> Iterator[tree.Finding]:
    pipelines, remarks = (root / PIPELINES).read_text(), remarking(root)
    for path in tree.files(root, "dialects", suffixes=(".td",)):
        source, last = tree.text(path) or "", -1
        for match in PASS.finditer(source):
            place = path.relative_to(root).as_posix(), source[: match.start()].count("\n") + 1
            if "Statistic<" not in match[0]:
                yield *place, f"'{match[2]}' has no statistic"
            if match[1].upper() not in remarks and not NO_REMARKS.search(match[0]):
                yield *place, f"'{match[2]}' makes no remarks, and its description does not say why"
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
