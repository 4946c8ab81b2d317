# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The exit rules. Each function writes one and returns the stop bits; its docstring has the formula and its source.

In formulas x is the state with which a step begins and y the new one, z the logits of y and p their softmax, q what p
was a step before, V the size of the vocabulary, log the natural logarithm. Everything is of one row.
"""

from __future__ import annotations

import math as numbers
from collections.abc import Callable
from typing import Any

from lariat._ir import arithmetic as math
from lariat._ir import ops
from lariat._ir.builder import RowTensor, Value
from lariat.exits.rule import Record, Rule, Sizes, Step, count, one_of, positive

__all__ = ["RULES"]

RULES: dict[str, Rule] = {}
"""All rules by name."""

# Above what distances and counts of steps come to.
_LARGEST = 1e6

GATE = "model.early_exit_gate"
"""A linear layer of one output, `.weight` (1, width) and `.bias` (1)."""
HEAD = "model.exit_head"
"""A linear layer of two outputs, go on and stop, `.weight` (2, width) and `.bias` (2)."""


def _rule(name: str, *, never: float, low: float, high: float, **more: Any) -> Callable[..., Callable[[Step], Value]]:
    """Enters the function below into `RULES`."""

    def enter(write: Callable[[Step], Value]) -> Callable[[Step], Value]:
        RULES[name] = Rule(name, write, never, low, high, **more)
        return write

    return enter


# --- from weights of their own --------------------------------------------------------------------------------------


def _hazard_records(sizes: Sizes) -> list[Record]:
    return [Record("reached", 0.0), Record("left", 1.0)]


@_rule("cumulative-hazard", never=1.0, low=0.0, high=1.0, records=_hazard_records)
def cumulative_hazard(step: Step) -> Value:
    """1 - prod(1 - h) >= threshold, h = sigmoid(w y + b) of each step so far.

    Source: Ouro, https://arxiv.org/abs/2510.25741.
    """
    f, left = step.f, step.record("left")
    hazard = _gate(step, step.after)
    reached = math.add(f, step.record("reached"), math.multiply(f, hazard, left), "reached")
    left = math.multiply(f, left, math.subtract(f, step.full(1.0, left, "one"), hazard), "left")
    step.keep("reached", reached)
    step.keep("left", left)
    return step.reaching(reached)


@_rule("direct", never=1.0, low=0.0, high=1.0, usual=0.9)
def direct(step: Step) -> Value:
    """sigmoid(w y + b) > threshold.

    Source: LoopUS; the look-ahead head of vllm-rlt.
    """
    return step.above(_gate(step, step.after))


@_rule("class-head", never=1.0, low=0.0, high=1.0)
def class_head(step: Step) -> Value:
    """softmax(W y + b)[1] > threshold: the share of the class that stops.

    Source: the learned classifier of CALM, https://arxiv.org/abs/2207.07061, and of FREE,
    https://arxiv.org/abs/2310.05424.
    """
    f, width = step.f, step.sizes.width

    def score(part: str, index: int) -> Value:
        rows = (index, index + 1)
        weight = step.model.weight(f"{HEAD}.weight", (width,), symbol=f"exit_head.{part}", stored=(2, width),
                                   rows=rows, reshape=True)  # fmt: skip
        bias = step.model.weight(f"{HEAD}.bias", (1,), symbol=f"exit_head.{part}.bias", stored=(2,), rows=rows)
        return step.model.score(step.after, weight, bias, as_=part)

    return step.above(math.sigmoid(f, math.subtract(f, score("stop", 1), score("go_on", 0)), "share"))


def _act_records(sizes: Sizes) -> list[Record]:
    return [Record("accumulated", 0.0), Record("output", 0.0, sizes.width)]


@_rule("act", never=1.0, low=0.0, high=1.0, usual=0.99, options={"form": one_of("lerp", "sum")},
       records=_act_records, output="output")  # fmt: skip
def act(step: Step) -> Value:
    """accumulated + h > threshold, h = sigmoid(w x + b), accumulated the sum of h before.

    The loop gives a weighted output. The weight is h, and max(1 - accumulated, 0) in the step in which the row stops:
        lerp: output <- weight y + (1 - weight) output
        sum:  output <- output + weight y
    A row that runs out of steps keeps what it has. Both begin with zeros.

    Source: Universal Transformers, https://arxiv.org/abs/1807.03819, whose code has the first form; the second is
    Graves', https://arxiv.org/abs/1603.08983. The threshold is their 1 - epsilon.
    """
    f, before, output = step.f, step.record("accumulated"), step.record("output")
    share = _gate(step, step.before)
    accumulated = math.add(f, before, share, "accumulated")
    stop = step.above(accumulated)
    one, none = step.full(1.0, share, "one"), step.full(0.0, share, "none")
    left = math.subtract(f, one, before, "left")
    left = math.choose(f, math.compare(f, left, "olt", none, "spent"), none, left, "left")
    weight = math.choose(f, stop, left, share, "weight")
    if step.options["form"] == "lerp":
        kept = math.widen(f, math.subtract(f, one, weight), step.sizes.width, "kept")
        output = math.multiply(f, output, kept, "output")
    added = math.multiply(f, step.after, math.widen(f, weight, step.sizes.width, "weight"), "added")
    step.keep("accumulated", accumulated)
    step.keep("output", math.add(f, output, added, "output"))
    return stop


def _gate(step: Step, x: Value) -> Value:
    width = step.sizes.width
    weight = step.model.weight(f"{GATE}.weight", (width,), stored=(1, width))
    bias = step.model.weight(f"{GATE}.bias", (1,))
    return math.sigmoid(step.f, step.model.score(x, weight, bias), "share")


# --- from the readout of one step -----------------------------------------------------------------------------------


@_rule("top2-margin", never=1.0, low=0.0, high=1.0)
def top2_margin(step: Step) -> Value:
    """p of the first token - p of the second > threshold.

    Source: CALM and FREE, as above; relaxed recursive transformers, https://arxiv.org/abs/2410.20672.
    """
    return step.above(_margin(step))


@_rule("calm", never=1.0, low=0.0, high=1.0, options={"tau": positive(4.0), "length": count(None)})
def calm(step: Step) -> Value:
    """p of the first token - p of the second > threshold (0.9 + 0.1 exp(-tau t / length)).

    t is the position of the row in its sequence, of prompts and of what is generated alike, so that a row's steps do
    not depend on who wrote the tokens before it. `length` is the context of the model unless it is given.

    Source: CALM, as above, as used by FREE.
    """
    f, limit = step.f, step.limit
    position = ops.position_of(f, step.rows, result_type=limit.rows.of("index"), name="position")
    place = math.cast_to_f32(f, math.cast_to_i32(f, position, "position"), "place")
    rate = -step.options["tau"] / (step.options["length"] or step.sizes.context)
    decay = math.scaled(f, math.exp(f, math.scaled(f, place, rate)), 0.1, "decay")
    share = math.add(f, decay, step.full(0.9, decay, "floor"), "share")
    return step.above(_margin(step), math.multiply(f, limit, share, "decayed"))


@_rule("entropy", never=0.0, low=0.0, high=1.0)
def entropy(step: Step) -> Value:
    """-sum p log p / log V < threshold.

    Source: BranchyNet, https://arxiv.org/abs/1709.01686, with the entropy in shares of its largest value.
    """
    return step.below(math.scaled(step.f, _entropy(step), 1 / numbers.log(step.sizes.vocab), "share"))


def _margin(step: Step) -> Value:
    """(1 - exp(z2 - z1)) / sum exp(z - z1), z1 and z2 being the two largest logits."""
    f, logits = step.f, step.logits()
    first, second = math.reduce(f, logits, "max", "first"), math.reduce(f, logits, "second_max", "second")
    shares = math.exp(f, math.subtract(f, logits, math.widen(f, first, logits.width, "first")), "shares")
    other = math.exp(f, math.subtract(f, second, first), "other")
    margin = math.subtract(f, step.full(1.0, other, "one"), other, "margin")
    return math.divide(f, margin, math.reduce(f, shares, "sum", "total"), "margin")


def _entropy(step: Step) -> Value:
    """log sum exp(s) - sum s exp(s) / sum exp(s), s = z - max z."""
    f, logits = step.f, step.logits()
    shifted = math.subtract(f, logits, math.widen(f, math.reduce(f, logits, "max", "first"), logits.width, "first"))
    shares = math.exp(f, shifted, "shares")
    total = math.reduce(f, shares, "sum", "total")
    mean = math.divide(f, math.reduce(f, math.multiply(f, shares, shifted), "sum", "weighted"), total, "mean")
    return math.subtract(f, math.log(f, total), mean, "entropy")


# --- from successive steps: the criteria of Huginn, https://arxiv.org/abs/2502.05171 --------------------------------


@_rule("entropy-diff", never=0.0, low=0.0, high=100.0, usual=1e-3, records=lambda sizes: [Record("entropy", 100.0)])
def entropy_diff(step: Step) -> Value:
    """|entropy of p - entropy of q| < threshold, in nats; before the first step the entropy counts as 100."""
    f = step.f
    entropy = _entropy(step)
    step.keep("entropy", entropy)
    return step.below(math.absolute(f, math.subtract(f, entropy, step.record("entropy")), "difference"))


@_rule("latent-diff", never=0.0, low=0.0, high=_LARGEST, usual=0.03)
def latent_diff(step: Step) -> Value:
    """|y - x| / |y| < threshold, Euclidean lengths."""
    f = step.f
    change = _length(step, math.subtract(f, step.after, step.before, "change"))
    return step.below(math.divide(f, change, _length(step, step.after), "difference"))


@_rule("cosine", never=0.0, low=0.0, high=2.0, usual=1e-3)
def cosine(step: Step) -> Value:
    """1 - x y / (|x| |y|) < threshold; 1 where a state is all zeros."""
    f = step.f
    product = math.reduce(f, math.multiply(f, step.before, step.after), "sum", "product")
    lengths = math.multiply(f, _length(step, step.before), _length(step, step.after), "lengths")
    one = step.full(1.0, lengths, "one")
    empty = math.compare(f, lengths, "oeq", step.full(0.0, lengths, "zero"), "empty")
    cosine = math.divide(f, product, math.choose(f, empty, one, lengths, "lengths"), "cosine")
    return step.below(math.subtract(f, one, cosine, "distance"))


def _log_share_records(sizes: Sizes) -> list[Record]:
    return [Record("log_shares", -numbers.log(sizes.vocab), sizes.vocab)]


@_rule("kl", never=0.0, low=0.0, high=_LARGEST, usual=1e-3, records=_log_share_records)
def kl(step: Step) -> Value:
    """sum q log(q / p) < threshold; before the first step q is 1 / V everywhere."""
    return _divergence(step, _log_shares(step))


@_rule("minp-kl", never=0.0, low=0.0, high=_LARGEST, usual=1e-5, records=_log_share_records)
def minp_kl(step: Step) -> Value:
    """As kl, of p in which shares below a tenth of the largest are replaced by 1 / V, scaled to the sum 1."""
    f, shares = step.f, _log_shares(step)
    bound = math.add(f, math.reduce(f, shares, "max", "first"), step.full(numbers.log(0.1), step.limit, "tenth"))
    small = math.compare(f, shares, "olt", math.widen(f, bound, shares.width, "bound"), "small")
    shares = math.choose(f, small, step.full(-numbers.log(step.sizes.vocab), shares, "even"), shares, "replaced")
    total = math.log(f, math.reduce(f, math.exp(f, shares), "sum", "total"), "total")
    return _divergence(step, math.subtract(f, shares, math.widen(f, total, shares.width, "total"), "log_shares"))


def _stability_records(sizes: Sizes) -> list[Record]:
    return [Record("last", -1, element="i32"), Record("stable", 0.0)]


@_rule("argmax-stability", never=_LARGEST, low=0.0, high=_LARGEST, usual=5.0, records=_stability_records)
def argmax_stability(step: Step) -> Value:
    """The number of steps since which the token with the largest logit is the same >= threshold."""
    f, logits = step.f, step.logits()
    best = ops.argmax(f, logits, result_type=RowTensor((), "i32", logits.label), name="best")
    stable = step.record("stable")
    more = math.add(f, stable, step.full(1.0, stable, "one"), "more")
    same = math.compare(f, best, "eq", step.record("last"), "same")
    stable = math.choose(f, same, more, step.full(0.0, stable, "none"), "stable")
    step.keep("last", best)
    step.keep("stable", stable)
    # A token of logits that are not numbers is none.
    total = math.reduce(f, logits, "sum", "total")
    return math.both(f, step.reaching(stable), math.compare(f, total, "oeq", total, "numbers"), "stop")


def _log_shares(step: Step) -> Value:
    """log p = z - max z - log sum exp(z - max z)."""
    f, logits = step.f, step.logits()
    first = math.reduce(f, logits, "max", "first")
    shares = math.exp(f, math.subtract(f, logits, math.widen(f, first, logits.width, "first")), "shares")
    total = math.add(f, first, math.log(f, math.reduce(f, shares, "sum", "total")), "total")
    return math.subtract(f, logits, math.widen(f, total, logits.width, "total"), "log_shares")


def _divergence(step: Step, shares: Value) -> Value:
    f, before = step.f, step.record("log_shares")
    step.keep("log_shares", shares)
    terms = math.multiply(f, math.exp(f, before), math.subtract(f, before, shares, "ratio"), "terms")
    return step.below(math.reduce(f, terms, "sum", "divergence"))


def _length(step: Step, x: Value) -> Value:
    f = step.f
    return math.sqrt(f, math.reduce(f, math.multiply(f, x, x, "squares"), "sum", "square"), "length")
