# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Contracts of include/lariat/Artefact that change on one side only: the build fails with a sentence that says so."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from lariat._process import find_tool

ROOT = Path(__file__).resolve().parents[2]
ARTEFACT = "lariat/Artefact"
VERSION = "raise abi::kAbiVersion"


class Change(NamedTuple):
    header: str
    before: str
    after: str
    sentences: tuple[str, ...]


ARTEFACT_CHANGES = (
    Change("Layout.h", "kPageEntries = 64", "kPageEntries = 32", (f"the layout of data changed: {VERSION}",)),
    Change(
        "Layout.h",
        "  Columns, ///<",
        "  Pages,\n  Columns, ///<",
        ("kernel::KeyOrder does not number the orders of abi::KeyOrder",),
    ),
    Change("ElementType.h", "return 2;", "return 4;", (f"the bytes of elements changed: {VERSION}",)),
    Change(
        "RowTable.h",
        "  kNumRowColumns\n",
        "  kAge,\n  kNumRowColumns\n",
        (
            f"the columns of row tables changed: {VERSION}",
            "kernel::FactKind does not number the columns of abi::RowColumn",
        ),
    ),
    Change("RowTable.h", "kWanted = 4", "kWanted = 8", (f"the flags of rows changed: {VERSION}",)),
    Change(
        "LookUp.h",
        "  Exact,",
        "  Nothing,\n  Exact,",
        (
            f"the numbers of look-ups changed: {VERSION}",
            "kernel::LookUpKind does not number the look-ups of abi::LookUp",
        ),
    ),
    Change(
        "SlotRule.h",
        "  Free,  ",
        "  Anything,\n  Free,  ",
        ("lariat::RowOrder does not number the orders of abi::RowOrder",),
    ),
    Change(
        "SlotRule.h",
        "    Own,    ///<",
        "    None,\n    Own,    ///<",
        (
            f"the numbers of slot rules changed: {VERSION}",
            "kernel::SlotKind does not number the kinds of abi::SlotRule",
        ),
    ),
    Change(
        "Modes.h",
        "{ Skip, Slot0,",
        "{ Slot0, Skip,",
        ("lariat::MissingMode does not number the modes of abi::MissingMode",),
    ),
    Change("Record.h", "kBaseBits = 8", "kBaseBits = 16", (f"the words of records changed: {VERSION}",)),
    Change("Record.h", "{ kArena, kWeights,", "{ kWeights, kArena,", (f"the bases of buffers changed: {VERSION}",)),
    Change("Fault.h", "  kDepthFault,", "  kOtherFault,\n  kDepthFault,", (f"the words of faults changed: {VERSION}",)),
    Change(
        "Abi.h", "kExplicitSlots = 2", "kExplicitSlots = 4", (f"the flags of Services::reserve changed: {VERSION}",)
    ),
    Change(
        "Abi.h",
        "  int64_t count;            ///< entries\n",
        "  int32_t count, age;\n  int64_t more;\n",
        (f"the size of cache entries or views changed: {VERSION}",),
    ),
)
DIALECT_CHANGES = (
    Change(
        "lariat/Dialect/Kernel/KernelEnums.h.inc",
        "  NewestAtMost = 2,\n  First = 3,\n",
        "  NewestAtMost = 3,\n  First = 2,\n",
        ("kernel::LookUpKind does not number the look-ups of abi::LookUp",),
    ),
    Change(
        "lariat/Dialect/Kernel/KernelEnums.h.inc",
        "  Depth = 3,\n  Flags = 4,\n",
        "  Depth = 4,\n  Flags = 3,\n",
        ("kernel::FactKind does not number the columns of abi::RowColumn",),
    ),
    Change(
        "lariat/Dialect/Kernel/KernelEnums.h.inc",
        "  Shared = 2,\n  Ring = 3,\n",
        "  Shared = 3,\n  Ring = 2,\n",
        ("kernel::SlotKind does not number the kinds of abi::SlotRule",),
    ),
    Change(
        "lariat/Dialect/Kernel/KernelEnums.h.inc",
        "  Columns = 0,\n  Entries = 1,\n",
        "  Columns = 1,\n  Entries = 0,\n",
        ("kernel::KeyOrder does not number the orders of abi::KeyOrder",),
    ),
    Change(
        "lariat/Dialect/Lariat/LariatEnums.h.inc",
        "  Atomic = 1,\n  Sequential = 2,\n",
        "  Atomic = 2,\n  Sequential = 1,\n",
        ("lariat::RowOrder does not number the orders of abi::RowOrder",),
    ),
    Change(
        "lariat/Dialect/Lariat/LariatEnums.h.inc",
        "  Skip = 0,\n  Slot0 = 1,\n",
        "  Skip = 1,\n  Slot0 = 0,\n",
        ("lariat::MissingMode does not number the modes of abi::MissingMode",),
    ),
)


