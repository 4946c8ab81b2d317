# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every example parses, and every op says what it is.

Runs each fenced `mlir` block of the TableGen records of dialects/**/*.td and of README.md, dialects/**/*.md and
docs/**/*.md through lariat-opt, and the `Example: ...` of each attribute and type. Text of TableGen is read from the
records, so strings that are put together there count as well. Findings: an example that lariat-opt refuses or that does
not show its op; an op, attribute or type without summary, description or example; an operand or result without doc
string; a pass without summary or description, or whose example, a test, does not exist.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import generate_docs as ods

INLINE = re.compile(r"Example:\s+`([^`]+)`")
FENCE = re.compile(r"^([ \t]*)```mlir\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """One fenced block: where it stands, and the op it must show (empty for prose)."""

    place: str
    text: str
    op: str


def fences(text: str) -> list[tuple[int, str]]:
    """Line number and contents of each fenced `mlir` block."""
    return [(text.count("\n", 0, match.start()) + 1, match[2]) for match in FENCE.finditer(text)]


def definitions(root: Path) -> list[Path]:
    """The .td files that others do not include: one per dialect and one per list of passes."""
    paths = sorted((root / "dialects").rglob("*.td"))
    included = {name for path in paths for name in re.findall(r'^include "([^"/]+)"', path.read_text(), re.MULTILINE)}
    return [path for path in paths if path.name not in included]


class Checker:
    def __init__(self, root: Path, opt: str) -> None:
        self.root, self.opt = root, opt
        self.findings: list[str] = []
        self.examples: list[Example] = []
        text = "".join(path.read_text() for path in (root / "dialects").rglob("*.td"))
        self.dialects = set(re.findall(r': Dialect \{\s*let name = "(\w+)"', text))

    def find(self, place: str, message: str) -> None:
        self.findings.append(f"{place}: {message}")

    def read_record(self, record: ods.Records, place: str, op: str = "") -> None:
        """A record that must have a summary and a description; its examples are kept."""
        for field in ("summary", "description"):
            if not (record.get(field) or "").strip():
                self.find(place, f"has no {field}")
        for _, text in fences(record.get("description") or ""):
            self.examples.append(Example(place, text, op))

    def read_op(self, records: ods.Records, op: ods.Records, place: str) -> None:
        dialect = records[op["opDialect"]["def"]]["name"]
        name = f"{dialect}.{op['opName']}"
        before = len(self.examples)
        self.read_record(op, f"{place}: {name}", name)
        if len(self.examples) == before:
            self.find(f"{place}: {name}", "has no example")
        for dag, kind in (("arguments", "operand"), ("results", "result")):
            known = ods.doc_strings(records, op, dag)
            for value, argument in op[dag]["args"]:
                constraint = records[value["def"]]
                while "OpVariable" in constraint["!superclasses"]:
                    constraint = records[constraint["constraint"]["def"]]
                if "TypeConstraint" in constraint["!superclasses"] and not known.get(argument):
                    self.find(f"{place}: {name}", f"{kind} '{argument}' has no doc string")

    def read_parameter(self, record: ods.Records, place: str) -> None:
        """An attribute or a type, with its example inside the text."""
        self.read_record(record, place)
        match = INLINE.search(record.get("description") or "")
        if match is None:
            self.find(place, "has no example")
        elif match[1].startswith("!"):
            self.examples.append(Example(place, f"func.func private @example({match[1]})", ""))
        else:
            self.examples.append(Example(place, f"module attributes {{lariat.hint.example = {match[1]}}} {{}}", ""))

    def read_pass(self, record: ods.Records, place: str) -> None:
        """A pass; its example is a test of the tree."""
        self.read_record(record, place)
        match = re.search(r"Example:\s+(\S+)", record.get("description") or "")
        if match is None:
            self.find(place, "names no example")
        elif not (self.root / match[1]).exists():
            self.find(place, f"names the example {match[1]}, which does not exist")

    def read_definitions(self, path: Path) -> None:
        place, records = path.relative_to(self.root).as_posix(), ods.records(self.root, path)
        ours = {d["!name"] for d in ods.of_class(records, "Dialect") if d["name"] in self.dialects}  # not upstream's
        for op in ods.of_class(records, "Op"):
            if op["opDialect"]["def"] in ours:
                self.read_op(records, op, place)
        for kind in ("AttrDef", "TypeDef"):
            for record in ods.of_class(records, kind):
                if record["dialect"]["def"] in ours and "EnumAttr" not in record["!superclasses"]:
                    self.read_parameter(record, f"{place}: {record['!name']}")
        for record in ods.of_class(records, "PassBase"):
            self.read_pass(record, f"{place}: --{record['argument']}")

    def read_markdown(self) -> None:
        paths = [self.root / "README.md", *(self.root / "dialects").rglob("*.md"), *(self.root / "docs").rglob("*.md")]
        for path in sorted(path for path in paths if path.is_file()):
            place = path.relative_to(self.root)
            if place.parts[:2] == ("docs", "generated"):
                continue  # the same examples again
            for line, text in fences(path.read_text()):
                self.examples.append(Example(f"{place.as_posix()}:{line}", text, ""))

    def run_examples(self) -> None:
        for example in self.examples:
            if example.op and not re.search(rf"\b{re.escape(example.op)}\b", example.text):
                self.find(example.place, "its example does not show it")
            result = subprocess.run([self.opt, "-"], check=False, input=example.text, capture_output=True, text=True)
            if result.returncode:
                self.find(example.place, f"lariat-opt refuses its example\n{result.stderr.rstrip()}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--opt", default="lariat-opt", help="lariat-opt to run")
    options = parser.parse_args()
    checker = Checker(options.root.resolve(), options.opt)
    for path in definitions(checker.root):
        checker.read_definitions(path)
    checker.read_markdown()
    checker.run_examples()
    for finding in checker.findings:
        print(finding)
    print(f"{len(checker.examples)} examples, {len(checker.findings)} findings")
    return 1 if checker.findings else 0


if __name__ == "__main__":
    sys.exit(main())
