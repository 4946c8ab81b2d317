# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""config.json with typed access: every key is known, of its type and in its range, or named in an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lariat._checkpoint import parse_json
from lariat.errors import ConfigError, UnsupportedError

__all__ = ["HARMLESS", "Config", "Size", "read_config"]

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
FALSE: Check = one_of(False)
NULL: Check = one_of(None)
DTYPE: Check = one_of("float32", "bfloat16", "float16", "float64", None)

# Keys of any Hugging Face config.json that do not change what inference computes. The check is on the type, so that a
# damaged file is noticed.
HARMLESS: Mapping[str, Check] = {
    "_name_or_path": TEXT, "architectures": OPTIONAL_TEXTS, "auto_map": OBJECT, "torch_dtype": DTYPE, "dtype": DTYPE,
    "transformers_version": OPTIONAL_TEXT, "use_cache": BOOLEAN, "initializer_range": NUMBER,
    "attention_dropout": SHARE, "hidden_dropout": SHARE, "resid_pdrop": SHARE, "embd_pdrop": SHARE,
    "bos_token_id": TOKEN, "pad_token_id": TOKEN, "sep_token_id": TOKEN, "mask_token_id": TOKEN,
    "decoder_start_token_id": TOKEN, "output_attentions": BOOLEAN, "output_hidden_states": BOOLEAN,
    "return_dict": BOOLEAN, "torchscript": BOOLEAN, "use_bfloat16": BOOLEAN, "pruned_heads": OBJECT,
    "chunk_size_feed_forward": COUNT, "is_encoder_decoder": FALSE, "add_cross_attention": FALSE,
    "cross_attention_hidden_size": NULL, "tie_encoder_decoder": FALSE, "id2label": OBJECT, "label2id": OBJECT,
    "problem_type": OPTIONAL_TEXT, "finetuning_task": OPTIONAL_TEXT, "task_specific_params": ("an object or null",
    or_null(OBJECT[1])), "tokenizer_class": OPTIONAL_TEXT, "prefix": OPTIONAL_TEXT, "pretraining_tp": one_of(1),
    "quantization_config": NULL, "is_decoder": BOOLEAN, "gradient_checkpointing": BOOLEAN,
    "_attn_implementation": OPTIONAL_TEXT, "_attn_implementation_autoset": BOOLEAN,
}  # fmt: skip


def read_config(directory: Path) -> Config:
    """config.json of a checkpoint directory."""
    path = directory / "config.json"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"config.json has {path.stat().st_size} bytes, expected at most {_MAX_BYTES}")
        text = path.read_bytes()
    except OSError as failure:
        raise ConfigError(f"cannot read {path}: {failure.strerror}") from None
    return Config(parse_json(text, "config.json", ConfigError))


class Config:
    """The keys of one config.json, or of an object inside it. Reading a key marks it as known."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path
        self._known: set[str] = set()
        self._unsupported: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str, check: Check, default: Any = _NOTHING) -> Any:
        """The value of a key that passes `check`."""
        self._known.add(key)
        words, passes = check
        if key not in self._values:
            if default is _NOTHING:
                raise self.error(f"{self._name(key)} is missing, expected {words}")
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
        return None if value is None else Config(value, f"{self._path}{key}.")

    def unsupported(self, key: str, check: Check, allowed: Sequence[object]) -> None:
        """A key whose other values the importer does not build: they are collected for one error."""
        value = self.get(key, check, allowed[0])
        if value not in allowed:
            self._unsupported.append(f"{self._name(key)} is {self._show(value)}")

    def reject(self, what: str) -> None:
        """Something else the importer does not build."""
        self._unsupported.append(what)

    def note_unsupported(self, inner: Config) -> None:
        self._unsupported += inner._unsupported

    def same(self, key: str, check: Check) -> None:
        """A key that must be well formed where it is present and decides nothing."""
        if key in self._values:
            self.get(key, check)

    def finish(self, other: Mapping[str, Check] | None = None) -> None:
        """Check the keys that nothing read, which are harmless or of `other`; raise what was collected."""
        harmless = {**HARMLESS, **(other or {})} if not self._path else other or {}
        for key in self._values:
            if key in self._known:
                continue
            if key not in harmless:
                raise self.error(
                    f"{self._name(key)} is not a key of this family, found {self._show(self._values[key])}"
                )
            self.get(key, harmless[key])
        if self._unsupported:
            raise UnsupportedError(f"config.json asks for what is not built: {'; '.join(self._unsupported)}",
                                   self._unsupported)  # fmt: skip

    def wrong(self, key: str, expected: str) -> ConfigError:
        return self.error(f"{self._name(key)} is {self._show(self._values.get(key))}, expected {expected}")

    def error(self, message: str) -> ConfigError:
        return ConfigError(f"config.json: {message}")

    def _name(self, key: str) -> str:
        return f"'{self._path}{key}'"

    @staticmethod
    def _show(value: object) -> str:
        text = json.dumps(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
