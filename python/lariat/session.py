# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs an artefact: score, generate, encode."""

from __future__ import annotations

import operator
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, SupportsIndex

from lariat._process import Json, ReferenceProcess
from lariat.artefact import Artefact
from lariat.errors import RuntimeFault
from lariat.text import StopText, TextStream, Tokenizer

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

__all__ = [
    "Encoded",
    "GenerateOptions",
    "Generation",
    "Score",
    "ScoreOptions",
    "Session",
    "SlotUse",
    "Token",
    "load",
]


@dataclass(frozen=True)
class ScoreOptions:
    """How to score.

    Attributes:
        mode: `score` runs a non-causal router as trained, `generate` replaces it by its decode rule.
        loops: most loop steps, in the range the model allows; its default where none is given.
        exit_threshold: threshold of the declared exit rule; no row exits where none is given.
        missing: what later rows see of a row that exited; the model's declaration where none is given.
        prefix: rows at the start of each sequence that see each other in both directions.
        initial_state: safetensors file with the state before the loop, for families that leave it free:
            `state.I` float32[num_rows, width] for sequence I, or one tensor for one sequence.
        chunk: rows of a sequence that are run in one call, all where none is given.
        derived: run the derived step functions instead of the whole function: `lockstep`, all rows at one depth, or
            `staggered`, rows of different depths in one call.
    """

    mode: str = "score"
    loops: int | None = None
    exit_threshold: float | None = None
    missing: str | None = None
    prefix: int | None = None
    initial_state: Path | None = None
    chunk: int | None = None
    derived: str | None = None


