# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The fast path: requests to the runtime in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lariat._files import reason
from lariat._reference import read_slots
from lariat._runner import Ids, NewToken, SequenceEnd, Settings, missing_word, option_values
from lariat.artefact import Artefact
from lariat.errors import ArtefactError, RuntimeFault
from lariat.requests import CacheUse, Encoded, GenerateOptions, Score, ScoreOptions

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from lariat._native import Engine as NativeEngine
    from lariat._native import Generation as NativeGeneration
    from lariat._native import Session as NativeSession
    from lariat.profile import Profile

    Integers = NDArray[numpy.int64]

__all__ = ["FastRunner", "integer", "to_arrays"]

LARGEST = 2**63 - 1


class FastRunner:
    """Computes with the code of an artefact, opened by the first request and again after it was closed."""

    def __init__(self, artefact: Artefact, settings: Settings) -> None:
        self._artefact = artefact
        self._settings = settings
        self._native: NativeSession | None = None
        self._opening = threading.Lock()

    def score(self, sequences: Ids, options: ScoreOptions) -> list[Score]:
        session = self._open()
        states = None
        if options.initial_state is not None:
            if session.state_columns == 0:
                raise RuntimeFault("an initial state is given, but the model takes none")
            states = _read_states(options.initial_state, sequences, session.state_columns)
        arrays = to_arrays(sequences, self._artefact)
        results = session.score(*arrays, json.dumps(option_values(options)), states)
        return [Score(_present(logits), steps, _slots(slots)) for logits, _, steps, slots in results]

    def score_to_file(self, sequences: Ids, output: Path, options: ScoreOptions) -> list[CacheUse]:
        scores = self.score(sequences, options)
        tensors: dict[str, Any] = {f"logits.{at}": score.logits for at, score in enumerate(scores)}
        _write(output, tensors | {f"steps.{at}": score.steps for at, score in enumerate(scores)})
        return [score.slots for score in scores]

    def encode(self, sequences: Ids) -> list[Encoded]:
        results = self._open().encode(*to_arrays(sequences, self._artefact))
        return [Encoded(_present(hidden), logits) for logits, hidden, _, _ in results]

    def encode_to_file(self, sequences: Ids, output: Path) -> None:
        results = self.encode(sequences)
        tensors: dict[str, Any] = {f"hidden.{at}": one.hidden for at, one in enumerate(results)}
        _write(
            output, tensors | {f"logits.{at}": one.logits for at, one in enumerate(results) if one.logits is not None}
        )

    def generate(self, sequences: Ids, options: GenerateOptions) -> FastRun:
        arrays = to_arrays(sequences, self._artefact)
        generation = self._open().generate(*arrays, json.dumps(option_values(options)))
        return FastRun(generation, options)

    def open_engine(
        self,
        *,
        loop: str,
        prefix_cache: bool,
        chunk_rows: int,
        missing: str | None,
        profile: bool,
        experiment: dict[str, Any] | None = None,
    ) -> NativeEngine:
        """An engine; `experiment` are the other arguments of the native module's ExperimentalEngine."""
        session = self._open()
        from lariat._native import Engine, ExperimentalEngine, Loop, Order

        return (Engine if experiment is None else ExperimentalEngine)(
            session,
            max_rows=self._settings.max_rows,
            chunk_rows=chunk_rows,
            order=Order[self._settings.scheduler.upper()],
            loop=Loop[loop.upper()],
            prefix_cache=prefix_cache,
            missing=missing_word(missing),
            profile=profile,
            **(experiment or {}),
        )

    def start(self) -> None:
        self._open()

    def memory(self) -> dict[str, int]:
        return self._open().memory()

    def cancel(self) -> None:
        native = self._native
        if native is not None:
            native.cancel()

    def close(self) -> None:
        with self._opening:
            native, self._native = self._native, None
        if native is not None:
            native.close()

    def stop(self) -> None:
        self.close()

    def _open(self) -> NativeSession:
        with self._opening:
            if self._native is None:
                if not self._artefact.path.is_dir():
                    raise ArtefactError(f"{self._artefact.path}: no such artefact, 'lariat compile' makes one")
                try:
                    from lariat._native import Order, Session
                except ImportError as failure:
                    raise RuntimeFault(f"cannot load the runtime: {failure}; scripts/setup.sh builds it") from None
                settings = self._settings
                self._native = Session(
                    str(self._artefact.path),
                    threads=integer(settings.threads or 0, "threads"),
                    max_rows=integer(settings.max_rows, "max_rows"),
                    kv_bytes=_kv_bytes(self._artefact, settings.kv_pages),
                    isa=settings.isa,
                    order=Order[settings.scheduler.upper()],
                    verify_weights=settings.verify_weights,
                )
            return self._native


