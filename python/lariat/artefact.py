# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The manifest of a compiled directory: what the model is, what it stores per token, what it was compiled for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from lariat._files import read_json, reason
from lariat._values import read_path
from lariat.errors import ArtefactError

__all__ = ["Artefact", "Cache", "ExitRule", "Loops"]

T = TypeVar("T")

# Of manifest.json; include/lariat/Artefact/Version.h has the same number.
FORMAT_VERSION = 2

# From the least to the most that a result depends on.
ORDERS = ("free", "atomic", "sequential")


@dataclass(frozen=True)
class Loops:
    """Loop steps a call may ask for: `default`, `with_exit` where tokens may exit, or `min` to `max`.

    A `max` of 0 means no upper limit.
    """

    default: int
    min: int
    max: int
    with_exit: int

    @property
    def free(self) -> bool:
        """Whether a caller may choose."""
        return not self.min == self.max == self.default


@dataclass(frozen=True)
class ExitRule:
    """Declared exit rule: thresholds from `low` to `high`; at `never` no row exits.

    Attributes:
        default: the declared threshold, which a run uses that gives none; none: no row exits then.
        usual: one that the rule's source names; nothing applies it.
        takes_threshold: false for a rule by which rows stop in every request; it has zeros for the thresholds.
    """

    rule: str
    never: float
    low: float
    high: float
    default: float | None
    usual: float | None = None
    takes_threshold: bool = True


@dataclass(frozen=True)
class Cache:
    """One KV cache.

    Attributes:
        layers: layers that share the policy, each with its own storage.
        depths: loop steps that the cache knows, 1 outside the loop.
        bytes_per_token: bytes of one token that runs every loop step by default, in all layers.
        slots: slots per layer.
        order: of rows of the prompt, `free`, `atomic` or `sequential`; `generated_order` is that of generated rows.
        missing: what later rows see of a row that stopped; `allowed` lists what a caller may ask for, `filling` the
            modes in which a row that stopped gets entries of its own.
        formula: live bytes in words, from the compiler.
        declared_policy: the model's own policy, where `--override-kv-policy` put another one in its place.
        bytes_per_entry: bytes of one row's keys and values in one slot of one layer.
        page_bytes: bytes of a page, which holds entries of one slot for all layers.
    """

    name: str
    layers: int
    heads: int
    dim: int
    depths: int
    dtype: str
    policy: str
    missing: str | None
    allowed: tuple[str, ...]
    filling: tuple[str, ...]
    order: str
    generated_order: str
    slots: int
    formula: str
    bytes_per_entry: int
    bytes_per_token: int
    page_bytes: int
    declared_policy: str | None = None

    @property
    def bytes_per_token_unshared(self) -> int:
        """Bytes of one token if every layer stored every depth: what an engine with a slot per depth needs."""
        return self.layers * self.depths * self.bytes_per_entry


@dataclass(frozen=True)
class Artefact:
    """What a compiled directory says about itself.

    >>> Artefact.open("ouro.lariat").loops.default
    4
    """

    path: Path
    family: str
    kind: str
    vocabulary: int
    context: int
    eos: tuple[int, ...]
    shape: str | None
    loops: Loops
    exit: ExitRule | None
    caches: tuple[Cache, ...]
    dtype: str
    kv_dtype: str
    targets: tuple[str, ...]
    pipeline: str
    format_version: str
    lariat_version: str
    num_files: int
    num_bytes: int
    manifest: dict[str, object]
    cuts: str | None = None
    """Why results depend on how a prompt is cut into calls, whatever the policies say; none where they do not."""

    def default_steps(self, exit_threshold: float | Literal["off"] | None = None) -> int:
        """Most loop steps of a run with this threshold that asks for no number of them."""
        if exit_threshold is None and self.exit is not None and self.exit.default != self.exit.never:
            exit_threshold = self.exit.default
        return self.loops.default if exit_threshold in (None, "off") else self.loops.with_exit

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Artefact:
        """Read the manifest of the artefact at `path`. Nothing of it is run and no checksum is compared.

        Raises:
            ArtefactError: if there is no manifest, it is of another format version, or a field is missing or of the
                wrong type.
        """
        folder = read_path(path, "path", ArtefactError)
        file = folder / "manifest.json"
        if not os.path.isfile(file):
            raise ArtefactError(_describe_missing(folder, file))
        top = _Object(f"{file}", read_json(file))
        version = top.get("format_version", int)
        if version != FORMAT_VERSION:
            raise ArtefactError(f"{folder} has format version {version}, this version reads {FORMAT_VERSION}")
        return _read_manifest(folder, top)

    def file_bytes(self, name: str) -> int | None:
        """Bytes of one file, by its path in the artefact; none where there is no such file."""
        files = _Object("manifest.json", self.manifest).object("files")
        return files.object(name).get("bytes", int) if name in files.data else None

    @property
    def order(self) -> str:
        """The strictest order of the caches, or what the ops of the model leave of it."""
        orders = [order for cache in self.caches for order in (cache.order, cache.generated_order)]
        return max([ORDERS[0], *orders, *(["atomic"] if self.cuts else [])], key=_rank)

    @property
    def bytes_per_token(self) -> int:
        """Bytes of keys and values of one token that runs every loop step."""
        return sum(cache.bytes_per_token for cache in self.caches)


