# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checkpoints of released shapes with random weights in bf16, written piece by piece in little memory."""

from __future__ import annotations

import json
import math
import statistics
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lariat._files import replacing
from lariat.bench.released import ReleasedShape
from lariat.errors import RuntimeFault

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

__all__ = ["stream_checkpoint"]

SHARD_BYTES = 5_000_000_000  # as transformers cuts by default
PIECE = 1 << 22  # values

Tensors = list[tuple[str, tuple[int, ...]]]


def stream_checkpoint(shape: ReleasedShape, directory: Path, seed: int = 0) -> Path:
    """Write config.json, and model.safetensors or shards with their index; returns `directory`.

    A directory that already holds this config.json with this seed is left as it is. A tensor's values depend on the
    seed and its name alone: independent, normal, of one of 65536 sizes, rounded to bf16.

    Raises:
        RuntimeFault: if a file cannot be written, or the directory holds a checkpoint that was not made so.
    """
    config = directory / "config.json"
    about = f"{shape.name}, random weights, seed {seed}"
    text = json.dumps({**shape.config, "_name_or_path": about}, indent=2) + "\n"
    found = config.read_text() if config.is_file() else None
    if found == text:
        return directory
    if found is not None and "random weights" not in found:
        raise RuntimeFault(f"{directory} holds a checkpoint that is not of random weights, so it is not replaced")
    directory.mkdir(parents=True, exist_ok=True)
    _remove(directory)
    try:
        _write(shape, directory, seed)
    except BaseException:
        _remove(directory)  # shards that are whole, of a checkpoint that is not
        raise
    with replacing(config) as temporary:  # written last, so that a directory that has it is complete
        temporary.write_text(text)
    return directory


def _remove(directory: Path) -> None:
    for old in (directory / "config.json", *directory.glob("model*.safetensors*")):
        old.unlink(missing_ok=True)


def _write(shape: ReleasedShape, directory: Path, seed: int) -> None:
    """Everything but config.json."""
    shards = list(_cut(list(shape.tensors())))
    weight_map: dict[str, str] = {}
    for number, tensors in enumerate(shards, start=1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors" if len(shards) > 1 else "model.safetensors"
        weight_map |= dict.fromkeys((tensor for tensor, _ in tensors), name)
        with replacing(directory / name) as temporary, temporary.open("wb") as file:
            _write_shard(file, shape, tensors, seed)
    if len(shards) > 1:
        index = {"metadata": {"total_size": 2 * shape.num_weights}, "weight_map": weight_map}
        with replacing(directory / "model.safetensors.index.json") as temporary:
            temporary.write_text(json.dumps(index, indent=2) + "\n")


def _cut(tensors: Tensors) -> Iterator[Tensors]:
    """Shards of at most SHARD_BYTES, or of one tensor."""
    shard: Tensors = []
    used = 0
    for name, size in tensors:
        num_bytes = 2 * math.prod(size)
        if shard and used + num_bytes > SHARD_BYTES:
            yield shard
            shard, used = [], 0
        shard.append((name, size))
        used += num_bytes
    yield shard


def _write_shard(file: BinaryIO, shape: ReleasedShape, tensors: Tensors, seed: int) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size in tensors:
        begin, end = end, end + 2 * math.prod(size)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for name, size in tensors:
        for piece in _values(name, math.prod(size), *shape.std(name, size), seed):
            file.write(piece.data)


def _values(name: str, count: int, mean: float, deviation: float, seed: int) -> Iterator[NDArray[numpy.uint16]]:
    """bf16 as uint16, in pieces."""
    import numpy

    values = numpy.float32(mean) + numpy.float32(deviation) * _normal()
    bits = values.astype(numpy.float32).view(numpy.uint32)
    table = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)
    random = numpy.random.Generator(numpy.random.SFC64([seed, zlib.crc32(name.encode())]))
    for first in range(0, count, PIECE):
        size = min(PIECE, count - first)
        chosen = random.integers(0, 2**64, size=-(-size // 4), dtype=numpy.uint64).view(numpy.uint16)[:size]
        yield table[chosen]


@cache
def _normal() -> NDArray[numpy.float32]:
    """65536 values that are equally likely under a standard normal distribution."""
    import numpy

    inverse = statistics.NormalDist().inv_cdf
    return numpy.array([inverse((index + 0.5) / 65536) for index in range(65536)], dtype=numpy.float32)
