#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures how closely the reference path agrees with the oracle on the bundled models, and writes README's table.

PYTHONPATH=python LARIAT_BIN_DIR=build/release/bin build/venv/bin/python scripts/agreement.py [--check]
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python")]

import numpy as np  # noqa: E402

import lariat  # noqa: E402
from tests.integration.fixtures import NAMES, Fixture, score_options, tolerance  # noqa: E402

README = ROOT / "README.md"
MARKS = re.compile(r"(<!-- agreement: begin -->\n).*(<!-- agreement: end -->)", re.S)


def measure(name: str, folder: Path) -> str:
    """One line of the table: the case whose error is the largest share of what is allowed."""
    fixture = Fixture.load(name)
    lariat.compile(fixture.path, folder / f"{name}.lariat")
    worst, rows, rules = (0.0, 0.0, 0.0), 0, fixture.rules("len31")
    with lariat.load(folder / f"{name}.lariat") as session:
        for case in fixture.cases():
            for rule in rules:
                expected = fixture.logits(case, rule)
                if expected is None:
                    continue
                if name == "albert":
                    logits = session.encode([fixture.ids(case)])[0].logits
                    assert logits is not None
                else:
                    logits = session.score([fixture.ids(case)], score_options(rule))[0].logits
                error = float(np.abs(logits[-len(expected) :] - expected).max())
                allowed = tolerance(fixture.run(case, rule)["fp32_max_abs_err"])
                worst = max(worst, (error / allowed, error, allowed))
                rows += len(expected)
    share, error, allowed = worst
    rules_text = "all" if rules == ["run"] else ", ".join(rules)
    return f"| {name} | {rules_text} | {rows} | {error:.1e} | {allowed:.1e} | {share:.2f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="print the table and leave README.md alone")
    arguments = parser.parse_args()
    lines = [
        "| model | rules with stored logits | rows compared | error | allowed | error / allowed |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        lines += [measure(name, Path(folder)) for name in NAMES]
    table = "\n".join(lines)
    print(table)
    if not arguments.check:
        README.write_text(MARKS.sub(lambda found: f"{found[1]}{table}\n{found[2]}", README.read_text()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
