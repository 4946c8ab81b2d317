# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""config.json with typed access: every key is known, of its type and in its range, or named in an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lariat._checkpoint import describe_adapter, parse_json
from lariat._config_keys import VALUES, decides_nothing
from lariat.errors import ConfigError, UnsupportedError

__all__ = ["Config", "Size", "read_config"]

LARGEST = 2**31 - 1
MOST_LAYERS = 4096
_MAX_BYTES = 10_000_000
_NOTHING: Any = object()

Check = tuple[str, Callable[[Any], bool]]


class Size(int):
    """A number that remembers which keys of config.json it comes from."""

    key: str

    def __new__(cls, value: int, key: str) -> Size:
        size = super().__new__(cls, value)
        size.key = key
        return size

    def times(self, other: int) -> Size:
        more = other.key if isinstance(other, Size) else str(other)
        return Size(int(self) * int(other), f"{self.key} * {more}")


def is_integer(value: object) -> bool:
    return type(value) is int


def is_number(value: object) -> bool:
    """A finite number; a longer integer than a float can hold is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e300 < value < 1e300


def list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


def or_null(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_id(value: object) -> bool:
    return is_integer(value) and -1 <= value <= LARGEST  # type: ignore[operator]


def one_of(*values: object) -> Check:
    words = " or ".join(json.dumps(value) for value in values)
    return words, lambda value: any(type(value) is type(choice) and value == choice for choice in values)


BOOLEAN: Check = ("true or false", lambda value: isinstance(value, bool))
OPTIONAL_BOOLEAN: Check = ("true, false or null", or_null(lambda value: isinstance(value, bool)))
TEXT: Check = ("a string", _is_text)
OPTIONAL_TEXT: Check = ("a string or null", or_null(_is_text))
COUNT: Check = ("a non-negative integer", lambda value: is_integer(value) and 0 <= value <= LARGEST)
OPTIONAL_COUNT: Check = ("a non-negative integer or null", or_null(COUNT[1]))
NUMBER: Check = ("a non-negative number", lambda value: is_number(value) and value >= 0)
SHARE: Check = ("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1)
OPTIONAL_SHARE: Check = ("a number from 0 to 1 or null", or_null(SHARE[1]))
TEXTS: Check = ("a list of strings", list_of(_is_text))
OPTIONAL_TEXTS: Check = ("a list of strings or null", or_null(list_of(_is_text)))
NUMBERS: Check = ("a list of numbers", list_of(is_number))
COUNTS: Check = ("a list of non-negative integers", list_of(COUNT[1]))
OBJECT: Check = ("an object", lambda value: isinstance(value, dict))
TOKEN: Check = ("a token id or null", or_null(_is_id))
TOKENS: Check = ("a token id, a list of them or null", lambda value: TOKEN[1](value) or list_of(_is_id)(value))


def read_config(directory: Path, ignore: Collection[str] = ()) -> Config:
    """config.json of a checkpoint directory, without the keys to ignore."""
    path = directory / "config.json"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"config.json has {path.stat().st_size} bytes, expected at most {_MAX_BYTES}")
        text = path.read_bytes()
    except FileNotFoundError:
        adapter = describe_adapter(directory)
        raise ConfigError(adapter or f"cannot read {path}: No such file or directory") from None
    except OSError as failure:
        raise ConfigError(f"cannot read {path}: {failure.strerror}") from None
    return Config(parse_json(text, "config.json", ConfigError), ignore=ignore)


class Config:
    """The keys of one config.json, or of an object inside it. Reading a key marks it as known.

    What is not built and what is not known is collected, here and by the objects inside, for `finish` of the whole.
    """

    def __init__(
        self, values: Mapping[str, Any], path: str = "", *, within: Config | None = None, ignore: Collection[str] = ()
    ) -> None:
        self._values = values
        self._path = path
        self._known: set[str] = set()
        self._ignore: Collection[str] = within._ignore if within else ignore
        self._unsupported: list[str] = within._unsupported if within else []
        self._unknown: list[tuple[str, object]] = within._unknown if within else []
        self.rope_length: int | None = None  # that the caller asks for, `_rope.py`

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def has_value(self, key: str) -> bool:
        """Whether a key is there and not null, which marks it as known."""
        return self.get(key, ("a value", lambda value: True), None) is not None

    def is_nested(self) -> bool:
        """Whether all values are objects or null, and some are objects."""
        objects = [isinstance(value, dict) for value in self._values.values() if value is not None]
        return bool(objects) and all(objects)

    def merge(self, other: Config, *, apart: Collection[str] = ()) -> Config | None:
        """The keys of both, under the name of this one; none where they hold different values for a key.

        Keys to keep apart are those of this one alone.
        """
        added = {key: value for key, value in other._values.items() if key not in apart}
        if any(self._values[key] != value for key, value in added.items() if key in self):
            return None
        return Config({**added, **self._values}, self._path, within=self)

    def get(self, key: str, check: Check, default: Any = _NOTHING) -> Any:
        """The value of a key that passes `check`."""
        self._known.add(key)
        words, passes = check
        if key not in self._values:
            if default is _NOTHING:
                raise self.error(f"{self.name(key)} is missing, expected {words}")
            return default
        value = self._values[key]
        if not passes(value):
            raise self.wrong(key, words)
        return value

    def size(
        self,
        key: str,
        default: Any = _NOTHING,
        *,
        smallest: int = 1,
        largest: int = LARGEST,
        nullable: bool = False,
    ) -> Size:
        """An integer in a range; null stands for the default where `nullable`."""
        if nullable and key in self._values and self._values[key] is None and default is not _NOTHING:
            self._known.add(key)
            return Size(default, getattr(default, "key", key))
        words = f"an integer from {smallest} to {largest}"
        value = self.get(key, (words, lambda value: is_integer(value) and smallest <= value <= largest), default)
        return Size(value, key if key in self._values else getattr(value, "key", key))

    def layers(self, key: str, default: Any = _NOTHING) -> Size:
        """A number of layers or loop steps."""
        return self.size(key, default, largest=MOST_LAYERS)

    def count(self, key: str) -> int:
        """A number of layers that may be 0."""
        words = f"an integer from 0 to {MOST_LAYERS}"
        return int(self.get(key, (words, lambda value: is_integer(value) and 0 <= value <= MOST_LAYERS)))

    def number(self, key: str, default: Any = _NOTHING, *, above: float = 0.0) -> float:
        check = (f"a number above {above:g}", lambda value: is_number(value) and value > above)
        return float(self.get(key, check, default))

    def flag(self, key: str, default: Any = _NOTHING) -> bool:
        return bool(self.get(key, BOOLEAN, default))

    def choice(self, key: str, choices: Sequence[str], default: Any = _NOTHING) -> str:
        return str(self.get(key, one_of(*choices), default))

    def eos(self) -> list[int]:
        """Ids that end a sequence."""
        found = self.get("eos_token_id", TOKENS, None)
        return [id for id in (found if isinstance(found, list) else [found]) if id is not None and id >= 0]

    def inner(self, key: str) -> Config | None:
        """An object inside, null or absent."""
        value = self.get(key, ("an object or null", or_null(OBJECT[1])), None)
        return None if value is None else Config(value, f"{self._path}{key}.", within=self)

    def quantiser(self) -> str:
        """What quantised the tensors, by its own note; empty where there is none."""
        for key in ("quantization_config", "compression_config", "quantization"):
            note = self._values.get(key)
            method = note.get("quant_method") if isinstance(note, dict) else None
            if isinstance(method, str):
                return method
        return ""

    def unsupported(self, key: str, check: Check, allowed: Sequence[object]) -> None:
        """A key whose other values the importer does not build: they are collected for one error."""
        value = self.get(key, check, allowed[0])
        if value not in allowed:
            self._unsupported.append(f"{self.name(key)} is {self._show(value)}")

    def reject(self, what: str) -> None:
        """Something else the importer does not build."""
        self._unsupported.append(what)

    def same(self, key: str, check: Check) -> None:
        """A key that must be well formed where it is present and decides nothing."""
        if key in self._values:
            self.get(key, check)

    def finish(self, other: Mapping[str, Check] | None = None) -> None:
        """Check the keys that nothing read: those of `other`, and those that decide nothing.

        Raises:
            ConfigError: of the whole, if it or an object inside has keys that are not known.
            UnsupportedError: of the whole, if something is asked for that is not built.
        """
        other = other or {}
        for key in self._values:
            if key in self._known:
                self._refuse_to_ignore(key)
            elif key in other:
                self.get(key, other[key])
            elif not self._path and key in VALUES:
                self.unsupported(key, ("a value", lambda value: True), VALUES[key])
            elif f"{self._path}{key}" not in self._ignore and (self._path or not decides_nothing(key)):
                self._unknown.append((self.name(key), self._values[key]))
        if not self._path:
            self._raise_collected()

    def _refuse_to_ignore(self, key: str) -> None:
        if f"{self._path}{key}" in self._ignore:
            raise self.error(
                f"{self.name(key)} decides what the model computes: --ignore-config-key cannot pass over it"
            )

    def _raise_collected(self) -> None:
        if self._unknown:
            raise self.error(f"{self._describe_unknown()}; --ignore-config-key NAME passes over one")
        if self._unsupported:
            raise UnsupportedError(f"config.json asks for what is not built: {'; '.join(self._unsupported)}",
                                   self._unsupported)  # fmt: skip

    def _describe_unknown(self) -> str:
        if len(self._unknown) == 1:
            name, value = self._unknown[0]
            return f"{name} is not a key of this family, found {self._show(value)}"
        found = ", ".join(f"{name} (found {self._show(value)})" for name, value in self._unknown)
        return f"{found} are not keys of this family"

    def wrong(self, key: str, expected: str) -> ConfigError:
        return self.error(f"{self.name(key)} is {self._show(self._values.get(key))}, expected {expected}")

    def error(self, message: str) -> ConfigError:
        return ConfigError(f"config.json: {message}")

    def name(self, key: str) -> str:
        """A key as messages name it."""
        return f"'{self._path}{key}'"

    @staticmethod
    def _show(value: object) -> str:
        text = json.dumps(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
