# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Values, types and regions of IR text in generic form.

A `Builder` writes one list of operations. Every operation carries the name of the model part it belongs to and the
line of the importer that made it, so that diagnostics of the compiler name both. Names of values are suggested and
made unique; so are the labels of row sets.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lariat._ir import attributes as attr
from lariat._ir.attributes import Attribute

__all__ = ["F32", "I1", "I32", "INDEX", "Builder", "Region", "RowTensor", "Rows", "Scalar", "Tensor", "Type", "Value"]

_PACKAGE = Path(__file__).resolve().parent.parent
# The line of interest is the one in the file of a family, not in the helpers it calls.
_INTERNAL = re.compile(rf"{re.escape(str(_PACKAGE))}/(_ir/|models/_|exits/(choice|rule)\.)|.*contextlib")


@dataclass(frozen=True)
class Scalar:
    """A scalar type by its name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Tensor:
    """A tensor of static shape."""

    shape: tuple[int, ...]
    element: str = "f32"

    def __str__(self) -> str:
        return f"tensor<{''.join(f'{size}x' for size in self.shape)}{self.element}>"


@dataclass(frozen=True)
class Rows:
    """A set of rows."""

    label: str

    def __str__(self) -> str:
        return f"!lariat.rows<{attr.quote(self.label)}>"


@dataclass(frozen=True)
class RowTensor:
    """One entry of shape `columns` for each row of the set `label`."""

    columns: tuple[int, ...]
    element: str
    label: str

    def __str__(self) -> str:
        shape = "".join(f"{size}x" for size in self.columns)
        return f"tensor<?x{shape}{self.element}, #lariat.of<{attr.quote(self.label)}>>"

    def of(self, element: str) -> RowTensor:
        return RowTensor(self.columns, element, self.label)

    def at(self, label: str) -> RowTensor:
        return RowTensor(self.columns, self.element, label)

    def wide(self, *columns: int) -> RowTensor:
        return RowTensor(columns, self.element, self.label)


Type = Scalar | Tensor | Rows | RowTensor
F32, I32, I1, INDEX = Scalar("f32"), Scalar("i32"), Scalar("i1"), Scalar("index")


@dataclass(frozen=True)
class Value:
    """An SSA value."""

    name: str
    type: Type

    @property
    def rows(self) -> RowTensor:
        """Its type, where it is a row tensor."""
        if not isinstance(self.type, RowTensor):
            raise TypeError(f"{self.name} is {self.type}, expected a row tensor")
        return self.type

    @property
    def label(self) -> str:
        """The set it is, or belongs to."""
        return self.type.label if isinstance(self.type, Rows) else self.rows.label

    @property
    def width(self) -> int:
        """Columns per row."""
        return self.rows.columns[0]


class Region:
    """A region of one block; operations made inside `with region:` go into it."""

    def __init__(self, builder: Builder, arguments: Sequence[Value]) -> None:
        self.arguments = tuple(arguments)
        self.lines: list[str] = []
        self._builder = builder
        self._outer: tuple[list[str], dict[str, Value]] = ([], {})

    def __enter__(self) -> Region:
        builder = self._builder
        self._outer = builder.lines, builder.sets
        builder.lines, builder.sets = self.lines, dict(builder.sets)
        builder.enter_rows(*self.arguments)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._builder.lines, self._builder.sets = self._outer

    def render(self) -> list[str]:
        arguments = ", ".join(f"{value.name}: {value.type}" for value in self.arguments)
        return ["{", *([f"^bb0({arguments}):"] if arguments else []), *(f"  {line}" for line in self.lines), "}"]


class Builder:
    """Writes operations one after the other."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[str, int] = {}
        self._labels: dict[str, int] = {}
        self.sets: dict[str, Value] = {}
        self._part = ""

    def value(self, name: str, type: Type) -> Value:
        """A value that something else defines, under a name not used so far."""
        return Value("%" + self._unique(self._names, re.sub(r"\W", "_", name), "_"), type)

    def enter_rows(self, *values: Value) -> None:
        """From here on these are the row sets of their labels."""
        self.sets |= {value.label: value for value in values if isinstance(value.type, Rows)}

    def label(self, wish: str) -> str:
        """A label for a new row set."""
        return self._unique(self._labels, wish, "")

    def rows_of(self, value: Value) -> Value:
        """The row set that a row tensor belongs to."""
        return self.sets[value.label]

    def region(self, *arguments: tuple[str, Type]) -> Region:
        return Region(self, [self.value(name, type) for name, type in arguments])

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Operations made inside belong to this part of the model."""
        outer, self._part = self._part, name
        try:
            yield
        finally:
            self._part = outer

    def op(
        self,
        name: str,
        *,
        operands: Sequence[Value | Sequence[Value] | None] = (),
        attributes: Mapping[str, Attribute | None] | None = None,
        results: Sequence[tuple[str, Type]] = (),
        regions: Sequence[Region | None] = (),
        sized_operands: bool = False,
    ) -> tuple[Value, ...]:
        """Write one operation; absent operands, attributes and regions are None."""
        groups = [[] if group is None else [group] if isinstance(group, Value) else list(group) for group in operands]
        flat = [value for group in groups for value in group]
        entries = {key: value for key, value in (attributes or {}).items() if value is not None}
        if sized_operands:
            sizes = ", ".join(str(len(group)) for group in groups)
            entries["operandSegmentSizes"] = Attribute(f"array<i32: {sizes}>")
        made = tuple(self.value(label, type) for label, type in results)
        self.enter_rows(*made)
        head = f"{', '.join(value.name for value in made)} = " if made else ""
        text = f'{head}"{name}"({", ".join(value.name for value in flat)})'
        if entries:
            text += f" <{attr.dictionary(entries)}>"
        lines = [text]
        for index, region in enumerate(regions):
            opened = region.render() if region else ["{", "}"]
            lines[-1] += (" (" if index == 0 else ", ") + opened[0]
            lines += opened[1:]
        close = ")" if regions else ""
        inputs = ", ".join(str(value.type) for value in flat)
        outputs = ", ".join(str(value.type) for value in made)
        lines[-1] += f"{close} : ({inputs}) -> ({outputs}) {self._location()}"
        self.lines += lines
        return made

    @staticmethod
    def _unique(taken: dict[str, int], wish: str, separator: str) -> str:
        while True:
            number = taken.get(wish, 0)
            taken[wish] = number + 1
            name = f"{wish}{separator}{number}" if number else wish
            if number == 0 or name not in taken:
                taken.setdefault(name, 1)
                return name

    def _location(self) -> str:
        frame = sys._getframe(2)
        while _INTERNAL.match(frame.f_code.co_filename) and frame.f_back:
            frame = frame.f_back
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE):
            path = path.relative_to(_PACKAGE.parent)
        line = f"{attr.quote(path.as_posix())}:{frame.f_lineno}:1"
        return f"loc({attr.quote(self._part)}({line}))" if self._part else f"loc({line})"
