# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Spelling of attributes: every attribute text of the package is written here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NewType

Attribute = NewType("Attribute", str)

Missing = Literal["skip", "slot0", "copy_last", "propagate"]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$.]*\Z")


def quote(text: str) -> str:
    """A string literal of MLIR."""
    body = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:02X}"
        for byte in text.encode("utf-8", "surrogatepass")
    )
    return f'"{body}"'


def decimal(value: float) -> str:
    """A float literal of MLIR, which needs a decimal point."""
    if not math.isfinite(value):
        raise ValueError(f"{value} has no decimal form")
    text = repr(float(value))
    mantissa, exponent, power = text.partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + exponent + power


def string(text: str) -> Attribute:
    return Attribute(quote(text))


def symbol(name: str) -> Attribute:
    return Attribute("@" + (name if _IDENTIFIER.match(name) else quote(name)))


def type(value: object) -> Attribute:
    return Attribute(str(value))


def i64(value: int) -> Attribute:
    return Attribute(f"{value} : i64")


def f64(value: float) -> Attribute:
    return Attribute(f"{decimal(value)} : f64")


def typed(value: float, element: str) -> Attribute:
    """A number of the given scalar type."""
    return Attribute(f"{decimal(value) if element.startswith(('f', 'bf')) else int(value)} : {element}")


def dense(values: Sequence[int], type: object) -> Attribute:
    return Attribute(f"dense<[{', '.join(map(str, values))}]> : {type}")


def numbers(values: Sequence[float]) -> Attribute:
    """A list of f64."""
    return Attribute(f"array<f64: {', '.join(map(decimal, values))}>")


def array(values: Sequence[Attribute]) -> Attribute:
    return Attribute(f"[{', '.join(values)}]")


def dictionary(entries: Mapping[str, Attribute]) -> Attribute:
    return Attribute("{" + ", ".join(f"{name} = {value}" for name, value in entries.items()) + "}")


def enum(mnemonic: str, case: str) -> Attribute:
    """Generic form of an EnumAttr."""
    return Attribute(f"#lariat<{mnemonic} {case}>")


def source(keys: str | Sequence[str], rows: tuple[int, int] | None = None, reshape: bool = False) -> Attribute:
    """Where a weight is stored; a list of keys is one key per depth."""
    words = [quote(keys) if isinstance(keys, str) else f"stack = [{', '.join(map(quote, keys))}]"]
    if rows:
        words.append(f"rows = {rows[0]} to {rows[1]}")
    if reshape:
        words.append("reshape")
    return Attribute(f"#lariat.source<{', '.join(words)}>")


def mask(kind: Literal["causal", "full", "prefix"]) -> Attribute:
    return Attribute(f"#lariat.mask<{kind}>")


def capacity(numerators: Sequence[int], denominator: int) -> Attribute:
    return Attribute(f"#lariat.capacity<[{', '.join(map(str, numerators))}] over {denominator}>")


def rope_scaling(kind: str, factor: float, llama3: tuple[float, float, int] | None = None) -> Attribute:
    """`llama3` holds the low and high frequency factors and the original context."""
    words = [kind, f"factor = {decimal(factor)}"]
    if llama3:
        low, high, original = llama3
        words += [f"low = {decimal(low)}", f"high = {decimal(high)}", f"original = {original}"]
    return Attribute(f"#lariat.rope_scaling<{', '.join(words)}>")


def own(missing: Missing, allowed: Sequence[Missing] = ()) -> Attribute:
    more = f", allowed = [{', '.join(allowed)}]" if allowed else ""
    return Attribute(f"#lariat.own<missing = {missing}{more}>")


def first() -> Attribute:
    return Attribute("#lariat.first")


def latest() -> Attribute:
    return Attribute("#lariat.latest")


def loops(default: int, minimum: int, maximum: int, with_exit: int | None = None) -> Attribute:
    """`maximum` is 0 where any number of loop steps may be asked for."""
    more = f", with_exit = {with_exit}" if with_exit else ""
    return Attribute(f"#lariat.loops<default = {default}, min = {minimum}, max = {maximum}{more}>")


def exit(
    rule: str, never: float, low: float, high: float, default: float | None = None, usual: float | None = None
) -> Attribute:
    more = "" if default is None else f", default = {decimal(default)}"
    more += "" if usual is None else f", usual = {decimal(usual)}"
    bounds = f"never = {decimal(never)}, low = {decimal(low)}, high = {decimal(high)}"
    return Attribute(f"#lariat.exit<{quote(rule)}, {bounds}{more}>")


def model(family: str, kind: str, vocab: int, context: int, eos: Sequence[int], shape: str) -> Attribute:
    words = [quote(family), f"kind = {quote(kind)}", f"vocab = {vocab}", f"context = {context}"]
    if eos:
        words.append(f"eos = [{', '.join(map(str, eos))}]")
    words.append(f"shape = {quote(shape)}")
    return Attribute(f"#lariat.model<{', '.join(words)}>")
