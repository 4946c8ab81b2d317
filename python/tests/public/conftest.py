# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A public checkpoint and its artefacts, made once in a run of the tests, however many workers it has."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lariat
from lariat.session import Session
from tests.checkpoints import ROOT
from tests.public.available import require_public_checkpoint

SCRIPT = ROOT / "scripts" / "smollm2.py"


class Store:
    """A folder that the workers of a run share; the last one that leaves removes it, for it is large."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users = folder.with_name(f"{folder.name}.users")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._folder.with_name(f"{self._folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def enter(self) -> None:
        with self._alone():
            self._count(1)
            self._folder.mkdir(exist_ok=True)

    def leave(self) -> None:
        with self._alone():
            if self._count(-1) == 0:
                shutil.rmtree(self._folder)

    def _count(self, change: int) -> int:
        count = int(self._users.read_text()) + change if self._users.exists() else change
        self._users.write_text(str(count))
        return count

    def get(self, name: str, make: Callable[[Path], object]) -> Path:
        """What `make` writes at a path of that name, on first use."""
        path = self._folder / name
        with self._alone():
            if not path.exists():
                make(path)
        return path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    require_public_checkpoint()
    folder = tmp_path_factory.getbasetemp()
    found = Store((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "smollm2")
    found.enter()
    yield found
    found.leave()


@pytest.fixture(scope="session")
def checkpoint(store: Store) -> Callable[[str], Path]:
    """Directory of the checkpoint with weights of a dtype, `f32` or `bf16`."""

    def find(dtype: str) -> Path:
        def make(path: Path) -> None:
            subprocess.run([sys.executable, str(SCRIPT), str(path), "--dtype", dtype], check=True)

        return store.get(dtype, make)

    return find


@pytest.fixture(scope="session")
def artefact(store: Store, checkpoint: Callable[[str], Path]) -> Callable[..., Path]:
    """Artefact of the checkpoint of a dtype, by one pipeline."""

    def find(dtype: str, pipeline: str = "fast") -> Path:
        source, options = checkpoint(dtype), lariat.CompileOptions(dtype=dtype, pipeline=pipeline)
        return store.get(f"{dtype}-{pipeline}.lariat", lambda path: lariat.compile(source, path, options))

    return find


@pytest.fixture(scope="session")
def smollm2(artefact: Callable[..., Path]) -> Iterator[Callable[[str], Session]]:
    """Session of the artefact of a dtype, on the fast path."""
    sessions: dict[str, Session] = {}

    def find(dtype: str) -> Session:
        if dtype not in sessions:
            sessions[dtype] = lariat.load(artefact(dtype))
        return sessions[dtype]

    yield find
    for session in sessions.values():
        session.close()
