# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""No file of the product over 550 lines, no other source file over 1000, no function of the product over 90 lines.

Lines of C, C++ and .td files have at most 120 columns: clang-format leaves comments and raw strings alone, and no tool
formats TableGen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import tree

FILE_LIMIT, OTHER_FILE_LIMIT, FUNCTION_LIMIT, LINE_LIMIT = 550, 1000, 90, 120
SUFFIXES = (".cpp", ".h", ".c", ".td", ".py", ".pyi", ".sh", ".cmake", "CMakeLists.txt", ".mlir")
PRODUCT = ("dialects/", "lib/", "include/", "tools/", "python/lariat/", "python/src/")
GENERATED = ("docs/generated/", "python/lariat/_ir/ops.py")

# In formatted C++ a function at namespace scope starts at column 0 and ends with a line that is one brace; declarations
# end with a semicolon, and what holds functions with more than a brace ("};", "} // namespace").
_STARTS = re.compile(r"^[A-Za-z_~\[]")
_HOLDS_FUNCTIONS = re.compile(r"^(inline )?namespace\b|^extern \"C\" \{$")


def cpp_functions(lines: list[str]) -> Iterator[tuple[int, int]]:
    """First line, counted from 1, and number of lines of each function at namespace scope."""
    start = 0
    for number, line in enumerate(lines, 1):
        if line == "}" and start:
            yield start, number - start + 1
        if line.startswith("}") or _HOLDS_FUNCTIONS.match(line):
            start = 0
        elif _STARTS.match(line):
            start = 0 if line.endswith(";") else start or number


def python_functions(text: str) -> Iterator[tuple[int, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def check(root: Path) -> Iterator[tree.Finding]:
    for path in tree.files(root, suffixes=SUFFIXES):
        shown = path.relative_to(root).as_posix()
        if shown.startswith(GENERATED):
            continue
        text = tree.text(path) or ""
        limit = FILE_LIMIT if shown.startswith(PRODUCT) else OTHER_FILE_LIMIT
        if text.count("\n") > limit:
            yield shown, limit, f"file has {text.count(chr(10))} lines, the limit is {limit}"
        if shown.endswith((".c", ".cpp", ".h", ".td")):
            for line, content in enumerate(text.splitlines(), 1):
                if len(content) > LINE_LIMIT:
                    yield shown, line, f"line has {len(content)} columns, the limit is {LINE_LIMIT}"
        if not shown.startswith(PRODUCT) or shown.endswith(".td"):
            continue
        functions = python_functions(text) if shown.endswith(".py") else cpp_functions(text.splitlines())
        for line, length in functions:
            if length > FUNCTION_LIMIT:
                yield shown, line, f"function has {length} lines, the limit is {FUNCTION_LIMIT}"


if __name__ == "__main__":
    tree.run("sizes", check)
