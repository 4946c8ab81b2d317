# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What scripts/test.sh asks of all tests.

LARIAT_BUILT: that none skips for want of a build. LARIAT_SHARE: that only every so many-th integration test runs, where
a sanitised compiler takes four times as long.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Generator
from pathlib import Path

import pytest

INTEGRATION = Path(__file__).parent / "integration"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Chosen by a hash of their names, so that each run and each process chooses the same."""
    share = int(os.environ.get("LARIAT_SHARE", "1"))

    def is_chosen(item: pytest.Item) -> bool:
        return INTEGRATION not in item.path.parents or zlib.crc32(item.nodeid.encode()) % share == 0

    left_out = [item for item in items if not is_chosen(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if is_chosen(item)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything has just been built, a broken build is no skip."""
    report = yield
    if report.skipped and os.environ.get("LARIAT_BUILT") and "not built" in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} would skip: {report.longrepr[2]}"  # type: ignore[index]
    return report