def _describe_missing(folder: Path, file: Path) -> str:
    """What is wrong with a path at which there is no manifest."""
    if not os.path.exists(folder):
        return f"{folder}: no such artefact, 'lariat compile' makes one"
    if not os.path.isdir(folder):
        return f"{folder}: not an artefact, which is a folder 'lariat compile' makes"
    if os.path.isfile(folder / "config.json"):
        return f"{folder} is a checkpoint, not an artefact: 'lariat compile {folder} -o NAME.lariat' makes one"
    try:
        file.stat()
    except OSError as failure:
        return f"cannot read {file}: {reason(failure)}"
    return f"cannot read {file}: it is no file"


def _rank(order: str) -> int:
    return ORDERS.index(order) if order in ORDERS else len(ORDERS)


class _Object:
    """An object of the manifest whose fields are read with their types checked."""

    def __init__(self, place: str, data: object) -> None:
        if not isinstance(data, dict):
            raise ArtefactError(f"{place}: expected an object, found {type(data).__name__}")
        self.place = place
        self.data: dict[str, object] = data

    def get(self, key: str, kind: type[T]) -> T:
        value = self.data.get(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        found = "nothing" if key not in self.data else type(value).__name__
        raise ArtefactError(f"{self.place}: '{key}': expected {kind.__name__}, found {found}")

    def optional(self, key: str, kind: type[T]) -> T | None:
        return None if self.data.get(key) is None else self.get(key, kind)

    def object(self, key: str) -> _Object:
        return _Object(f"{self.place}: '{key}'", self.get(key, dict))

    def items(self, key: str, kind: type[T]) -> tuple[T, ...]:
        values = self.get(key, list)
        return tuple(
            _Object(f"{self.place}: '{key}'", {str(at): value}).get(str(at), kind) for at, value in enumerate(values)
        )


def _read_manifest(folder: Path, top: _Object) -> Artefact:
    model, loops = top.object("model"), top.object("loops")
    default = loops.get("default", int)
    files = [_Object(f"{top.place}: 'files'", entry) for entry in top.get("files", dict).values()]
    return Artefact(
        path=folder,
        family=model.get("family", str),
        kind=model.get("kind", str),
        vocabulary=model.get("vocab", int),
        context=model.get("context", int),
        eos=model.items("eos", int),
        shape=model.optional("shape", str),
        loops=Loops(default, loops.get("min", int), loops.get("max", int), loops.optional("with_exit", int) or default),
        exit=_read_exit(top.object("exit")) if top.optional("exit", dict) is not None else None,
        caches=tuple(
            _read_cache(_Object(f"{top.place}: 'caches'", entry), default) for entry in top.get("caches", list)
        ),
        dtype=top.get("dtype", str),
        kv_dtype=top.get("kv_dtype", str),
        targets=top.items("targets", str),
        pipeline=top.get("pipeline", str),
        format_version=str(top.data.get("format_version", "unknown")),
        lariat_version=top.get("lariat_version", str),
        num_files=len(files),
        num_bytes=sum(entry.get("bytes", int) for entry in files),
        manifest=top.data,
        cuts=top.object("traits").optional("cuts", str),
    )


def _read_exit(entry: _Object) -> ExitRule:
    if entry.optional("never", float) is None:
        return ExitRule(entry.get("rule", str), 0.0, 0.0, 0.0, None, takes_threshold=False)
    never, low, high = (entry.get(key, float) for key in ("never", "low", "high"))
    default, usual = (entry.optional(key, float) for key in ("default", "usual"))
    return ExitRule(entry.get("rule", str), never, low, high, default, usual)


def _read_cache(entry: _Object, loops: int) -> Cache:
    return Cache(
        name=entry.get("name", str),
        layers=entry.get("layers", int),
        heads=entry.get("heads", int),
        dim=entry.get("dim", int),
        depths=entry.optional("depths", int) or loops,
        dtype=entry.get("type", str),
        policy=entry.get("policy", str),
        missing=entry.optional("missing", str),
        allowed=entry.items("allowed", str),
        filling=entry.items("filling", str),
        order=entry.get("order", str),
        generated_order=entry.get("generated_order", str),
        slots=entry.get("slots", int),
        formula=entry.get("formula", str),
        bytes_per_entry=entry.get("bytes_per_entry", int),
        bytes_per_token=entry.get("bytes_per_token", int),
        page_bytes=entry.get("page_bytes", int),
        declared_policy=entry.optional("declared_policy", str),
    )
