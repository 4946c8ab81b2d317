# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What routers are made of: maps from rows to scores, functions of scores, decode rules, capacities."""

from __future__ import annotations

import math as numbers
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from lariat._config import Config, Size, is_number
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute
from lariat._ir.builder import Region, Rows, RowTensor, Value
from lariat.models._model import Entry, Model

__all__ = ["FUNCTIONS", "KINDS", "Rule", "ScoreFunction", "capacity_of", "is_share", "keep", "score"]

KINDS = ["linear", "mlp", "wide_mlp"]
"""W x, or W' gelu(W x) with twice as many columns between; `wide_mlp` is another name of the latter."""


@dataclass(frozen=True)
class ScoreFunction:
    """What makes a weight of a score.

    Attributes:
        inverse: the score of a weight between `low` and `high`.
        threshold: weight from which on a row passes when generating; none where none is declared.
    """

    apply: Callable[[Model, Value], Value]
    inverse: Callable[[float], float]
    low: float
    high: float
    threshold: float | None

    def read_rule(self, config: Config) -> float | None:
        """The least score that passes, by `decode_threshold` or as declared."""
        words = f"a number between {self.low:g} and {self.high:g}"
        check = (words, lambda value: is_number(value) and self.low < value < self.high)
        passing = config.get("decode_threshold", check, self.threshold)
        return None if passing is None else self.inverse(passing)


FUNCTIONS = {
    "sigmoid": ScoreFunction(lambda model, z: math.sigmoid(model.f, z, "share"), lambda p: numbers.log(p / (1 - p)),
                             0, 1, 0.5),
    "tanh": ScoreFunction(lambda model, z: math.tanh(model.f, z, "share"), numbers.atanh, -1, 1, 0.0),
    "identity": ScoreFunction(lambda model, z: z, lambda p: p, -1e30, 1e30, None),
}  # fmt: skip


def score(
    model: Model,
    x: Value,
    kind: str,
    name: str,
    *,
    symbol: str,
    columns: int | None = None,
    depths: int | None = None,
    by: Value | None = None,
) -> Value:
    """Scores of rows.

    Args:
        kind: one of `KINDS`.
        name: of the tensors: `NAME.weight`, or `NAME.0.weight` and `NAME.2.weight` of an MLP; with `depths`, "*" in it
            stands for the depth.
        symbol: of the weights in the module.
        columns: scores per row; one and no column where none is given.
        depths: number of depths that have weights of their own, chosen by the rows `by`.
    """

    def weight(suffix: str, shape: Sequence[int], stored: Sequence[int] | None = None) -> str:
        tensor = f"{name}{suffix}.weight"
        stack = None if depths is None else [tensor.replace("*", str(depth)) for depth in range(depths)]
        return model.weight(tensor, shape, symbol=f"{symbol}{suffix}", stored=stored, stack=stack)

    def multiply(x: Value, suffix: str, columns: int | None, as_: str) -> Value:
        shape = (x.width,) if columns is None else (columns, x.width)
        of = weight(suffix, shape, (1, x.width) if columns is None else None)
        type = x.rows.wide() if columns is None else x.rows.wide(columns)
        with model.f.part(symbol):
            return ops.linear(model.f, x, weight=of, by=by, result_type=type, name=as_)

    if kind == "linear":
        return multiply(x, "", columns, "z")
    inner = multiply(x, ".0", Size(x.width, "hidden_size").times(2), "inner")
    with model.f.part(symbol):
        inner = math.gelu_erf(model.f, inner, "inner")
    return multiply(inner, ".2", columns, "z")


@dataclass(frozen=True)
class Rule:
    """How a row passes when generating: by a score, its own of the router where `score` is none, and a limit."""

    limit: float
    score: Callable[[Value], Value] | None = None
    strict: bool = False
    passes_at_start: bool = False


def keep(model: Model, entry: Entry, z: Value, rows: Value, capacity: Attribute, rule: Rule | None) -> Value:
    """The rows with the largest scores, or those that pass the rule."""
    f = model.f
    decode = None if rule is None else _decode(model, z, rows, rule)
    counts = math.take(f, entry.capacity, rows, "counts")
    return ops.top_k(f, z, rows, capacity=capacity, counts=counts, result_type=Rows(f.label("kept")), decode=decode,
                     name="kept")  # fmt: skip


def _decode(model: Model, z: Value, rows: Value, rule: Rule) -> Region:
    f = model.f
    column = RowTensor((), "f32", rows.label)
    region = f.region(("rows", rows.type), ("first", column.of("i1")), ("z", column))
    with region:
        here, first, own = region.arguments
        deciding = own if rule.score is None else rule.score(here)
        limit = math.full(f, rule.limit, deciding, "limit")
        go = math.compare(f, deciding, "ogt" if rule.strict else "oge", limit, "passed")
        if rule.passes_at_start:
            go = math.either(f, first, go, "go")
        ops.end(f, go=go)
    return region


def is_share(text: object) -> bool:
    """Whether this is a share "n/d" above 0 and at most 1."""
    parts = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text) if isinstance(text, str) else None
    return parts is not None and 0 < int(parts[1]) <= int(parts[2])


def capacity_of(config: Config, key: str, texts: Sequence[str]) -> Attribute:
    """Shares of a sequence, one per depth, over their common denominator."""
    shares = [Fraction(text) for text in texts]
    denominator = numbers.lcm(*(share.denominator for share in shares))
    if denominator > 2**62:
        raise config.wrong(key, "shares with a small common denominator")
    return attr.capacity([int(share * denominator) for share in shares], denominator)
