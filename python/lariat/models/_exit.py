# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops over depth: the declared treatment of missing entries, exit rules, the fill region."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lariat._config import Config
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute, Missing
from lariat._ir.builder import Region, Rows, RowTensor, Value
from lariat.exits import ExitRule
from lariat.exits.rule import Sizes
from lariat.models._model import Entry, Model

__all__ = ["exit_loop", "exit_policy", "loop"]

_MODES: dict[str, Missing] = {"copy-last": "copy_last", "propagate": "propagate"}


def exit_policy(config: Config, default: str | None = None) -> Attribute:
    """Own slots, with the declared mode for rows that stopped; the other one may be picked."""
    declared = config.choice("exit_kv_policy", list(_MODES), *([default] if default else []))
    mode = _MODES[declared]
    other: Missing = "propagate" if mode == "copy_last" else "copy_last"
    return attr.own(mode, [other])


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


def exit_loop(
    model: Model,
    entry: Entry,
    rule: ExitRule | None,
    start: tuple[str, Value],
    step: Callable[[Value, Value], Value],
    *,
    fill: Callable[[Value, Value], None],
    readout: Callable[[Value], Value],
) -> tuple[Value, Value]:
    """The loop over depth of one state: the result and the steps of all rows, which stop by a rule if there is one.

    Args:
        start: name of the state and what it starts with.
        step: from active rows and their state: their new state.
        fill: from stopped rows and the state they stopped with: appends for the depth they did not reach.
        readout: logits of a state, for rules that ask for them.
    """
    if rule is None:
        (x,), steps = loop(model, entry, [start], lambda rows, carried: (rows, [step(rows, carried[0])], None))
        return x, steps
    sizes = Sizes(start[1].width, model.vocab, model.context)
    records = rule.start(model, entry, sizes)

    def body(rows: Value, carried: Sequence[Value]) -> tuple[Value, Sequence[Value], Value]:
        before, *recorded = carried
        after = step(rows, before)
        limit = math.take(model.f, entry.threshold, rows, "threshold")
        named = dict(zip(records, recorded, strict=True))
        kept, stop = rule.write(model, rows, (before, after), named, limit, sizes, readout)
        return rows, [after, *kept], stop

    finals, steps = loop(model, entry, [start, *records.items()], body, lambda rows, carried: fill(rows, carried[0]))
    named = dict(zip([start[0], *records], finals, strict=True))
    return named[rule.output or start[0]], steps
