# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Errors of the package. Messages are one sentence in lower case with the values that disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ArtefactError",
    "CheckpointError",
    "CompileError",
    "ConfigError",
    "Diagnostic",
    "ImportFailure",
    "LariatError",
    "RuntimeFault",
    "UnsupportedError",
]


@dataclass(frozen=True)
class Diagnostic:
    """One message of the compiler, with the place it is about."""

    severity: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    notes: tuple[str, ...] = ()


class LariatError(Exception):
    """Any failure the package reports."""


class ImportFailure(LariatError):
    """A checkpoint directory that cannot be imported."""


class ConfigError(ImportFailure):
    """config.json is unreadable, or a key is unknown, of the wrong type or inconsistent with another."""


class CheckpointError(ImportFailure):
    """The weights are unreadable, missing, misshaped or left over."""


class UnsupportedError(ImportFailure):
    """The model asks for something that is not built; `nodes` names everything at once."""

    def __init__(self, message: str, nodes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.nodes = tuple(nodes)


class CompileError(LariatError):
    """The compiler refused the IR; `diagnostics` holds what it said."""

    def __init__(self, message: str, diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class ArtefactError(LariatError):
    """A compiled directory is missing, damaged or of another version."""


class RuntimeFault(LariatError):
    """A request that compiled code cannot run."""