@dataclass(frozen=True)
class GenerateOptions:
    """How to generate.

    Attributes:
        max_new_tokens: the length at which a sequence ends if nothing ends it before.
        temperature: 0 takes the most likely token; above, tokens are sampled from softmax(logits / temperature).
        seed: of the sampling; noise depends on seed and position only, never on the batch.
        ignore_eos: go on after an end-of-sequence token.
        stop: texts that end a sequence; the first one found and what follows it are left out of the text.
        loops, exit_threshold, missing, prefix: as in `ScoreOptions`.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    seed: int = 0
    ignore_eos: bool = False
    stop: tuple[str, ...] = ()
    loops: int | None = None
    exit_threshold: float | None = None
    missing: str | None = None
    prefix: int | None = None


@dataclass(frozen=True)
class SlotUse:
    """Entries of one slot: `computed` from their own row, `filled` in for rows that stopped before."""

    computed: int
    filled: int


CacheUse = dict[str, tuple[tuple[SlotUse, ...], ...]]
"""Entries that a sequence left in each cache, by its name, then layer, then slot."""


@dataclass(frozen=True)
class Score:
    """Result for one sequence: `logits` float32[num_rows, vocabulary], `steps` int32[num_rows], loop steps of a row."""

    logits: NDArray[numpy.float32]
    steps: NDArray[numpy.int32]
    slots: CacheUse


@dataclass(frozen=True)
class Encoded:
    """Result of an encoder: `hidden` float32[num_rows, width], `logits` float32[num_rows, vocabulary] with a head."""

    hidden: NDArray[numpy.float32]
    logits: NDArray[numpy.float32] | None


@dataclass(frozen=True)
class Token:
    """A new token: of which sequence, its id, loop steps of the row that chose it, and the text it completes."""

    sequence: int
    id: int
    steps: int
    text: str


@dataclass(frozen=True)
class Generation:
    """Result for one sequence.

    Attributes:
        tokens: new token ids.
        steps: loop steps of the row that chose each of them.
        finish: `eos`, `stop` or `length`.
        text: of the new tokens, up to a stop text; none if all prompts are token ids and there is no stop text.
        slots: cache entries at the end; none if a stop text ended the run.
    """

    tokens: tuple[int, ...]
    steps: tuple[int, ...]
    finish: str
    text: str | None
    slots: CacheUse | None = field(repr=False)


def load(path: str | os.PathLike[str], *, threads: int | None = None) -> Session:
    """Open the artefact at `path`.

    Args:
        threads: to compute with. The reference path has one whatever is asked; results never depend on it.

    Raises:
        ArtefactError: if it is missing or its manifest is damaged.

    >>> with load("ouro.lariat") as session:
    ...     session.score([[65, 110, 100]])[0].logits.shape
    (3, 320)
    """
    return Session(Artefact.open(path), threads=threads)


class Session:
    """A loaded artefact. A context manager; one call at a time."""

    def __init__(self, artefact: Artefact, *, threads: int | None = None) -> None:
        self.info = artefact
        self.threads = threads
        self._process = ReferenceProcess(artefact.path)
        self._tokenizer: Tokenizer | None = None

    def __repr__(self) -> str:
        return f"Session('{self.info.path}', family='{self.info.family}', loops={self.info.loops.default})"

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            # A run that failed or was interrupted may still be busy.
            self._process.stop()

    def close(self) -> None:
        """Give back memory and threads. The next call would start again."""
        self._process.close()

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer.

        Raises:
            ArtefactError: if the artefact has none.
        """
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.of(self.info.path)
        return self._tokenizer

    def score(self, sequences: Sequence[Sequence[SupportsIndex]], options: ScoreOptions | None = None) -> list[Score]:
        """Logits of every row of every sequence, run as one ragged batch.

        Raises:
            RuntimeFault: for an empty batch or sequence, an id outside the vocabulary, too many rows for the context,
                or an option that the model does not allow.

        >>> load("ouro.lariat").score([[65, 66], [67]], ScoreOptions(loops=2))[1].steps
        array([2], dtype=int32)
        """
        with tempfile.TemporaryDirectory(prefix="lariat-") as folder:
            output = Path(folder) / "score.safetensors"
            slots = self.score_to_file(sequences, output, options)
            tensors = _read_tensors(output)
            return [Score(tensors[f"logits.{at}"], tensors[f"steps.{at}"], use) for at, use in enumerate(slots)]

    def score_to_file(
        self, sequences: Sequence[Sequence[SupportsIndex]], output: Path, options: ScoreOptions | None = None
    ) -> list[CacheUse]:
        """As `score`, with `logits.I` and `steps.I` of sequence I in a safetensors file; returns the cache entries.

        Raises:
            RuntimeFault: as `score`, or if `output` cannot be written.
        """
        options = options or ScoreOptions()
        answer = self._process.request(
            "score",
            sequences=_ids(sequences),
            mode=options.mode,
            loops=options.loops,
            threshold=options.exit_threshold,
            missing=_mode(options.missing),
            prefix=options.prefix,
            initial_state=None if options.initial_state is None else str(options.initial_state.resolve()),
            chunk=options.chunk,
            derived=options.derived or False,
            output=str(output.resolve()),
        )
        return _read_slots(answer)

    def encode(self, sequences: Sequence[Sequence[SupportsIndex]]) -> list[Encoded]:
        """Last state of every row of every sequence of an encoder.

        Raises:
            RuntimeFault: as `score`, or if the model is not an encoder.
        """
        with tempfile.TemporaryDirectory(prefix="lariat-") as folder:
            output = Path(folder) / "encode.safetensors"
            self.encode_to_file(sequences, output)
            tensors = _read_tensors(output)
            return [Encoded(tensors[f"hidden.{at}"], tensors.get(f"logits.{at}")) for at, _ in enumerate(sequences)]

    def encode_to_file(self, sequences: Sequence[Sequence[SupportsIndex]], output: Path) -> None:
        """As `encode`, with `hidden.I` and, with a head, `logits.I` in a safetensors file."""
        self._process.request("encode", sequences=_ids(sequences), output=str(output.resolve()))

    def generate(
        self, prompts: Sequence[str | Sequence[SupportsIndex]], options: GenerateOptions | None = None
    ) -> list[Generation]:
        """Continue every prompt, a text or token ids.

        Raises:
            RuntimeFault: as `score`, or if the model has a non-causal router and no decode rule.
            ArtefactError: for text and an artefact without tokenizer.

        >>> load("ouro.lariat").generate(["And God"], GenerateOptions(max_new_tokens=5))[0].finish
        'length'
        """
        return [event for event in self.stream(prompts, options) if isinstance(event, Generation)]

    def stream(
        self, prompts: Sequence[str | Sequence[SupportsIndex]], options: GenerateOptions | None = None
    ) -> Iterator[Token | Generation]:
        """As `generate`, with every token as it comes, then the result of each sequence in order.

        The texts of a sequence's tokens are the start of its result's text; characters and stop texts that are not
        complete yet are held back.
        """
        options = options or GenerateOptions()
        with_text = bool(options.stop) or any(isinstance(prompt, str) for prompt in prompts)
        writers = [_Writer(self.tokenizer if with_text else None, options.stop) for _ in prompts]
        answers = self._process.stream(
            "generate",
            sequences=_ids([self.tokenizer.encode(one) if isinstance(one, str) else one for one in prompts]),
            max_new_tokens=options.max_new_tokens,
            temperature=options.temperature,
            seed=options.seed,
            ignore_eos=options.ignore_eos,
            loops=options.loops,
            threshold=options.exit_threshold,
            missing=_mode(options.missing),
            prefix=options.prefix,
        )
        answer: Json = {}
        for answer in answers:
            if "ok" in answer:
                break
            number, token, steps = (_integer(answer, key) for key in ("sequence", "token", "steps"))
            if number < len(writers) and not writers[number].stopped:
                yield Token(number, token, steps, writers[number].push(token, steps))
                if all(writer.stopped for writer in writers):
                    break
        # Ends a run that nobody waits for: every sequence found a stop text.
        answers.close()
        yield from _results(writers, answer)


