# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Artefacts that the integration tests share, compiled once: behind sessions, one process each, and for the command."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lariat
from lariat._process import find_tool
from lariat.errors import RuntimeFault
from lariat.session import Session
from tests.checkpoints import MODELS
from tests.command import Command
from tests.integration import programs


def require_tools() -> None:
    """Skip where the tools are not built."""
    try:
        for name in ("lariat-opt", "lariat-compile", "lariat-reference"):
            find_tool(name)
    except RuntimeFault as error:
        pytest.skip(f"the tools are not built: {error}")


@pytest.fixture(params=["reference", "fast"])
def pipeline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which pipeline runs the programs of a test."""
    monkeypatch.setattr(programs, "PIPELINE", request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def open_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Session]]:
    """Opens the artefact of a checkpoint directory, compiling it on first use."""
    require_tools()
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


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with NAME.lariat and NAME.mlir of some fixtures."""
    require_tools()
    command = Command(tmp_path_factory.mktemp("compiled"))
    for name in ("mor-share", "hrm", "huginn", "ouro", "albert"):
        command.ok("compile", MODELS / name, "-o", f"{name}.lariat")
        command.ok("import", MODELS / name, "-o", f"{name}.mlir")
    command.ok("compile", MODELS / "mor-share", "-o", "reference.lariat", "--pipeline", "reference")
    return command.folder


@pytest.fixture(name="lariat")
def lariat_command(compiled: Path, tmp_path: Path) -> Command:
    """The command, in a folder that refers to the compiled artefacts."""
    for path in compiled.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "in.json").write_text("[[72, 105]]")
    return Command(tmp_path)


@pytest.fixture
def artefact(lariat: Command) -> Path:
    """An artefact of the reference pipeline that a test may damage."""
    return Path(shutil.copytree(lariat.folder / "reference.lariat", lariat.folder / "damaged.lariat"))


@pytest.fixture
def fast_artefact(lariat: Command) -> Path:
    """An artefact of the fast pipeline that a test may damage."""
    return Path(shutil.copytree(lariat.folder / "mor-share.lariat", lariat.folder / "damaged.lariat"))