def to_arrays(sequences: Ids, artefact: Artefact) -> tuple[Integers, Integers]:
    """All tokens, one sequence after the other, and the length of each."""
    import numpy

    try:
        tokens = numpy.array([token for sequence in sequences for token in sequence], numpy.int64)
    except OverflowError:
        place, index, token = next(
            (place, index, token)
            for place, sequence in enumerate(sequences)
            for index, token in enumerate(sequence)
            if not -LARGEST <= token <= LARGEST
        )
        most = artefact.vocabulary - 1
        raise RuntimeFault(f"token {index} of sequence {place} is {token}, expected 0 to {most}") from None
    return tokens, numpy.array([len(sequence) for sequence in sequences], numpy.int64)


def _kv_bytes(artefact: Artefact, pages: int | None) -> int:
    """Bytes of so many pages of the cache whose pages are largest; 0 for no limit."""
    if pages is None:
        return 0
    return min(pages * max((cache.page_bytes for cache in artefact.caches), default=1), LARGEST)


class FastRun:
    """A generation of the runtime, run step by step as tokens are asked for."""

    def __init__(self, generation: NativeGeneration, options: GenerateOptions) -> None:
        self._generation = generation
        self._with_logprobs = options.logprobs is not None
        self._with_profile = options.profile

    def tokens(self) -> Iterator[NewToken]:
        while step := self._generation.next():
            for sequence, token, steps, logprob, ids, logprobs in step:
                if self._with_logprobs:
                    yield NewToken(sequence, token, steps, logprob, tuple(zip(ids, logprobs, strict=True)))
                else:
                    yield NewToken(sequence, token, steps)

    def stop(self, sequence: int) -> None:
        self._generation.stop(sequence)

    def end(self, sequence: int) -> SequenceEnd | None:
        tokens, _, finish, slots = self._generation.result(sequence)
        return SequenceEnd(tokens, finish, None if slots is None else _slots(slots))

    def profile(self) -> Profile | None:
        from lariat.profile import Profile

        return Profile.parse(self._generation.profile()) if self._with_profile else None

    def close(self) -> None:
        del self._generation


def integer(value: int, name: str) -> int:
    """A number of 64 bits, as the runtime takes; the sentence is that of lib/Requests."""
    if not -LARGEST <= value <= LARGEST:
        raise RuntimeFault(f"'{name}' of the request is not an integer")
    return value


def _present(values: NDArray[numpy.float32] | None) -> NDArray[numpy.float32]:
    if values is None:
        raise RuntimeFault("the model gave no values")
    return values


def _slots(text: str) -> CacheUse:
    return read_slots([json.loads(text)])[0]


def _write(output: Path, tensors: dict[str, Any]) -> None:
    import safetensors
    import safetensors.numpy

    try:
        safetensors.numpy.save_file(tensors, output)
    except OSError as failure:
        raise RuntimeFault(f"cannot write {output}: {reason(failure)}") from None
    except safetensors.SafetensorError as failure:
        raise RuntimeFault(f"cannot write {output}: {failure}") from None


def _read_states(path: Path, sequences: Ids, columns: int) -> list[NDArray[numpy.float32]]:
    """`state.I` of each sequence, or the only tensor where there is one sequence."""
    import numpy
    import safetensors

    path = path.resolve()
    if path.is_dir():
        raise RuntimeFault(f"{path} is a directory, expected a safetensors file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            single = len(sequences) == 1 and len(names) == 1
            states = []
            for at, sequence in enumerate(sequences):
                name = names[0] if single else f"state.{at}"
                if name not in names:
                    raise RuntimeFault(f"{path} has no tensor '{name}' for sequence {at}")
                stored = file.get_slice(name)
                shape, expected = list(stored.get_shape()), [len(sequence), columns]
                if shape != expected:
                    raise RuntimeFault(f"{path}: tensor '{name}' has shape {shape}, expected {expected}")
                if stored.get_dtype() != "F32":
                    raise RuntimeFault(f"{path}: tensor '{name}' has type {stored.get_dtype()}, expected F32")
                states.append(numpy.ascontiguousarray(file.get_tensor(name)))
            return states
    except FileNotFoundError:
        raise RuntimeFault(f"cannot read {path}: No such file or directory") from None
    except OSError as failure:
        raise RuntimeFault(f"cannot read {path}: {reason(failure)}") from None
    except safetensors.SafetensorError as failure:
        raise RuntimeFault(f"{path}: {' '.join(str(failure).split())}") from None
