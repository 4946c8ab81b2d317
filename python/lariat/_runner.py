# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a session needs of the thing that computes: `_reference` and `_fast` have one each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lariat._values import read_fields
from lariat.errors import RuntimeFault
from lariat.requests import CacheUse, Encoded, GenerateOptions, Score, ScoreOptions

if TYPE_CHECKING:
    from fractions import Fraction

    from lariat.profile import Profile

__all__ = ["Ids", "NewToken", "Run", "Runner", "SequenceEnd", "Settings", "capacity_shares", "missing_word",
           "option_values"]  # fmt: skip

Ids = list[list[int]]

_LARGEST = 2**62

# Words of the native module's Order, in capitals there: settings are checked before that is loaded.
SCHEDULERS = ("oldest", "fifo", "deepest")


@dataclass(frozen=True)
class Settings:
    """How a session runs; see `lariat.load`."""

    threads: int | None = None
    isa: str | None = None
    max_rows: int = 512
    scheduler: str = "oldest"
    kv_pages: int | None = None
    verify_weights: bool = True

    def __post_init__(self) -> None:
        read_fields(self)


class NewToken(NamedTuple):
    """A token as it is chosen."""

    sequence: int
    id: int
    steps: int
    logprob: float | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()


class SequenceEnd(NamedTuple):
    """What a finished sequence consists of."""

    tokens: list[int]
    finish: str
    slots: CacheUse | None


class Run(Protocol):
    """A batch that generates."""

    def tokens(self) -> Iterator[NewToken]:
        """New tokens as they come."""

    def stop(self, sequence: int) -> None:
        """Say that nobody waits for more tokens of a sequence. Some may still come."""

    def end(self, sequence: int) -> SequenceEnd | None:
        """How a sequence ended; none where the run did not come to that."""

    def profile(self) -> Profile | None:
        """What the batch did, where the options asked for it."""

    def close(self) -> None:
        """End the run, wherever it is."""


class Runner(Protocol):
    """Computes for one artefact. One call at a time; a failed request leaves it usable."""

    def score(self, sequences: Ids, options: ScoreOptions) -> list[Score]: ...

    def score_to_file(self, sequences: Ids, output: Path, options: ScoreOptions) -> list[CacheUse]: ...

    def encode(self, sequences: Ids) -> list[Encoded]: ...

    def encode_to_file(self, sequences: Ids, output: Path) -> None: ...

    def generate(self, sequences: Ids, options: GenerateOptions) -> Run: ...

    def start(self) -> None:
        """Load what the first request would load."""

    def memory(self) -> dict[str, int]:
        """Bytes by what holds them."""

    def cancel(self) -> None:
        """End the requests that run, from another thread; they raise a RuntimeFault."""

    def close(self) -> None:
        """Give memory and threads back; the next request starts again."""

    def stop(self) -> None:
        """The same, without waiting for a request that runs."""


def capacity_shares(capacity: Sequence[Fraction | float | str] | None) -> list[tuple[int, int]] | None:
    """Numerator and denominator of each share; a float is the nearest fraction with a denominator up to a million.

    Raises:
        RuntimeFault: if one is not a number, or there are none.
    """
    from fractions import Fraction

    if capacity is None:
        return None
    if not capacity:
        raise RuntimeFault("the capacity has no shares, expected one for each depth of the router")
    shares = []
    for depth, share in enumerate(capacity):
        try:
            exact = Fraction(share)
        except (TypeError, ValueError, ArithmeticError):
            raise RuntimeFault(f"the capacity of depth {depth} is {share!r}, expected a share such as 2/3") from None
        if isinstance(share, float):
            exact = exact.limit_denominator(10**6)
        if max(abs(exact.numerator), exact.denominator) > _LARGEST:
            raise RuntimeFault(f"the capacity of depth {depth} is {share}, expected a fraction of smaller numbers")
        shares.append((int(exact.numerator), int(exact.denominator)))
    return shares


def missing_word(missing: str | None) -> str | None:
    """A missing mode as the compiler spells it."""
    return None if missing is None else missing.replace("-", "_")


# How values are given to the runtime; others are given as they are.
_GIVEN: dict[str, Callable[[Any], Any]] = {"capacity": capacity_shares, "missing": missing_word}
# Stop texts are the session's business; initial states are arrays or a file.
_APART = ("stop", "initial_state")


def option_values(options: ScoreOptions | GenerateOptions) -> dict[str, Any]:
    """The options of a request by name, as JSON can hold them: see lib/Requests/Options.cpp.

    Raises:
        RuntimeFault: for a capacity that is none.
    """
    names = [one.name for one in fields(options) if one.name not in _APART]
    return {name: _GIVEN.get(name, lambda value: value)(getattr(options, name)) for name in names}
