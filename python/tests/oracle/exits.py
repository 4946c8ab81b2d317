# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exit rules, from their published definitions: a score per row and step, and the rows that a threshold stops.

Shares are computed as the papers write them (softmax, then logarithm), not as a compiler would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .pieces import Array, Config, Weights, linear, sigmoid, softmax

Readout = Callable[[], Array]


class Exit:
    """A rule for the rows of one sequence. It is asked once per step, in order.

    Attributes:
        never: threshold at which no row stops.
        gate: what the fixtures store of the last step, where that is not the score.
    """

    never = 1.0

    def __init__(self, config: Config, weights: Weights, state: Array, options: dict[str, str]) -> None:
        self.config, self.weights, self.options = config, weights, options
        self.zeros = np.zeros_like(state[:, 0])
        self.gate: Array | None = None

    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        """float[S]: the score of every row, from the states around the step and the new one's logits."""
        raise NotImplementedError

    def limit(self, q: float) -> Array:
        """The threshold of each row."""
        return np.full_like(self.zeros, q)

    def passes(self, score: Array, q: float) -> Array:
        return np.asarray(score > self.limit(q))

    def gap(self, score: Array, q: float) -> Array:
        """How far the decision of each row is from the other one."""
        return np.asarray(np.abs(score - self.limit(q)))

    def result(self, after: Array, stops: Array) -> Array:
        """What a row that left after this step would give."""
        return after


class Hazard(Exit):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.survival = np.ones_like(self.zeros)

    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        self.gate = sigmoid(linear(self.weights, "model.early_exit_gate", after)[:, 0])
        self.survival = self.survival * (1 - self.gate)
        return 1 - self.survival

    def passes(self, score: Array, q: float) -> Array:
        return np.asarray(score >= q)


class Direct(Exit):
    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        return sigmoid(linear(self.weights, "model.early_exit_gate", after)[:, 0])


class ClassHead(Exit):
    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        return softmax(linear(self.weights, "model.exit_head", after))[:, 1]


class Act(Exit):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.before = self.accumulated = self.zeros
        self.output: Array | float = 0.0

    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        self.share = sigmoid(linear(self.weights, "model.early_exit_gate", before)[:, 0])
        self.before, self.accumulated = self.accumulated, self.accumulated + self.share
        return self.accumulated

    def result(self, after: Array, stops: Array) -> Array:
        weight = np.where(stops, np.maximum(1 - self.before, 0), self.share)[:, None]
        keeps = 1.0 if self.options.get("form") == "sum" else 1 - weight
        self.output = self.output * keeps + weight * after
        return np.asarray(self.output)


class Margin(Exit):
    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        p = np.sort(softmax(readout()), axis=1)
        return np.asarray(p[:, -1] - p[:, -2])


class Calm(Margin):
    def limit(self, q: float) -> Array:
        tau = float(self.options.get("tau", 4))
        length = int(self.options.get("length") or self.config["max_position_embeddings"])
        return np.asarray(0.9 * q + 0.1 * q * np.exp(-tau * np.arange(len(self.zeros)) / length))


class Below(Exit):
    never = 0.0

    def passes(self, score: Array, q: float) -> Array:
        return np.asarray(score < q)


def entropy_of(logits: Array) -> Array:
    p = softmax(logits)
    return np.asarray(-(p * np.log(p)).sum(axis=1))


class Entropy(Below):
    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        logits = readout()
        return np.asarray(entropy_of(logits) / np.log(logits.shape[1]))


class EntropyDiff(Below):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.last = np.full_like(self.zeros, 100.0)

    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        last, self.last = self.last, entropy_of(readout())
        return np.asarray(np.abs(self.last - last))


class LatentDiff(Below):
    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        return np.asarray(np.linalg.norm(after - before, axis=1) / np.linalg.norm(after, axis=1))


class Cosine(Below):
    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        product = (before * after).sum(axis=1)
        return np.asarray(1 - np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0))


class Kl(Below):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.last: Array | None = None

    def shares(self, logits: Array) -> Array:
        return softmax(logits)

    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        p = self.shares(readout())
        last: Array = np.full_like(p, 1 / p.shape[1]) if self.last is None else self.last
        self.last = p
        return np.asarray((last * np.log(last / p)).sum(axis=1))


class MinpKl(Kl):
    def shares(self, logits: Array) -> Array:
        p = softmax(logits)
        relative = p / p.max(axis=1, keepdims=True)
        self.closest = np.abs(relative - 0.1).min(axis=1)
        p = np.where(relative < 0.1, 1 / p.shape[1], p)
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def gap(self, score: Array, q: float) -> Array:
        # Ratios of shares are exact to more digits than sums of logarithms.
        return np.asarray(np.minimum(super().gap(score, q), 20 * self.closest))


class ArgmaxStability(Exit):
    never = 1e6

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.last = np.full(len(self.zeros), -1)
        self.stable = self.zeros

    def score(self, before: Array, after: Array, readout: Readout) -> Array:
        logits = readout()
        ordered = np.sort(logits, axis=1)
        self.closest = ordered[:, -1] - ordered[:, -2]
        last, self.last = self.last, logits.argmax(axis=1)
        self.stable = np.where(self.last == last, self.stable + 1, 0.0)
        return self.stable

    def passes(self, score: Array, q: float) -> Array:
        return np.asarray(score >= q)

    def gap(self, score: Array, q: float) -> Array:
        return np.asarray(self.closest)


EXITS: dict[str, type[Exit]] = {
    "cumulative-hazard": Hazard,
    "direct": Direct,
    "class-head": ClassHead,
    "act": Act,
    "top2-margin": Margin,
    "calm": Calm,
    "entropy": Entropy,
    "entropy-diff": EntropyDiff,
    "latent-diff": LatentDiff,
    "cosine": Cosine,
    "kl": Kl,
    "minp-kl": MinpKl,
    "argmax-stability": ArgmaxStability,
}


def make_exit(text: str, config: Config, weights: Weights, state: Array) -> tuple[Exit, int]:
    """The rule that `NAME[:option=value,...]` means, and the fewest steps that it lets a row take.

    state: float[S, D], the rows before the first step.
    """
    name, _, rest = text.partition(":")
    options = dict(part.split("=") for part in rest.split(",") if part)
    return EXITS[name](config, weights, state, options), int(options.get("min_steps", 1))
