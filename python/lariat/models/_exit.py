# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What loops with an exit share: the declared treatment of missing entries, the exit inputs, the fill region."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lariat._config import Config
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute, Missing
from lariat._ir.builder import Region, Rows, RowTensor, Value
from lariat.models._model import Entry, Model

__all__ = ["exit_policy", "loop", "threshold"]

_MODES: dict[str, Missing] = {"copy-last": "copy_last", "propagate": "propagate"}


def exit_policy(config: Config, default: str | None = None) -> Attribute:
    """Own slots, with the declared mode for rows that stopped; the other one may be picked."""
    declared = config.choice("exit_kv_policy", list(_MODES), *([default] if default else []))
    mode = _MODES[declared]
    other: Missing = "propagate" if mode == "copy_last" else "copy_last"
    return attr.own(mode, [other])


def threshold(model: Model, entry: Entry, at: Value) -> Value:
    """The exit threshold of the rows `at`."""
    return math.take(model.f, entry.threshold, at, "threshold")


def loop(
    model: Model,
    entry: Entry,
    carried: Sequence[tuple[str, Value]],
    step: Callable[[Value, Sequence[Value]], tuple[Value, Sequence[Value], Value | None]],
    fill: Callable[[Value, Sequence[Value]], None] | None = None,
) -> tuple[list[Value], Value]:
    """The loop over depth of all rows: final carried values and steps.

    Args:
        carried: suggested name and initial value of each carried value.
        step: from active rows and carried values: kept rows, their new values, a bit per kept row that stops.
        fill: from stopped rows and the values they stopped with: appends for the depth they did not reach.
    """
    f = model.f
    initial = [value for _, value in carried]

    def region(label: str) -> Region:
        set_label = f.label(label)
        types: list[tuple[str, RowTensor]] = [(name, value.rows.at(set_label)) for name, value in carried]
        return f.region((label, Rows(set_label)), *types)

    body = region("active")
    with body:
        rows, *values = body.arguments
        kept, new, stop = step(rows, values)
        with f.part("loop"):
            ops.next(f, kept, new, stop=stop)
    stopped = None
    if fill:
        stopped = region("stopped")
        with stopped:
            rows, *values = stopped.arguments
            fill(rows, values)
            with f.part("loop"):
                ops.end(f)
    types = [value.type for value in initial]
    steps_type = RowTensor((), "i32", entry.rows.label)
    with f.part("loop"):
        *finals, steps = ops.recur(f, entry.loops, entry.rows, initial, finals_types=types, steps_type=steps_type,
                                   body=body, fill=stopped)  # fmt: skip
    return finals, steps
