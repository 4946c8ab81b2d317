# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Artefacts that the integration tests share: compiled once, one process each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lariat
from lariat._process import find_tool
from lariat.errors import RuntimeFault
from lariat.session import Session


@pytest.fixture(scope="session")
def open_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Session]]:
    """Opens the artefact of a checkpoint directory, compiling it on first use."""
    try:
        find_tool("lariat-reference")
        find_tool("lariat-compile")
    except RuntimeFault as error:
        pytest.skip(f"the tools are not built: {error}")
    folder = tmp_path_factory.mktemp("artefacts")
    sessions: dict[tuple[Path, lariat.CompileOptions | None], Session] = {}

    def open_one(checkpoint: Path, options: lariat.CompileOptions | None = None) -> Session:
        key = (checkpoint, options)
        if key not in sessions:
            output = folder / f"{checkpoint.name}-{len(sessions)}.lariat"
            lariat.compile(checkpoint, output, options)
            sessions[key] = lariat.load(output)
        return sessions[key]

    yield open_one
    for session in sessions.values():
        session.close()
