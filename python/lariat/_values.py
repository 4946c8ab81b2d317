# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What callers give, as the types that the package computes with.

Options come from sweeps, data frames and command lines: whole numbers and floats of numpy, iterators, texts as paths.
Each is taken where its meaning is clear, and else refused in a sentence that names the option. A dataclass of options
has its values read when it is made, by the types of its fields: READERS is the one table of them.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from lariat.errors import LariatError, RuntimeFault

__all__ = [
    "instance_of",
    "read_fields",
    "read_flag",
    "read_path",
    "read_prompts",
    "read_sequence",
    "read_text",
    "read_texts",
    "read_tokens",
    "read_whole",
    "read_wholes",
]

T = TypeVar("T")

_LONGEST_SHOWN = 60


class Unfit(Exception):
    """A value is not of a type that is taken; its text is what was expected."""


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:
        text = "a value"
    text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
    return f"{' '.join(text.split())} ({type(value).__name__})"


def _is_truth(value: object) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool") and hasattr(value, "dtype")


def _whole(value: Any, name: str) -> int:
    """A whole number: an int, or what is one by `__index__`, as those of numpy are. Truth values are none."""
    if type(value) is int:
        return value
    if not _is_truth(value):
        try:
            return int(operator.index(value))
        except TypeError:
            pass
    raise Unfit("a whole number")


def _real(value: Any, name: str) -> float:
    """A finite number; texts are none, even where they look like one."""
    isnumber = hasattr(value, "__float__") or hasattr(value, "__index__")
    if not isnumber or _is_truth(value) or getattr(value, "ndim", 0) != 0:
        raise Unfit("a number")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Unfit("a number") from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unfit("a finite number")
    return number


def _flag(value: Any, name: str) -> bool:
    if not _is_truth(value):
        raise Unfit("True or False")
    return bool(value)


def _flag_or_all(value: Any, name: str) -> Any:
    if isinstance(value, str) and value == "all":
        return "all"
    if not _is_truth(value):
        raise Unfit("True, False or 'all'")
    return bool(value)


def _threshold(value: Any, name: str) -> Any:
    try:
        return "off" if isinstance(value, str) and value == "off" else _real(value, name)
    except Unfit as failure:
        raise Unfit(f"{failure} or 'off'") from None


def _callback(value: Any, name: str) -> Any:
    if not callable(value):
        raise Unfit("a function")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Unfit("a text")
    return str(value)


def _path(value: Any, name: str) -> Path:
    try:
        text = os.fsdecode(value)
    except TypeError:
        raise Unfit("a path") from None
    if "\0" in text:
        raise Unfit("a path without null characters")
    return Path(text)


def _each(value: Any, name: str, read: Callable[[Any, str], T], what: str) -> tuple[T, ...]:
    """All of an iterable; None is an empty one."""
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise Unfit(what)
    return tuple(_read(one, f"{name}[{index}]", read) for index, one in enumerate(value))


def _wholes(value: Any, name: str) -> tuple[int, ...]:
    return _each(value, name, _whole, "whole numbers")


def _texts(value: Any, name: str) -> tuple[str, ...]:
    return (str(value),) if isinstance(value, str) else _each(value, name, _text, "a text or several")


def _share(value: Any, name: str) -> Any:
    """A text, or a number in its own type: fractions are exact."""
    from numbers import Rational

    if isinstance(value, str) or (isinstance(value, Rational) and not _is_truth(value)):
        return value
    return _real(value, name)


def _shares(value: Any, name: str) -> tuple[Any, ...]:
    return _each(value, name, _share, "a share for each depth")


def _biases(value: Any, name: str) -> tuple[tuple[int, float], ...]:
    """Token ids with what is added to their logits: a mapping, or pairs."""

    def pair(one: Any, name: str) -> tuple[int, float]:
        if isinstance(one, (str, bytes)) or not isinstance(one, Iterable):
            raise Unfit("a token id and a number")
        both = tuple(one)
        if len(both) != 2:
            raise Unfit("a token id and a number")
        return _read(both[0], f"{name}[0]", _whole), _read(both[1], f"{name}[1]", _real)

    items = value.items() if isinstance(value, Mapping) else value
    return _each(items, name, pair, "numbers by token id")


