# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Adds up what scripts/test.sh left in a folder and prints `N passed, N failed[, N skipped]` as the last line.

Each leg has LEG.status, the exit status of its program, and a report in that program's own format. A leg that failed
without a failed test in its report (it crashed, or wrote none) counts as one failure. Exit status 1 when anything
failed or nothing ran.
"""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import NamedTuple

# pytest's own status for "no test was collected".
PYTEST_NO_TESTS = 5


class Result(NamedTuple):
    name: str
    outcome: str  # "passed", "failed" or "skipped"
    reason: str = ""


def lit_results(path: Path) -> list[Result]:
    outcomes = {"PASS": "passed", "XFAIL": "passed", "FLAKYPASS": "passed"}
    outcomes |= {"UNSUPPORTED": "skipped", "SKIPPED": "skipped", "EXCLUDED": "skipped"}
    found = []
    for test in json.loads(path.read_text())["tests"]:
        outcome = outcomes.get(test["code"], "failed")
        reason = ""
        if outcome == "skipped":
            output = test.get("output", "")
            needs = re.search(r"unavailable features: *(.+)", output)
            reason = (
                f"needs {needs[1]}" if needs else output.strip().splitlines()[0] if output.strip() else test["code"]
            )
        found.append(Result(test["name"], outcome, reason))
    return found


def gtest_results(path: Path) -> list[Result]:
    found = []
    for suite in json.loads(path.read_text()).get("testsuites", []):
        for test in suite.get("testsuite", []):
            name = f"{suite['name']}.{test['name']}"
            if test.get("failures"):
                found.append(Result(name, "failed"))
            elif test.get("result") == "SKIPPED":
                found.append(Result(name, "skipped", "GTEST_SKIP"))
            elif test.get("status") == "RUN":
                found.append(Result(name, "passed"))
    return found


def junit_results(path: Path) -> list[Result]:
    found = []
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            found.append(Result(name, "failed"))
        elif skip is not None and skip.get("type") != "pytest.xfail":
            found.append(Result(name, "skipped", skip.get("message") or ""))
        else:
            found.append(Result(name, "passed"))
    return found


def lint_results(path: Path) -> list[Result]:
    return [Result(*line.split("\t")) for line in path.read_text().splitlines()]


def leg_results(folder: Path, leg: str, status: int) -> list[Result]:
    if leg == "pytest" and status == PYTEST_NO_TESTS:
        return []
    readers = {"lit": (lit_results, "json"), "pytest": (junit_results, "xml"), "lint": (lint_results, "tsv")}
    reader, suffix = readers.get(leg, (gtest_results, "json"))
    report = folder / f"{leg}.{suffix}"
    found: list[Result] = []
    if report.exists():
        try:
            found = reader(report)
        except (ValueError, KeyError, TypeError, ElementTree.ParseError) as error:
            return [Result(leg, "failed", f"its report cannot be read: {error}")]
    elif status == 0:
        return [Result(leg, "failed", "it wrote no report")]
    if status != 0 and not any(r.outcome == "failed" for r in found):
        found.append(Result(leg, "failed", f"exit status {status} without a failed test in its report"))
    return found


def main() -> int:
    folder = Path(sys.argv[1])
    totals: Counter[str] = Counter()
    failed: list[Result] = []
    skips: Counter[tuple[str, str]] = Counter()
    for path in sorted(folder.glob("*.status")):
        results = leg_results(folder, path.stem, int(path.read_text()))
        counts = Counter(r.outcome for r in results)
        totals += counts
        failed += [r for r in results if r.outcome == "failed"]
        skips.update((path.stem, r.reason) for r in results if r.outcome == "skipped")
        print(f"{path.stem}: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    for (leg, reason), count in sorted(skips.items()):
        print(f"skipped {count} of {leg}: {reason or 'no reason given'}")
    for result in failed:
        print(f"FAILED {result.name}{': ' + result.reason if result.reason else ''}")
    ran = totals["passed"] + totals["failed"]
    if not ran:
        print("error: no test ran")
    tail = f", {totals['skipped']} skipped" if totals["skipped"] else ""
    print(f"{totals['passed']} passed, {totals['failed']} failed{tail}")
    return 1 if totals["failed"] or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
