# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs a module through the fast pipeline, with the interface of `programs.Reference`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import lariat
from lariat.session import GenerateOptions, ScoreOptions
from tests.integration.programs import Array, Ids, Outcome


class Fast:
    """A module compiled for this machine and loaded; a context manager.

    Attributes:
        session: of one thread unless another number is given.
    """

    def __init__(
        self,
        model: str | Path,
        weights: Path | None = None,
        *,
        threads: int = 1,
        dtype: str = "f32",
        kv_dtype: str | None = None,
    ) -> None:
        """`model` is the text of a module, or a file."""
        self._folder = tempfile.TemporaryDirectory(prefix="lariat-test-")
        path = Path(self._folder.name) / "model.mlir"
        if isinstance(model, str):
            path.write_text(model)
        else:
            path = model
        self.artefact = Path(self._folder.name) / "model.lariat"
        options = lariat.CompileOptions(pipeline="fast", weights=weights, dtype=dtype, kv_dtype=kv_dtype)
        lariat.compile(path, self.artefact, options)
        self.session = lariat.load(self.artefact, threads=threads)

    def __enter__(self) -> Fast:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.session.close()
        self._folder.cleanup()

    def score(self, sequences: Sequence[Ids], **options: Any) -> list[Outcome]:
        if "threshold" in options:
            options["exit_threshold"] = options.pop("threshold")
        scores = self.session.score(sequences, ScoreOptions(**options))
        return [
            Outcome(
                one.logits,
                one.steps.tolist(),
                {
                    name: [[(slot.computed, slot.filled) for slot in layer] for layer in layers]
                    for name, layers in one.slots.items()
                },
            )
            for one in scores
        ]

    def encode(self, sequences: Sequence[Ids]) -> list[Array]:
        return [one.hidden for one in self.session.encode(sequences)]

    def generate(self, sequences: Sequence[Ids], count: int, **options: Any) -> list[list[int]]:
        results = self.session.generate(sequences, GenerateOptions(max_new_tokens=count, **options))
        return [list(one.tokens) for one in results]