class _Writer:
    """What one sequence has generated so far."""

    def __init__(self, tokenizer: Tokenizer | None, stop: Sequence[str]) -> None:
        self._decoder = None if tokenizer is None else TextStream(tokenizer)
        self._stop = StopText(stop)
        self._pieces: list[str] = []
        self.tokens: list[int] = []
        self.steps: list[int] = []

    @property
    def stopped(self) -> bool:
        return self._stop.found

    def push(self, token: int, steps: int) -> str:
        self.tokens.append(token)
        self.steps.append(steps)
        if self._decoder is None:
            return ""
        self._pieces.append(self._stop.push(self._decoder.push(token)))
        return self._pieces[-1]

    def text(self) -> str | None:
        if self._decoder is None:
            return None
        self._pieces.append(self._stop.push(self._decoder.finish()) + self._stop.finish())
        return "".join(self._pieces)


def _results(writers: Sequence[_Writer], answer: Json) -> Iterator[Generation]:
    results = answer.get("results")
    slots = _read_slots(answer) if "slots" in answer else []
    for number, writer in enumerate(writers):
        use = slots[number] if number < len(slots) else None
        text = writer.text()
        finish = "stop"
        if not writer.stopped:
            entry = results[number] if isinstance(results, list) and number < len(results) else None
            if not isinstance(entry, dict) or entry.get("tokens") != writer.tokens:
                raise RuntimeFault(f"lariat-reference has no result for sequence {number} that agrees with its tokens")
            finish = str(entry.get("finish"))
        yield Generation(tuple(writer.tokens), tuple(writer.steps), finish, text, use)


def _ids(sequences: Sequence[Sequence[SupportsIndex]]) -> list[list[int]]:
    return [[operator.index(token) for token in sequence] for sequence in sequences]


def _mode(missing: str | None) -> str | None:
    return None if missing is None else missing.replace("-", "_")


def _integer(answer: Json, key: str) -> int:
    value = answer.get(key)
    if not isinstance(value, int):
        raise RuntimeFault(f"lariat-reference answered without '{key}'")
    return value


def _read_slots(answer: Json) -> list[CacheUse]:
    slots = answer.get("slots")
    try:
        return [
            {
                str(name): tuple(tuple(SlotUse(slot["computed"], slot["filled"]) for slot in layer) for layer in layers)
                for name, layers in use.items()
            }
            for use in (slots if isinstance(slots, list) else [])
        ]
    except (AttributeError, KeyError, TypeError):
        raise RuntimeFault("lariat-reference answered with 'slots' of another shape") from None


def _read_tensors(path: Path) -> dict[str, Any]:
    import safetensors.numpy

    tensors: dict[str, Any] = safetensors.numpy.load_file(path)
    return tensors
