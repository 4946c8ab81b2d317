# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs an artefact: score, generate, encode."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, SupportsIndex

from lariat._process import ReferenceProcess
from lariat._reference import ReferenceRunner
from lariat._runner import SCHEDULERS, NewToken, Run, Runner, Settings
from lariat._values import instance_of, read_path, read_prompts, read_tokens
from lariat.artefact import Artefact
from lariat.errors import RuntimeFault
from lariat.requests import (
    CacheUse,
    Encoded,
    GenerateOptions,
    Generation,
    Score,
    ScoreOptions,
    SlotUse,
    Token,
)
from lariat.text import StoppedStream, Tokenizer

if TYPE_CHECKING:
    from lariat.profile import Profile

__all__ = [
    "CacheUse",
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


def load(
    path: str | os.PathLike[str],
    *,
    threads: int | None = None,
    isa: str | None = None,
    max_rows: int = Settings.max_rows,
    scheduler: str = Settings.scheduler,
    kv_pages: int | None = None,
    verify_weights: bool = Settings.verify_weights,
) -> Session:
    """Open the artefact at `path`. Results never depend on the options; the reference path has none of them.

    Args:
        threads: to compute with, one per core where none is given.
        isa: whose code to run, as `lariat info` lists them; the best that this machine runs where none is given.
        max_rows: of one call, where a prompt may be cut, and of one tick that generates.
        scheduler: which rows go first where not all fit a tick: `oldest`, `fifo` or `deepest`.
        kv_pages: most pages of keys and values, of the size of the largest cache's; no limit where none is given.
        verify_weights: compare the checksum of the weights the first time that this process opens the file, which reads
            all of it, at a gigabyte a second and more. Manifest and code are verified always.

    Raises:
        ArtefactError: if it is missing or its manifest is damaged.
        RuntimeFault: for an option out of its range.

    >>> with load("ouro.lariat") as session:
    ...     session.score([[65, 110, 100]])[0].logits.shape
    (3, 320)
    """
    return Session(Artefact.open(path), Settings(threads, isa, max_rows, scheduler, kv_pages, verify_weights))


class Session:
    """A loaded artefact. A context manager. On the reference path one call at a time; else from any thread."""

    def __init__(self, artefact: Artefact, settings: Settings | None = None) -> None:
        self.info = artefact
        self._settings = _checked(settings or Settings())
        self._process = ReferenceProcess(artefact.path)
        self._runner = self._choose_runner()
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
            self._runner.stop()

    def start(self) -> None:
        """Load now what the first request would load.

        Raises:
            ArtefactError: if the artefact is damaged or not for this machine.
        """
        self._runner.start()

    def cancel(self) -> None:
        """End the requests that run in other threads, within a moment; each raises a RuntimeFault.

        Requests that begin later are not affected. Of an engine, those of the call that a tick runs fail.
        """
        self._runner.cancel()

    def close(self) -> None:
        """Give back memory and threads. The next call would start again."""
        self._runner.close()

    def memory(self) -> dict[str, int]:
        """Bytes of `weights`, `kv_live` and `kv_pages` now, and of `arena`, `cells` and `scratch` in the largest call.

        They are what `lariat compile --print-memory` foretells.

        Raises:
            RuntimeFault: on the reference path, which is a process of its own.
        """
        return self._runner.memory()

    @property
    def runner(self) -> Runner:
        """What computes; for modules of this package."""
        return self._runner

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer.

        Raises:
            ArtefactError: if the artefact has none.
        """
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.of(self.info.path)
        return self._tokenizer

    def score(self, sequences: Iterable[Iterable[SupportsIndex]], options: ScoreOptions | None = None) -> list[Score]:
        """Logits of every row of every sequence, run as one ragged batch.

        Raises:
            RuntimeFault: for an empty batch or sequence, an id outside the vocabulary, too many rows for the context,
                or an option that the model does not allow.

        >>> load("ouro.lariat").score([[65, 66], [67]], ScoreOptions(loops=2))[1].steps
        array([2], dtype=int32)
        """
        return self._runner.score(read_tokens(sequences), _scoring(options))

    def score_to_file(
        self,
        sequences: Iterable[Iterable[SupportsIndex]],
        output: str | os.PathLike[str],
        options: ScoreOptions | None = None,
    ) -> list[CacheUse]:
        """As `score`, with `logits.I` and `steps.I` of sequence I in a safetensors file; returns the cache entries.

        Raises:
            RuntimeFault: as `score`, or if `output` cannot be written.
        """
        path = read_path(output, "output")
        return self._runner.score_to_file(read_tokens(sequences), path, _scoring(options))

    def encode(self, sequences: Iterable[Iterable[SupportsIndex]]) -> list[Encoded]:
        """Last state of every row of every sequence of an encoder.

        Raises:
            RuntimeFault: as `score`, or if the model is not an encoder.
        """
        return self._runner.encode(read_tokens(sequences))

    def encode_to_file(self, sequences: Iterable[Iterable[SupportsIndex]], output: str | os.PathLike[str]) -> None:
        """As `encode`, with `hidden.I` and, with a head, `logits.I` in a safetensors file."""
        self._runner.encode_to_file(read_tokens(sequences), read_path(output, "output"))

    def generate(
        self, prompts: str | Iterable[str | Iterable[SupportsIndex]], options: GenerateOptions | None = None
    ) -> list[Generation]:
        """Continue every prompt, a text or token ids. One text is one prompt.

        Raises:
            RuntimeFault: as `score`, or if the model has a non-causal router and no decode rule.
            ArtefactError: for text and an artefact without tokenizer.

        >>> load("ouro.lariat").generate(["And God"], GenerateOptions(max_new_tokens=5))[0].finish
        'length'
        """
        return [event for event in self.stream(prompts, options) if isinstance(event, Generation)]

    def stream(
        self,
        prompts: str | Iterable[str | Iterable[SupportsIndex]],
        options: GenerateOptions | None = None,
        *,
        with_text: bool = False,
    ) -> Iterator[Token | Generation]:
        """As `generate`, with every token as it comes, then the result of each sequence in order.

        The texts of a sequence's tokens are the start of its result's text; characters and stop texts that are not
        complete yet are held back. `with_text` asks for texts where all prompts are token ids, too.
        """
        options = GenerateOptions() if options is None else instance_of(GenerateOptions, options, "options")
        given = read_prompts(prompts)
        with_text = with_text or bool(options.stop) or any(isinstance(prompt, str) for prompt in given)
        ids = [self.tokenizer.encode(one) if isinstance(one, str) else one for one in given]
        writers = [_Writer(self.tokenizer if with_text else None, prompt, options) for prompt in ids]
        run = self._runner.generate(ids, options)
        try:
            for new in run.tokens():
                if new.sequence >= len(writers) or writers[new.sequence].finish:
                    continue
                writer = writers[new.sequence]
                yield Token(new.sequence, new.id, new.steps, writer.push(new), new.logprob, new.top_logprobs)
                if writer.finish:
                    run.stop(new.sequence)
                if all(one.finish for one in writers):
                    break
            profile = run.profile()
            results = [_result(number, writer, run, profile) for number, writer in enumerate(writers)]
        finally:
            # Ends a run that nobody waits for: every sequence found a stop text, or the caller left.
            run.close()
        yield from results

    def _choose_runner(self) -> Runner:
        if self.info.pipeline != "fast":
            if self._settings.isa is not None:
                isa = self._settings.isa
                raise RuntimeFault(f"{self.info.path}: the {self.info.pipeline} path has no code for ISA '{isa}'")
            return ReferenceRunner(self._process)
        from lariat._fast import FastRunner

        return FastRunner(self.info, self._settings)


def _checked(settings: Settings) -> Settings:
    if settings.max_rows < 1:
        raise RuntimeFault(f"max_rows is {settings.max_rows}, expected at least 1")
    if settings.kv_pages is not None and settings.kv_pages < 1:
        raise RuntimeFault(f"kv_pages is {settings.kv_pages}, expected at least 1")
    if settings.scheduler not in SCHEDULERS:
        raise RuntimeFault(f"scheduler is '{settings.scheduler}', expected {', '.join(SCHEDULERS)}")
    return settings


class _Writer:
    """What one sequence has generated so far.

    Attributes:
        finish: why it ended, where that is for the caller to notice; empty until then.
    """

    def __init__(self, tokenizer: Tokenizer | None, prompt: Sequence[int], options: GenerateOptions) -> None:
        self._stream = None if tokenizer is None else StoppedStream(tokenizer, prompt, options.stop)
        self._stop_tokens = frozenset(options.stop_tokens)
        self._pieces: list[str] = []
        self.tokens: list[int] = []
        self.steps: list[int] = []
        self.logprobs: list[float] = []
        self.finish = ""

    def push(self, new: NewToken) -> str:
        self.tokens.append(new.id)
        self.steps.append(new.steps)
        if new.logprob is not None:
            self.logprobs.append(new.logprob)
        text = ""
        if self._stream is not None:
            text = self._stream.push(new.id)
            self._pieces.append(text)
        if self._stream is not None and self._stream.found:
            self.finish = "stop"
        elif new.id in self._stop_tokens:
            self.finish = "eos"
        return text

    def close(self) -> str | None:
        """The whole text, now that no token follows: what was held back may still hold a stop text."""
        if self._stream is None:
            return None
        self._pieces.append(self._stream.finish())
        if self._stream.found:
            self.finish = "stop"
        return "".join(self._pieces)


def _result(number: int, writer: _Writer, run: Run, profile: Profile | None) -> Generation:
    end = run.end(number)
    text = writer.close()
    finish = writer.finish
    if not finish:
        if end is None or end.tokens != writer.tokens:
            raise RuntimeFault(f"lariat-reference has no result for sequence {number} that agrees with its tokens")
        finish = end.finish
    slots = None if end is None else end.slots
    logprobs = tuple(writer.logprobs) if writer.logprobs else None
    return Generation(tuple(writer.tokens), tuple(writer.steps), finish, text, slots, logprobs, profile)


def _scoring(options: ScoreOptions | None) -> ScoreOptions:
    return ScoreOptions() if options is None else instance_of(ScoreOptions, options, "options")
