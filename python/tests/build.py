# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What kind of build the tests run on."""

from __future__ import annotations

import re

from tests.checkpoints import OPT


def is_sanitised() -> bool:
    """Whether the tools are built with a sanitizer, as the build's own settings say."""
    settings = OPT.parents[1] / "CMakeCache.txt"
    return settings.is_file() and bool(
        re.search(r"^LARIAT_SANITIZE:\w+=.", settings.read_text(errors="replace"), re.MULTILINE)
    )
