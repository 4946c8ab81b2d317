# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where everything has just been built, a test that skips for want of a build fails: a broken build is no skip."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """scripts/test.sh sets LARIAT_BUILT."""
    report = yield
    if report.skipped and os.environ.get("LARIAT_BUILT") and "not built" in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} would skip: {report.longrepr[2]}"  # type: ignore[index]
    return report
