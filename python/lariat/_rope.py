# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rotary position as config.json describes it, in the words of transformers 4 (`rope_theta`, `rope_scaling`) and 5
(`rope_parameters`).

Frequencies are those of transformers' ROPE_INIT_FUNCTIONS, in f64. Two kinds depend on the length of a sequence there,
which nothing compiled can: a model is compiled for sequences of some length, and takes no longer ones. That length is
`rope_length`; without one it is the longest for which no frequency is stretched, `max_position_embeddings` for
`dynamic` and `original_max_position_embeddings` for `longrope`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lariat._config import NUMBER, TEXT, Config, Size, is_number, list_of, or_null
from lariat._ir import attributes as attr
from lariat._ir.attributes import Attribute
from lariat.errors import UnsupportedError

__all__ = ["LENGTH_KINDS", "Rope", "limit", "read_rope"]

_THETA = 10000.0
_POSITIVE = ("a number above 0 or null", or_null(lambda value: is_number(value) and value > 0))
_OPTIONAL_TEXT = ("a string or null", or_null(lambda value: isinstance(value, str)))
_SHARE = ("a number above 0, at most 1, or null", or_null(lambda value: is_number(value) and 0 < value <= 1))
_SWITCH = ("true, false or null", or_null(lambda value: isinstance(value, bool)))
_FACTORS = ("a list of numbers above 0", lambda value: list_of(is_number)(value) and all(one > 0 for one in value))

# Keys of other kinds than the one that is asked for, which decide nothing then.
_ANY = ("a value", lambda value: True)
_KEYS = dict.fromkeys(
    ("attention_factor", "beta_fast", "beta_slow", "finetuned", "high_freq_factor", "long_factor", "long_mscale",
     "low_freq_factor", "mscale", "mscale_all_dim", "original_max_position_embeddings", "short_factor", "short_mscale",
     "truncate"), _ANY,
) | {"factor": ("a non-negative number or null", or_null(NUMBER[1]))}  # fmt: skip


@dataclass(frozen=True)
class Rope:
    """How the columns of a head are rotated.

    Attributes:
        dims: columns that are rotated, the first ones; none: all of them.
        theta, scaling: give the frequencies where none are listed.
        frequencies: angle per position of each pair.
        magnitude: of cosines and sines.
        longest: positions up to which the frequencies are right; none: there is no end.
    """

    theta: float | None = _THETA
    scaling: Attribute | None = None
    dims: int | None = None
    frequencies: tuple[float, ...] | None = None
    magnitude: float | None = None
    longest: int | None = None


