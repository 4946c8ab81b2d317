# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One term for one thing: refuses the words that docs/glossary.md refuses, those in `code` in its last column.

Looks at all that is written by hand: identifiers, messages, comments, IR, documents. Words in sequence are one phrase,
as in `utStep`, `UT_STEP`, "ut step" and ut-step, also over the end of a line; a plural s is understood. Words of other
projects are one word in quotes: keys of their configs in the files of FOREIGN_KEYS, citations in documents. Names of
their APIs are listed in FOREIGN.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import tree

GLOSSARY = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"

# Names of LLVM, MLIR and language servers that contain a refused word.
FOREIGN = {"artifact_prefix", "getNumLoops", "getNumParallelLoops", "getNumReductionLoops", "workspaceFolders"}

# Files that spell keys of other people's config.json.
FOREIGN_KEYS = ("python/lariat/models/", "python/lariat/bench/stored.py", "python/lariat/bench/released.py",
                "python/tests/", "bench/peers/")  # fmt: skip
# Not ours, generated from what is, about what was, or about words.
SKIPPED = ("docs/generated/", "docs/glossary.md", "test/Lint/", "test/models/", "CHANGELOG.md")
SUFFIXES = (".c", ".cmake", ".cpp", ".def", ".h", ".md", ".mlir", ".py", ".pyi", ".sh", ".td", ".test", ".txt")


def read_glossary(text: str) -> dict[str, str]:
    """Refused phrases with the terms to use instead; of two terms the first one in the glossary."""
    refused: dict[str, str] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3:
            for phrase in re.findall(r"`([^`]+)`", cells[2]):
                refused.setdefault(phrase, cells[0].replace("`", ""))
    return refused


def compile_phrase(phrase: str) -> re.Pattern[str]:
    """A pattern for a phrase in any case: plain, in an identifier, or broken over lines of a comment."""
    words = [rf"(?:{word}|{word.capitalize()}|{word.upper()})" for word in phrase.split()]
    first = phrase.split()[0]
    start = rf"(?:(?<![A-Za-z])(?={words[0]})|(?<=[a-z])(?={first.capitalize()}))"
    return re.compile(start + r"[\s_/*#-]{0,16}".join(words) + "[sS]?(?![a-z])")


QUOTED = re.compile(r"(['\"`])[\w.{}/-]+\1")


def is_foreign(shown: str, source: str, match: re.Match[str]) -> bool:
    line_start = source.rfind("\n", 0, match.start()) + 1
    line = source[line_start : (source + "\n").index("\n", match.end())]
    if line.lstrip().startswith(("#include", "include ")):  # names a file, which the naming of files already covers
        return True
    begin, end = match.start() - line_start, match.end() - line_start
    if any(name.start() <= begin and end <= name.end() and name[0] in FOREIGN for name in re.finditer(r"\w+", line)):
        return True
    quotes = "'\"`" if shown.startswith(FOREIGN_KEYS) else '"' if shown.endswith(".md") else ""
    return any(part.start() < begin and end < part.end() and part[1] in quotes for part in QUOTED.finditer(line))


def check_glossary(root: Path) -> Iterator[tree.Finding]:
    """A term stands once, and is not refused: `entry, view (of a row)` are the terms `entry` and `view (of a row)`."""
    text = tree.text(root / "docs" / "glossary.md") or ""
    refused = read_glossary(text)
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("| ") or line.startswith("| term |"):
            continue
        for term in re.split(r", (?![^(]*\))", line.split(" | ")[0].removeprefix("| ").replace("`", "")):
            if term in seen:
                yield "docs/glossary.md", number, f"'{term}' is listed twice"
            if term in refused:
                yield "docs/glossary.md", number, f"'{term}' is refused in favour of {refused[term]}"
            seen.add(term)


def check(root: Path) -> Iterator[tree.Finding]:
    if (root / "docs" / "glossary.md").exists():
        yield from check_glossary(root)
    refused = read_glossary(GLOSSARY.read_text(encoding="utf-8"))
    patterns = {phrase: compile_phrase(phrase) for phrase in refused}
    for path in tree.files(root, suffixes=SUFFIXES):
        shown = path.relative_to(root).as_posix()
        if shown.startswith(SKIPPED):
            continue
        source = tree.text(path) or ""
        lower = source.lower()
        found = [
            (source.count("\n", 0, match.start()) + 1, " ".join(re.split(r"[\s/*#]+", match[0])), better)
            for phrase, better in refused.items()
            if all(word in lower for word in phrase.split())
            for match in patterns[phrase].finditer(source)
            if not is_foreign(shown, source, match)
        ]
        for line, word, better in sorted(found):
            yield shown, line, f"'{word}' is not one of our words: use {better}"


if __name__ == "__main__":
    tree.run("words", check)
