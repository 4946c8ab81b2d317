# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""docs/status.md says of each op what holds.

Each op of the dialect has a line. "parses" names a file that round-trips it, "verifies" gives the number of its
constraints, each of which has a negative case named after it (`@recur_c3...`) in an invalid-*.mlir beside that file;
"row-local" agrees with the op's traits. The column of the reference lowering is written by hand.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import generate_docs as ods

TESTS = Path("test/Dialect/Lariat/IR")


def row_local(op: ods.Records) -> bool:
    """Whether the op declares RowLocalOpInterface: ops inherit that from one class."""
    return "Lariat_RowLocalOp" in op["!superclasses"]


def shown_in(root: Path, name: str) -> str:
    """The round-trip file that checks an op most often."""
    counts = {
        path.name: len(re.findall(rf"CHECK.*{re.escape(name)}\b", path.read_text()))
        for path in sorted((root / TESTS).glob("ops-*.mlir"))
    }
    best = max(counts, key=lambda file: counts[file])
    return best if counts[best] else "no"


def expected_lines(root: Path) -> list[str]:
    """The first, second and last column of each op's line, and complaints about tests that are missing."""
    records = ods.records(root, root / "dialects" / "Lariat" / "LariatOps.td")
    invalid = "".join(path.read_text() for path in sorted((root / TESTS).glob("invalid-*.mlir")))
    lines = []
    for op in sorted(ods.of_class(records, "Op"), key=lambda op: str(op["opName"])):
        if records[op["opDialect"]["def"]]["name"] != "lariat":
            continue
        name = f"lariat.{op['opName']}"
        labels = re.findall(r"^\s*- `(\w+_c\d+)`", op["description"], re.MULTILINE)
        missing = [label for label in labels if not re.search(rf"@{label}(_\w+)?\b", invalid)]
        verifies = f"no case for {', '.join(missing)}" if missing else f"{len(labels)} of {len(labels)}"
        local = "yes" if row_local(op) else "no"
        lines.append(f"| `{name}` | {shown_in(root, name)} | {verifies} | {local} |")
    return lines


def main() -> int:
    root = Path(sys.argv[1]).resolve()
    status = (root / "docs" / "status.md").read_text().splitlines()
    table = [re.sub(r"^(\|[^|]*\|[^|]*\|[^|]*\|)[^|]*(\|[^|]*\|)$", r"\1\2", line) for line in status]
    table = [line.replace("||", "|") for line in table if line.startswith("| `lariat.")]
    expected = expected_lines(root)
    wrong = sorted(set(expected) ^ set(table))
    for line in wrong:
        print(f"docs/status.md: {'missing' if line in expected else 'not true'}: {line}")
    print(f"docs/status.md: {len(expected)} ops, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