def check(includes: Path) -> str:
    """What the compiler says to AbiAgreement.cpp with headers of `includes` before all others."""
    build = find_tool("lariat-compile").parents[1]
    if not (build / "compile_commands.json").exists():
        pytest.skip("the compiler is not built")
    commands = json.loads((build / "compile_commands.json").read_text())
    command = next(shlex.split(entry["command"]) for entry in commands if entry["file"].endswith("/AbiAgreement.cpp"))
    flags = [word for word in command if word.startswith(("-I", "-D", "-std="))]
    system = [f"-isystem{after}" for word, after in zip(command, command[1:], strict=False) if word == "-isystem"]
    arguments = ["-fsyntax-only", "-ferror-limit=0", f"-I{includes}", *flags, *system, command[-1]]
    return subprocess.run([command[0], *arguments], capture_output=True, text=True, check=False, timeout=120).stderr


def apply(changes: tuple[Change, ...], source: Path, folder: Path, includes: Path) -> None:
    """Copies of headers, changed."""
    for change in changes:
        copy = includes / folder / change.header
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = (copy if copy.exists() else source / folder / change.header).read_text()
        assert text.count(change.before) == 1, change
        copy.write_text(text.replace(change.before, change.after))


@pytest.fixture(scope="module")
def refusal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One compilation for all changes: a sentence speaks of one contract."""
    includes = tmp_path_factory.mktemp("artefact")
    apply(ARTEFACT_CHANGES, ROOT / "include", Path(ARTEFACT), includes)
    return check(includes)


@pytest.fixture(scope="module")
def dialect_refusal(tmp_path_factory: pytest.TempPathFactory) -> str:
    includes = tmp_path_factory.mktemp("dialect")
    apply(DIALECT_CHANGES, find_tool("lariat-compile").parents[1] / "include", Path(), includes)
    return check(includes)


def test_unchanged_contracts_agree(tmp_path: Path) -> None:
    assert check(tmp_path) == ""


@pytest.mark.parametrize("change", ARTEFACT_CHANGES, ids=lambda change: f"{change.header}-{change.after.split()[0]}")
def test_a_changed_contract_fails_the_build(change: Change, refusal: str) -> None:
    for sentence in change.sentences:
        assert sentence in refusal


@pytest.mark.parametrize("change", DIALECT_CHANGES, ids=lambda change: change.after.split()[0])
def test_a_changed_dialect_fails_the_build(change: Change, dialect_refusal: str) -> None:
    for sentence in change.sentences:
        assert sentence in dialect_refusal


def test_every_contract_is_changed() -> None:
    # Names and manifests are checked at load; the others hold no number that both sides rely on.
    checked_at_load = {"Names.h", "Manifest.h", "StepRecord.h"}
    headers = {path.name for path in (ROOT / "include" / ARTEFACT).glob("*.h")}
    assert {change.header for change in ARTEFACT_CHANGES} == headers - checked_at_load - {"Noise.h", "Sha256.h"}