@dataclass(frozen=True)
class _Source:
    """What a kind of scaling reads.

    Attributes:
        inner: the object of its keys.
        dims: columns that are rotated, of `head_dim`.
        context: `max_position_embeddings`.
        original: `original_max_position_embeddings`, wherever it stands.
        length: that the caller asks for.
    """

    inner: Config
    theta: float
    head_dim: int
    dims: int
    share: float
    context: int
    original: int
    length: int | None

    def factor(self) -> float:
        """How far the context is stretched."""
        found = self.inner.get("factor", _POSITIVE, None)
        return self.context / self.original if found is None else float(found)

    def plain(self, theta: float | None = None) -> list[float]:
        return [(theta or self.theta) ** (-2.0 * pair / self.dims) for pair in range(self.dims // 2)]

    def rope(self, frequencies: Sequence[float], magnitude: float = 1.0, longest: int | None = None) -> Rope:
        return Rope(None, None, self.dims if self.dims < self.head_dim else None, tuple(frequencies),
                    magnitude if magnitude != 1.0 else None, longest)  # fmt: skip


def read_rope(
    config: Config, head_dim: int, context: int, theta_key: str = "rope_theta", default: float = _THETA
) -> Rope:
    """Rotary position of heads of `head_dim` columns, for a declared context; `default` is the theta of no key."""
    theta = config.get(theta_key, _POSITIVE, None)
    share = config.get("partial_rotary_factor", _SHARE, None)
    original = _read_original(config)
    inner = _find_parameters(config) or Config({}, within=config)
    found = inner.get("rope_theta", _POSITIVE, None)
    if theta_key == "rope_theta" and None not in (found, theta) and found != theta:
        raise config.error(f"'{theta_key}' is {theta:g}, but {inner.name('rope_theta')} is {found:g}")
    share = inner.get("partial_rotary_factor", _SHARE, None) or share or 1.0
    kind = _read_kind(inner)
    dims = head_dim if kind == "proportional" else int(head_dim * share)
    if dims % 2 or dims == 0:
        raise config.error(
            f"'partial_rotary_factor' is {share:g}, which rotates {dims} of {head_dim} columns of a head: expected an "
            "even number of them"
        )
    source = _Source(inner, float(found or theta or default), head_dim, dims, share, context,
                     original or _read_original(inner) or context,
                     config.rope_length if kind in LENGTH_KINDS else None)  # fmt: skip
    if config.rope_length is not None and kind not in LENGTH_KINDS:
        raise UnsupportedError(
            f"rope length {config.rope_length} is asked for, but the frequencies of rope '{kind}' do not depend on it",
            [kind],
        )
    rope = _KINDS[kind](source) if kind in _KINDS else Rope()
    if kind not in _KINDS:
        inner.unsupported("rope_type" if "rope_type" in inner else "type", TEXT, [one for one in _KINDS if one != "su"])
    inner.finish(_KEYS)
    return rope


def _read_original(config: Config) -> int:
    """The context before it was stretched; 0 where it is not declared."""
    key = "original_max_position_embeddings"
    return int(config.size(key)) if config.has_value(key) else 0


def _find_parameters(config: Config) -> Config | None:
    """`rope_parameters`, which may hold an object per type of layer, or `rope_scaling`."""
    new, old = config.inner("rope_parameters"), config.inner("rope_scaling")
    if new is not None and new.is_nested():
        full = new.inner("full_attention")
        if full is None:
            raise config.error("'rope_parameters' has no object 'full_attention', which this family's layers are")
        new = full
    if new is None or old is None:
        return old if new is None else new
    # transformers goes by `rope_scaling` where it finds both.
    kind, other = _read_kind(old), _read_kind(new)
    both = old.merge(new, apart=("rope_type", "type"))
    if both is None or other not in ("default", kind):
        raise config.error("'rope_parameters' and 'rope_scaling' differ, expected one of them")
    return both


def _read_kind(inner: Config) -> str:
    kind = inner.get("rope_type", _OPTIONAL_TEXT, None)
    other = inner.get("type", _OPTIONAL_TEXT, None)
    return str(kind or other or "default")


def _default(source: _Source) -> Rope:
    return _stretched(source, None)


def _stretched(source: _Source, scaling: Attribute | None) -> Rope:
    """What the op computes by itself."""
    return Rope(source.theta, scaling, source.dims if source.dims < source.head_dim else None)


def _linear(source: _Source) -> Rope:
    return _stretched(source, attr.rope_scaling("linear", source.inner.number("factor")))


def _llama3(source: _Source) -> Rope:
    inner = source.inner
    low, high = inner.number("low_freq_factor"), inner.number("high_freq_factor")
    if low >= high:
        raise inner.error(f"'low_freq_factor' is {low:g}, expected less than 'high_freq_factor', {high:g}")
    scaling = attr.rope_scaling("llama3", inner.number("factor"), (low, high, source.original))
    return _stretched(source, scaling)


def _proportional(source: _Source) -> Rope:
    """Pairs beyond the share stand still."""
    factor = float(source.inner.get("factor", _POSITIVE, None) or 1.0)
    moving = int(source.share * source.head_dim // 2)
    frequencies = [one / factor for one in source.plain()[:moving]]
    return source.rope(frequencies + [0.0] * (source.head_dim // 2 - moving))


def _dynamic(source: _Source) -> Rope:
    factor = source.inner.number("factor")
    length = source.length or source.context
    if length <= source.context or source.dims <= 2:
        return Rope(source.theta, None, source.dims if source.dims < source.head_dim else None,
                    longest=max(length, source.context))  # fmt: skip
    growth = factor * length / source.context - (factor - 1)
    theta = source.theta * growth ** (source.dims / (source.dims - 2))
    return source.rope(source.plain(theta), longest=length)


def _yarn(source: _Source) -> Rope:
    inner, dims, factor = source.inner, source.dims, source.factor()
    magnitude = inner.get("attention_factor", _POSITIVE, None)
    mscale, mscale_all = (inner.get(key, ("a number or null", or_null(is_number)), None)
                          for key in ("mscale", "mscale_all_dim"))  # fmt: skip
    if magnitude is None:
        magnitude = _mscale(factor, mscale) / _mscale(factor, mscale_all) if mscale and mscale_all else _mscale(factor)
    fast, slow = inner.get("beta_fast", _POSITIVE, None) or 32, inner.get("beta_slow", _POSITIVE, None) or 1
    if source.theta <= 1:
        raise inner.error(f"'rope_theta' is {source.theta:g}, expected a number above 1 for yarn")

    def pair_of(rotations: float) -> float:
        """The pair that turns so many times over the original context."""
        return dims * math.log(source.original / (rotations * 2 * math.pi)) / (2 * math.log(source.theta))

    low, high = pair_of(fast), pair_of(slow)
    if inner.get("truncate", _SWITCH, None) in (None, True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dims - 1)
    if low == high:
        high += 0.001
    frequencies = []
    for pair, plain in enumerate(source.plain()):
        stretched = min(max((pair - low) / (high - low), 0.0), 1.0)
        frequencies.append(plain / factor * stretched + plain * (1 - stretched))
    return source.rope(frequencies, float(magnitude))


def _mscale(factor: float, mscale: float = 1.0) -> float:
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def _longrope(source: _Source) -> Rope:
    inner, original, pairs = source.inner, source.original, source.dims // 2
    lists = {}
    for key in ("short_factor", "long_factor"):
        lists[key] = inner.get(key, _FACTORS)
        if len(lists[key]) != pairs:
            raise inner.error(f"{inner.name(key)} has {len(lists[key])} numbers, expected {pairs}, one per pair")
    factor, magnitude = source.factor(), inner.get("attention_factor", _POSITIVE, None)
    if magnitude is None:
        magnitude = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))
    length = source.length or original
    if length > max(source.context, original):
        raise inner.error(f"a length of {length} is asked for, but 'max_position_embeddings' is {source.context}")
    if source.length is None and source.context > original:
        warnings.warn(
            f"longrope: compiled for sequences of up to {original} tokens, whose frequencies are not those of longer "
            f"ones; --rope-length {source.context} compiles for up to so many",
            stacklevel=6,
        )
    chosen = lists["long_factor" if length > original else "short_factor"]
    frequencies = [plain / one for plain, one in zip(source.plain(), chosen, strict=True)]
    return source.rope(frequencies, float(magnitude), length)


LENGTH_KINDS = ("dynamic", "longrope", "su")
"""Those whose frequencies depend on the length of a sequence."""

_KINDS: dict[str, Callable[[_Source], Rope]] = {
    "default": _default, "linear": _linear, "dynamic": _dynamic, "yarn": _yarn, "longrope": _longrope,
    "su": _longrope, "llama3": _llama3, "proportional": _proportional,
}  # fmt: skip
"""By `rope_type`; `su` is an older name."""


def limit(context: Size, rope: Rope) -> Size:
    """The positions that a model takes: those it declares, as far as its frequencies are right."""
    return context if rope.longest is None else Size(rope.longest, context.key)
