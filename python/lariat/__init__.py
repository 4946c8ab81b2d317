# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lariat compiles transformers whose depth is a loop, and runs what it compiled.

>>> import lariat
>>> with lariat.load("ouro.lariat") as session:
...     len(session.generate(["In the beginning"], lariat.GenerateOptions(max_new_tokens=16))[0].text)
16

Importing this package loads nothing else: modules come in when a name is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lariat.artefact import Artefact, Cache, ExitRule, Loops
    from lariat.compiler import CompileOptions, CompileProgress, compile
    from lariat.engine import Engine
    from lariat.errors import (
        ArtefactError,
        CompileError,
        Diagnostic,
        ImportFailure,
        LariatError,
        RuntimeFault,
        UnsupportedError,
    )
    from lariat.importer import import_checkpoint
    from lariat.session import Encoded, GenerateOptions, Generation, Score, ScoreOptions, Session, SlotUse, Token, load

with open(os.path.join(os.path.dirname(__file__), "VERSION"), encoding="utf-8") as _version:
    __version__ = _version.read().strip()

# A checkout has its native module in the build tree: that of the launcher, else the release build.
_BIN = os.environ.get("LARIAT_BIN_DIR") or os.path.join(os.path.dirname(__file__), "../../build/release/bin")
__path__.append(os.path.join(os.path.dirname(_BIN), "python", "lariat"))

__all__ = [
    "Artefact",
    "ArtefactError",
    "Cache",
    "CompileError",
    "CompileOptions",
    "CompileProgress",
    "Diagnostic",
    "Encoded",
    "Engine",
    "ExitRule",
    "GenerateOptions",
    "Generation",
    "ImportFailure",
    "LariatError",
    "Loops",
    "RuntimeFault",
    "Score",
    "ScoreOptions",
    "Session",
    "SlotUse",
    "Token",
    "UnsupportedError",
    "compile",
    "import_checkpoint",
    "load",
]

# Where each public name lives.
_HOMES = {
    **dict.fromkeys(("Artefact", "Cache", "ExitRule", "Loops"), "artefact"),
    **dict.fromkeys(("CompileOptions", "CompileProgress", "compile"), "compiler"),
    "Engine": "engine",
    "import_checkpoint": "importer",
    **dict.fromkeys(
        (
            "Encoded",
            "GenerateOptions",
            "Generation",
            "Score",
            "ScoreOptions",
            "Session",
            "SlotUse",
            "Token",
            "load",
        ),
        "session",
    ),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'lariat' has no attribute '{name}'")
    value: object = getattr(importlib.import_module(f"lariat.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
