# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The reference path: requests to `lariat-reference`, results from the files that it writes."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from lariat._process import Json, ReferenceProcess
from lariat._runner import Ids, NewToken, SequenceEnd, option_values
from lariat.errors import RuntimeFault
from lariat.requests import CacheUse, Encoded, GenerateOptions, Score, ScoreOptions, SlotUse

__all__ = ["ReferenceRunner", "read_slots"]


class ReferenceRunner:
    """Computes through a process."""

    def __init__(self, process: ReferenceProcess) -> None:
        self._process = process

    def score(self, sequences: Ids, options: ScoreOptions) -> list[Score]:
        with tempfile.TemporaryDirectory(prefix="lariat-") as folder:
            output = Path(folder) / "score.safetensors"
            slots = self.score_to_file(sequences, output, options)
            tensors = _read_tensors(output)
            return [Score(tensors[f"logits.{at}"], tensors[f"steps.{at}"], use) for at, use in enumerate(slots)]

    def score_to_file(self, sequences: Ids, output: Path, options: ScoreOptions) -> list[CacheUse]:
        answer = self._process.request(
            "score",
            sequences=sequences,
            **option_values(options),
            initial_state=None if options.initial_state is None else str(options.initial_state.resolve()),
            output=str(output.resolve()),
        )
        return read_slots(answer.get("slots"))

    def encode(self, sequences: Ids) -> list[Encoded]:
        with tempfile.TemporaryDirectory(prefix="lariat-") as folder:
            output = Path(folder) / "encode.safetensors"
            self.encode_to_file(sequences, output)
            tensors = _read_tensors(output)
            return [Encoded(tensors[f"hidden.{at}"], tensors.get(f"logits.{at}")) for at, _ in enumerate(sequences)]

    def encode_to_file(self, sequences: Ids, output: Path) -> None:
        self._process.request("encode", sequences=sequences, output=str(output.resolve()))

    def generate(self, sequences: Ids, options: GenerateOptions) -> ReferenceRun:
        unknown = [
            one.name
            for one in fields(options)
            if one.metadata.get("fast_only") and getattr(options, one.name) != one.default
        ]
        if unknown:
            raise RuntimeFault(f"{', '.join(unknown)} cannot be used: the reference path samples by temperature alone")
        if options.profile:
            raise RuntimeFault("the reference path has no engine, so there is no profile")
        return ReferenceRun(self._process.stream("generate", sequences=sequences, **option_values(options)))

    def start(self) -> None:
        self._process.request("info")

    def memory(self) -> dict[str, int]:
        raise RuntimeFault("the reference path is a process of its own and does not count its memory")

    def cancel(self) -> None:
        self._process.cancel()

    def close(self) -> None:
        self._process.close()

    def stop(self) -> None:
        self._process.stop()


class ReferenceRun:
    """A run of the process. A sequence that nobody waits for goes on; the run itself can be ended."""

    def __init__(self, answers: Generator[Json, None, None]) -> None:
        self._answers = answers
        self._answer: Json = {}

    def tokens(self) -> Iterator[NewToken]:
        for answer in self._answers:
            if "ok" in answer:
                self._answer = answer
                return
            sequence, token, steps = (_integer(answer, key) for key in ("sequence", "token", "steps"))
            yield NewToken(sequence, token, steps)

    def stop(self, sequence: int) -> None:
        pass

    def end(self, sequence: int) -> SequenceEnd | None:
        results, slots = self._answer.get("results"), read_slots(self._answer.get("slots"))
        entry = results[sequence] if isinstance(results, list) and sequence < len(results) else None
        if not isinstance(entry, dict) or not isinstance(entry.get("tokens"), list):
            return None
        use = slots[sequence] if sequence < len(slots) else None
        return SequenceEnd(entry["tokens"], str(entry.get("finish")), use)

    def profile(self) -> None:
        return None

    def close(self) -> None:
        self._answers.close()


def _integer(answer: Json, key: str) -> int:
    value = answer.get(key)
    if not isinstance(value, int):
        raise RuntimeFault(f"lariat-reference answered without '{key}'")
    return value


def read_slots(slots: object) -> list[CacheUse]:
    """Entries of each sequence: [{cache: [layer][slot]{"computed", "filled"}}].

    Raises:
        RuntimeFault: if they have another shape.
    """
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