READERS: dict[str, Callable[[Any, str], Any]] = {
    "int": _whole,
    "float": _real,
    "float | Literal['off']": _threshold,
    "bool": _flag,
    "bool | Literal['all']": _flag_or_all,
    "str": _text,
    "Path": _path,
    "Callable[[CompileProgress], None]": _callback,
    "tuple[int, ...]": _wholes,
    "tuple[str, ...]": _texts,
    "Sequence[str]": _texts,
    "Sequence[Fraction | float | str]": _shares,
    "tuple[tuple[int, float], ...]": _biases,
}
"""By the annotation of a field, without ` | None`."""


class _Misread(Exception):
    """A value that was refused, in a whole sentence."""


def _read(value: Any, name: str, read: Callable[[Any, str], T], expected: str = "") -> T:
    try:
        return read(value, name)
    except Unfit as failure:
        raise _Misread(f"'{name}' is {_shown(value)}, expected {failure}{expected}") from None


def _take(value: Any, name: str, read: Callable[[Any, str], T], error: type[LariatError], expected: str = "") -> T:
    try:
        return _read(value, name, read, expected)
    except _Misread as failure:
        raise error(str(failure)) from None


def read_fields(options: Any, error: type[LariatError] = RuntimeFault) -> None:
    """Reads every field of a frozen dataclass by the type that it declares.

    Raises:
        LariatError: of the type `error`, for a value that cannot be read; it names the field.
    """
    for field in fields(options):
        kind, optional = str(field.type).removesuffix(" | None"), str(field.type).endswith(" | None")
        value = getattr(options, field.name)
        if optional and value is None:
            continue
        expected = " or None" if optional else ""
        object.__setattr__(options, field.name, _take(value, field.name, READERS[kind], error, expected))


def read_whole(value: Any, name: str) -> int:
    """A whole number.

    Raises:
        RuntimeFault: for anything else, as the other functions here.
    """
    return _take(value, name, _whole, RuntimeFault)


def read_flag(value: Any, name: str) -> bool:
    return _take(value, name, _flag, RuntimeFault)


def read_text(value: Any, name: str, error: type[LariatError] = RuntimeFault) -> str:
    return _take(value, name, _text, error)


def read_path(value: Any, name: str, error: type[LariatError] = RuntimeFault) -> Path:
    return _take(value, name, _path, error)


def read_texts(value: Any, name: str, error: type[LariatError] = RuntimeFault) -> tuple[str, ...]:
    """Texts, of which one stands for itself."""
    return _take(value, name, _texts, error)


def read_wholes(value: Any, name: str) -> tuple[int, ...]:
    return _take(value, name, _wholes, RuntimeFault)


def instance_of(kind: type[T], value: Any, name: str) -> T:
    """A value of a class of this package."""
    if isinstance(value, kind):
        return value
    raise RuntimeFault(f"'{name}' is {_shown(value)}, expected {kind.__name__}")


def read_tokens(sequences: Any, name: str = "sequences") -> list[list[int]]:
    """Token ids of each sequence: lists, arrays, tuples, iterators."""
    if isinstance(sequences, (str, bytes)) or not isinstance(sequences, Iterable) or getattr(sequences, "ndim", 1) == 0:
        raise RuntimeFault(f"'{name}' is {_shown(sequences)}, expected sequences of token ids")
    return [read_sequence(one, index) for index, one in enumerate(sequences)]


def read_prompts(prompts: Any) -> list[str | list[int]]:
    """Prompts, each a text or token ids; one text is one prompt."""
    if isinstance(prompts, str):
        return [str(prompts)]
    if isinstance(prompts, bytes) or not isinstance(prompts, Iterable) or getattr(prompts, "ndim", 1) == 0:
        raise RuntimeFault(f"'prompts' is {_shown(prompts)}, expected a text, texts or sequences of token ids")
    given = enumerate(prompts)
    return [str(one) if isinstance(one, str) else read_sequence(one, index) for index, one in given]


def read_sequence(sequence: Any, place: int) -> list[int]:
    """Token ids of the sequence number `place`."""
    if isinstance(sequence, str) or not isinstance(sequence, Iterable) or getattr(sequence, "ndim", 1) == 0:
        raise RuntimeFault(f"sequence {place} is {_shown(sequence)}, expected token ids")
    ids = []
    for index, token in enumerate(sequence):
        try:
            ids.append(_whole(token, ""))
        except Unfit as failure:
            raise RuntimeFault(f"token {index} of sequence {place} is {_shown(token)}, expected {failure}") from None
    return ids
