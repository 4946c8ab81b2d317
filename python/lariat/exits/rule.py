# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What an exit rule is made of: its declaration, the values that rows carry for it, and what it sees in a loop step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lariat._ir import arithmetic as math
from lariat._ir import ops
from lariat._ir.arithmetic import Comparison
from lariat._ir.builder import Builder, RowTensor, Value
from lariat.models._model import Model

__all__ = ["MIN_STEPS", "Option", "Record", "Rule", "Sizes", "Step", "count", "one_of", "positive"]


@dataclass(frozen=True)
class Option:
    """A number or word that is fixed when compiling. `read` raises ValueError for what is not `expected`."""

    default: Any
    expected: str
    read: Callable[[str], Any]


def count(default: int | None) -> Option:
    """A whole number from 1; the default None leaves it to the rule."""

    def read(text: str) -> int:
        value = int(text)
        if not 1 <= value < 2**31:
            raise ValueError(text)
        return value

    return Option(default, "a whole number from 1", read)


def positive(default: float) -> Option:
    """A finite number above 0."""

    def read(text: str) -> float:
        value = float(text)
        if not 0 < value < 1e30:
            raise ValueError(text)
        return value

    return Option(default, "a number above 0", read)


def one_of(*words: str) -> Option:
    """One of these words, by default the first."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Option(words[0], " or ".join(words), read)


MIN_STEPS = count(1)
"""The option `min_steps` of every rule: no row stops before it has taken so many steps."""


@dataclass(frozen=True)
class Sizes:
    """Of a model: columns of the state, entries of the vocabulary, positions of a sequence."""

    width: int
    vocab: int
    context: int


@dataclass(frozen=True)
class Record:
    """A value that each row carries for a rule, `columns` of it (0: one), and what all of them start with."""

    name: str
    start: float
    columns: int = 0
    element: str = "f32"


@dataclass(frozen=True)
class Rule:
    """An exit rule.

    Attributes:
        write: writes the rule into the loop body and gives the stop bit of each row, by `Step.above` or its like.
        never, low, high: thresholds: at `never` no row stops early, the others bound what a request may ask for.
        usual: threshold of the source, where it names one, for people: nothing applies it.
        options: by name, besides `min_steps`.
        records: what rows carry for it.
        output: the record that is the result of the loop, in place of the state.
    """

    name: str
    write: Callable[[Step], Value]
    never: float
    low: float
    high: float
    usual: float | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    records: Callable[[Sizes], Sequence[Record]] = lambda sizes: ()
    output: str = ""


class Step:
    """What a rule sees of one loop step. Values belong to the rows of the step, one entry each.

    Attributes:
        rows: the rows of the step.
        before, after: the state with which the step began, and the new one.
        limit: the threshold of each row.
        options: values of the rule's options.
        sizes: of the model.
    """

    def __init__(
        self,
        model: Model,
        rule: Rule,
        *,
        rows: Value,
        states: tuple[Value, Value],
        records: Mapping[str, Value],
        limit: Value,
        options: Mapping[str, Any],
        sizes: Sizes,
        readout: Callable[[Value], Value],
    ) -> None:
        self.model = model
        self.f: Builder = model.f
        self.rows = rows
        self.before, self.after = states
        self.limit = limit
        self.options = options
        self.sizes = sizes
        self._rule = rule
        self._before = records
        self._after: dict[str, Value] = {}
        self._readout = readout

    def logits(self) -> Value:
        """Logits of the new state, by the family's final norm and head; to be asked for once."""
        return self._readout(self.after)

    def record(self, name: str) -> Value:
        """What the row carries since the step before."""
        return self._before[name]

    def keep(self, name: str, value: Value) -> None:
        """What the row carries to the next step."""
        self._after[name] = value

    def kept(self) -> list[Value]:
        """New values of the records, in their order."""
        return [self._after[name] for name in self._before]

    def full(self, value: float, like: Value, name: str) -> Value:
        return math.full(self.f, value, like, name)

    # A comparison with a NaN is false, so a row whose score is none goes on.

    def above(self, score: Value, limit: Value | None = None) -> Value:
        """Rows whose score is above the threshold stop."""
        return self._stop(score, "ogt", limit)

    def reaching(self, score: Value) -> Value:
        """Rows whose score is the threshold or above it stop."""
        return self._stop(score, "oge")

    def below(self, score: Value) -> Value:
        """Rows whose score is below the threshold stop."""
        return self._stop(score, "olt")

    def _stop(self, score: Value, predicate: Comparison, limit: Value | None = None) -> Value:
        """`never` is compared too: no rounding of a score makes it a threshold that rows pass."""
        f = self.f
        passed = math.compare(f, score, predicate, limit or self.limit, "passed")
        never = self.full(self._rule.never, self.limit, "never")
        may = math.compare(f, self.limit, "ogt" if predicate == "olt" else "olt", never, "may_stop")
        stop = math.both(f, passed, may, "stop")
        fewest = self.options["min_steps"]
        if fewest == 1:
            return stop
        depth = ops.depth_of(f, self.rows, result_type=RowTensor((), "index", self.rows.label), name="depth")
        depth = math.cast_to_i32(f, depth, "depth")
        enough = math.compare(f, self.full(fewest - 1, depth, "min_depth"), "sle", depth, "enough")
        return math.both(f, stop, enough, "stop")
