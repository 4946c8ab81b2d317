# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The manifest of a compiled model, key by key: what is left out, of another type or unknown is named; nothing runs."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lariat

ROOT = Path(__file__).resolve().parents[3]


def documented() -> dict[str, bool]:
    """Keys of docs/artefact.md as `caches[].name`, and whether each may be absent."""
    text = (ROOT / "docs" / "artefact.md").read_text()
    return {key: ", or nothing" in kind for key, kind in re.findall(r"^\| `([\w.*\[\]]+)` \| ([^|]+) \|", text, re.M)}


def places(value: object, prefix: str = "") -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every key below a value, by its name in the document and by its steps; of lists the first item."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = f"{prefix}{key}" if prefix != "files." else "files.*"
            if prefix != "files.":
                yield name, (key,)
            for below, steps in places(inner, f"{name}."):
                yield below, (key, *steps)
    elif isinstance(value, list) and value:
        for below, steps in places(value[0], f"{prefix.removesuffix('.')}[]."):
            yield below, (0, *steps)


class Damaged:
    """An artefact whose manifest is written anew, without a checksum that would tell first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Any = json.loads((path / "manifest.json").read_text())
        (path / "manifest.sha256").unlink(missing_ok=True)

    def error(self, manifest: object) -> str:
        """Why it does not open; empty if it does."""
        (self.path / "manifest.json").write_text(json.dumps(manifest))
        try:
            with lariat.load(self.path, threads=1) as session:
                session.start()
        except lariat.ArtefactError as failure:
            return str(failure)
        return ""


@pytest.fixture
def damaged(fast_artefact: Path) -> Damaged:
    return Damaged(fast_artefact)


def edited(manifest: Any, steps: tuple[Any, ...]) -> tuple[Any, Any]:
    """A copy, and the object in it that holds the last step."""
    place = changed = copy.deepcopy(manifest)
    for step in steps[:-1]:
        place = place[step]
    return changed, place


def test_a_manifest_has_documented_keys(damaged: Damaged) -> None:
    found = {name for name, _ in places(damaged.manifest)}
    assert found <= documented().keys()
    assert damaged.error(damaged.manifest) == ""


def test_a_key_that_is_left_out(damaged: Damaged) -> None:
    optional = documented()
    for name, steps in places(damaged.manifest):
        changed, place = edited(damaged.manifest, steps)
        del place[steps[-1]]
        error = damaged.error(changed)
        assert f"'{steps[-1]}'" in error or (optional[name] and not error), f"{name}: {error}"


def test_a_key_of_a_wrong_type(damaged: Damaged) -> None:
    for name, steps in places(damaged.manifest):
        changed, place = edited(damaged.manifest, steps)
        place[steps[-1]] = 3 if isinstance(place[steps[-1]], (dict, list)) else {}
        error = damaged.error(changed)
        assert f"'{steps[-1]}'" in error, f"{name}: {error}"


def test_a_key_that_nobody_knows(damaged: Damaged) -> None:
    for name, steps in places(damaged.manifest):
        changed, place = edited(damaged.manifest, steps)
        place[f"{steps[-1]}_more"] = 1
        assert f"'{steps[-1]}_more' is no key of this version" in damaged.error(changed), name
