# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the lints share: which files are ours, and how a finding is printed.

Every lint is `python test/Lint/NAME.py ROOT`: one `file:line: message` per finding, then a count; exit status 1 when
there is a finding, 2 when it is called wrongly. A folder that does not exist yet holds no files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Folders that hold nothing written by hand for this repository.
SKIPPED_FOLDERS = {".git", "build", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}

Finding = tuple[str, int, str]


def files(root: Path, *folders: str, suffixes: tuple[str, ...] = ()) -> Iterator[Path]:
    """Files under ROOT/FOLDER for each folder, in sorted order; all of ROOT without a folder."""
    for folder in folders or (".",):
        for where, names, entries in os.walk(root / folder):
            names[:] = sorted(n for n in names if n not in SKIPPED_FOLDERS)
            for entry in sorted(entries):
                path = Path(where) / entry
                if not path.is_symlink() and (not suffixes or entry.endswith(suffixes)):
                    yield path


def text(path: Path) -> str | None:
    """Contents of a text file, None for a binary one."""
    data = path.read_bytes()
    if b"\0" in data[:4096]:
        return None
    return data.decode("utf-8", errors="replace")


def run(name: str, check: Callable[[Path], Iterator[Finding]]) -> None:
    """Run one lint from the command line and exit."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print(f"usage: {name}.py ROOT", file=sys.stderr)
        raise SystemExit(2)
    root = Path(sys.argv[1]).resolve()
    findings = list(check(root))
    for path, line, message in findings:
        print(f"{path}:{line}: {message}")
    print(f"{name}: {len(findings)} finding{'' if len(findings) == 1 else 's'}")
    raise SystemExit(1 if findings else 0)
