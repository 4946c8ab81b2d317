# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs a module through the fast pipeline, with the interface of `programs.Reference`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

import lariat
from lariat.errors import ArtefactError
from lariat.session import GenerateOptions, ScoreOptions, SlotUse
from tests.integration.programs import Array, Continuation, Ids, Outcome

ISAS = ("avx512", "avx2", "neon")


def _read_slots(slots: Mapping[str, Sequence[Sequence[SlotUse]]]) -> dict[str, list[list[tuple[int, int]]]]:
    return {
        name: [[(slot.computed, slot.filled) for slot in layer] for layer in layers] for name, layers in slots.items()
    }


class Fast:
    """A module compiled for this machine and loaded; a context manager.

    Attributes:
        session: of one thread, with the machine's best ISA, unless told otherwise.
    """

    def __init__(
        self,
        model: str | Path,
        weights: Path | None = None,
        *,
        target: str | None = "native",
        dtype: str = "f32",
        kv_dtype: str | None = None,
    ) -> None:
        """`model` is the text of a module, or a file; `target` None means every ISA."""
        self._folder = tempfile.TemporaryDirectory(prefix="lariat-test-")
        path = Path(self._folder.name) / "model.mlir"
        if isinstance(model, str):
            path.write_text(model)
        else:
            path = model
        self.artefact = Path(self._folder.name) / "model.lariat"
        options = lariat.CompileOptions(pipeline="fast", weights=weights, dtype=dtype, kv_dtype=kv_dtype, target=target)
        lariat.compile(path, self.artefact, options)
        self.session = lariat.load(self.artefact, threads=1)

    def __enter__(self) -> Fast:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.session.close()
        self._folder.cleanup()

    @contextmanager
    def on(self, isa: str, threads: int) -> Iterator[None]:
        """Skips the test where this machine does not run the ISA."""
        before, self.session = self.session, lariat.load(self.artefact, threads=threads, isa=isa)
        try:
            try:
                self.session.start()
            except ArtefactError as error:
                if "that this machine runs" not in str(error):
                    raise
                pytest.skip(str(error))
            yield
        finally:
            self.session.close()
            self.session = before

    def score(self, sequences: Sequence[Ids], **options: Any) -> list[Outcome]:
        scores = self.session.score(sequences, ScoreOptions(**options))
        return [Outcome(one.logits, one.steps.tolist(), _read_slots(one.slots)) for one in scores]

    def encode(self, sequences: Sequence[Ids]) -> list[Array]:
        return [one.hidden for one in self.session.encode(sequences)]

    def generate(self, sequences: Sequence[Ids], count: int, **options: Any) -> list[Continuation]:
        results = self.session.generate(sequences, GenerateOptions(max_new_tokens=count, **options))
        return [
            Continuation(list(one.tokens), list(one.steps), one.finish, _read_slots(one.slots or {})) for one in results
        ]
