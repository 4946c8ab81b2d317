# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which rule a model has: the one that it declares, or another that the caller puts in its place."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute
from lariat._ir.builder import RowTensor, Value
from lariat.errors import ImportFailure
from lariat.exits.rule import MIN_STEPS, Rule, Sizes, Step
from lariat.exits.rules import GATE, HEAD, RULES
from lariat.models._model import Entry, Model

__all__ = ["ExitRule", "ignore_heads", "pick"]


@dataclass(frozen=True)
class ExitRule:
    """A rule with values of its options.

    Attributes:
        options: value of each option, `min_steps` included.
        instead_of: the rule that the checkpoint declares, where this one is put in its place.
    """

    rule: Rule
    options: Mapping[str, Any]
    instead_of: str = ""

    @property
    def output(self) -> str:
        """The record that is the result of the loop; the state where there is none."""
        return self.rule.output

    def declare(self, default: float | None = None) -> Attribute:
        """`#lariat.exit`; `default` is the checkpoint's own threshold, which a run uses that gives none."""
        known = {"min_steps": MIN_STEPS, **self.rule.options}
        changed = [f"{name}={value}" for name, value in self.options.items() if value != known[name].default]
        text = self.rule.name + (f":{','.join(changed)}" if changed else "")
        text += f" instead of {self.instead_of}" if self.instead_of else ""
        return attr.exit(text, self.rule.never, self.rule.low, self.rule.high, default, self.rule.usual)

    def start(self, model: Model, entry: Entry, sizes: Sizes) -> dict[str, Value]:
        """What rows carry before the first step."""
        f, values = model.f, {}
        with f.part("exit"):
            for record in self.rule.records(sizes):
                columns = (record.columns,) if record.columns else ()
                scalar = math.constant(f, record.start, record.element, record.name)
                type = RowTensor(columns, record.element, entry.rows.label)
                values[record.name] = ops.spread(f, scalar, entry.rows, result_type=type, name=record.name)
        return values

    def write(
        self,
        model: Model,
        rows: Value,
        states: tuple[Value, Value],
        records: Mapping[str, Value],
        limit: Value,
        sizes: Sizes,
        readout: Callable[[Value], Value],
    ) -> tuple[list[Value], Value]:
        """Writes a step of the rule; gives what rows carry on, and the stop bit of each.

        Args:
            rows: the rows of the step.
            states: with which the step began, and the new one.
            records: what rows carry, by name.
            limit: threshold of each row.
            readout: writes the logits of a state.
        """
        with model.f.part("exit"):
            step = Step(model, self.rule, rows=rows, states=states, records=records, limit=limit,
                        options=self.options, sizes=sizes, readout=readout)  # fmt: skip
            stop = self.rule.write(step)
        return step.kept(), stop


def pick(wish: str | None, own: Sequence[str], max_depth: int | None) -> ExitRule:
    """The rule that a caller asks for as `NAME[:option=value,...]`, else the first of `own`.

    A rule that is not the model's own changes what the model computes, of which the caller is warned.

    Args:
        own: rules that the family declares, the checkpoint's first; may be empty where there is a wish.
        max_depth: most loop steps that the model takes; None where their number is free.

    Raises:
        ImportFailure: if there is no such rule or option, or a value is not in its range.
    """
    chosen = _parse(wish or own[0], max_depth)
    if chosen.rule.name in own:
        return chosen
    declared = own[0] if own else ""
    warnings.warn(
        f"exit rule '{chosen.rule.name}' changes the model: the checkpoint declares {declared or 'none'}", stacklevel=4
    )
    return ExitRule(chosen.rule, chosen.options, declared)


def ignore_heads(model: Model) -> None:
    """Gates and heads of rules that are not chosen may be stored."""
    model.ignore(lambda name: name.startswith((f"{GATE}.", f"{HEAD}.")))


def _parse(text: str, max_depth: int | None) -> ExitRule:
    name, _, rest = text.partition(":")
    rule = RULES.get(name)
    if rule is None:
        raise ImportFailure(f"exit rule '{name}' is not known, expected one of {', '.join(RULES)}")
    known = {"min_steps": MIN_STEPS, **rule.options}
    values = {key: option.default for key, option in known.items()}
    for part in rest.split(",") if rest else []:
        key, _, value = part.partition("=")
        if key not in known:
            raise ImportFailure(f"exit rule '{name}' has no option '{key}', expected one of {', '.join(known)}")
        try:
            values[key] = known[key].read(value)
        except ValueError:
            raise ImportFailure(
                f"option '{key}' of exit rule '{name}' is '{value}', expected {known[key].expected}"
            ) from None
    if max_depth is not None and values["min_steps"] > max_depth:
        raise ImportFailure(
            f"option 'min_steps' of exit rule '{name}' is {values['min_steps']}, "
            f"but the model takes at most {max_depth} loop steps"
        )
    return ExitRule(rule, values)
