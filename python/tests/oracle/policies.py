# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""KV policies from their definition, in numpy float64: a loop whose rows write one key and value per step.

The loop: h = x[id]; at each depth d, k = K h and v = V h are written where the policy says, o = attention of h over
what the policy shows, h = tanh(h + o). A row stops after depth id mod `STOPS`, of at most `LOOPS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

LOOPS, STOPS = 5, 4
WIDTH, HEADS = 8, 2  # of h; keys and values have one head, of WIDTH / HEADS columns


@dataclass(frozen=True)
class Part:
    """A policy of all rows, or of those of the prompt, or of generated ones.

    Attributes:
        missing, scope: of `own`.
        slots, order: of `first_then_shared`, `ring` and `last`.
    """

    kind: str
    missing: str = "skip"
    slots: int = 1
    order: str = "free"
    scope: str = "all"

    def text(self) -> str:
        if self.kind == "own":
            scope = f", exit_scope = {self.scope}" if self.scope != "all" else ""
            return f"#lariat.own<missing = {self.missing}{scope}>"
        if self.kind == "last":
            return f"#lariat.last<order = {self.order}>"
        if self.kind in ("ring", "first_then_shared"):
            return f"#lariat.{self.kind}<{self.slots}, order = {self.order}>"
        return f"#lariat.{self.kind}"

    def slot(self, depth: int) -> int:
        """Where depth `depth` is kept, whether or not a row writes there."""
        if self.kind in ("first", "last"):
            return 0
        if self.kind == "first_then_shared":
            return min(depth, self.slots - 1)
        return depth % self.slots if self.kind == "ring" else depth

    def writes(self, depth: int, filled: bool) -> bool:
        if filled:
            return self.kind == "own" and self.missing == "propagate"
        return self.kind != "first" or depth == 0

    def finds(self, depth: int, there: Sequence[int]) -> list[int]:
        """Slots of an earlier row that a row at `depth` reads, given the ascending slots that are there."""
        slot = self.slot(depth)
        upto = [one for one in there if one <= slot]
        if self.kind == "union":
            return upto
        if self.kind == "latest" or (self.kind == "own" and self.missing == "copy_last"):
            return upto[-1:]
        if slot in there:
            return [slot]
        return list(there[:1]) if self.kind == "own" and self.missing == "slot0" and there[:1] == [0] else []

    def entries(self, steps: int) -> int:
        """Live entries of a row that ran so many steps, from the formula."""
        if self.kind in ("first", "last"):
            return 1
        if self.kind in ("ring", "first_then_shared"):
            return min(steps, self.slots)
        return LOOPS if self.kind == "own" and self.missing == "propagate" else steps


@dataclass(frozen=True)
class Policy:
    """`generated` is none where rows of the prompt and generated ones have the same policy."""

    prompt: Part
    generated: Part | None = None

    def of(self, generated: bool) -> Part:
        return self.generated if generated and self.generated else self.prompt

    def text(self) -> str:
        if self.generated is None:
            return self.prompt.text()
        return f"#lariat.phased<prompt = {self.prompt.text()}, generated = {self.generated.text()}>"

    def fills(self) -> bool:
        return any(part.missing == "propagate" for part in (self.of(False), self.of(True)))


class Loop:
    """One sequence, run segment by segment."""

    def __init__(self, policy: Policy, x: Array, k: Array, v: Array) -> None:
        self.policy, self.x, self.k, self.v = policy, x, k, v
        self.generated: list[bool] = []
        self.kept: list[dict[int, tuple[Array, Array, bool]]] = []  # by position and slot: key, value, filled

    def run(self, ids: Sequence[int], generated: bool = False) -> tuple[Array, list[int]]:
        """Rows that go through the depths together; their last states, and their steps."""
        part = self.policy.of(generated)
        start = len(self.kept)
        self.generated += [generated] * len(ids)
        self.kept += [{} for _ in ids]
        may_stop = part.scope == "all" or generated
        steps = [id % STOPS + 1 if may_stop else LOOPS for id in ids]
        h = self.x[list(ids)].astype(np.float64)
        for depth in range(LOOPS):
            active = [row for row, most in enumerate(steps) if depth < most]
            for row in range(len(ids)):
                filled = row not in active
                if part.writes(depth, filled):
                    self.kept[start + row][part.slot(depth)] = (self.k @ h[row], self.v @ h[row], filled)
            after = h.copy()
            for row in active:
                after[row] = np.tanh(h[row] + self._attend(h[row], start + row, depth))
            h = after
        return h, steps

    def _attend(self, query: Array, position: int, depth: int) -> Array:
        seen = []
        for u in range(position + 1):
            slots = self.policy.of(self.generated[u]).finds(depth, sorted(self.kept[u]))
            seen += [self.kept[u][slot][:2] for slot in slots]
        width = WIDTH // HEADS
        result = np.zeros(WIDTH)
        for head in range(HEADS if seen else 0):
            columns = slice(head * width, (head + 1) * width)
            scores = np.array([query[columns] @ key for key, _ in seen]) / np.sqrt(width)
            shares = np.exp(scores - scores.max())
            result[columns] = shares @ np.array([value for _, value in seen]) / shares.sum()
        return result

    def slots(self) -> list[tuple[int, int]]:
        """Computed and filled entries by slot."""
        counts = [[0, 0] for _ in range(LOOPS)]
        for entries in self.kept:
            for slot, (_, _, filled) in entries.items():
                counts[slot][filled] += 1
        return [(computed, filled) for computed, filled in counts]


def cut(ids: Sequence[int], policy: Policy, chunk: int | None) -> list[list[int]]:
    """The segments of a prompt that is fed in chunks."""
    size = 1 if policy.prompt.order == "sequential" else chunk or len(ids)
    return [list(ids[first : first + size]) for first in range(0, len(ids), size)]
