# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checkpoint directories with random weights, for models that are measured and not trained."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from lariat._files import replacing
from lariat.bench.shapes import Shape
from lariat.bench.stored import config_of, tensors_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

__all__ = ["make_checkpoint"]


def make_checkpoint(shape: Shape, directory: Path, seed: int = 0, gain: float = 1.0) -> Path:
    """Write config.json and model.safetensors of `shape`; returns `directory`.

    A directory that already holds this config.json with this seed is left as it is. A tensor's values depend on the
    seed and its name alone, so that two numbers of loop steps share their block. `gain` scales what the layers of the
    loop add, in decoders: with little, later loop steps change little.

    Raises:
        RuntimeFault: if a file cannot be written.

    >>> make_checkpoint(SHAPES["smoke"], Path("smoke")).name
    'smoke'
    """
    weights, config = directory / "model.safetensors", directory / "config.json"
    about = f"{shape.name}, random weights, seed {seed}" + (f", gain {gain:g}" if gain != 1 else "")
    text = json.dumps({**config_of(shape), "_name_or_path": about}, indent=2) + "\n"
    if weights.is_file() and config.is_file() and config.read_text() == text:
        return directory
    import numpy
    import safetensors.numpy

    directory.mkdir(parents=True, exist_ok=True)
    config.unlink(missing_ok=True)  # written last, so that a directory that has it is complete
    tensors = {name: _values(name, size, seed) for name, size in tensors_of(shape)}
    if gain != 1:
        for layer in range(shape.prelude, shape.prelude + shape.shared):
            for name in ("self_attn.o_proj", "mlp.down_proj"):
                tensors[f"model.layers.{layer}.{name}.weight"] *= numpy.float32(gain)
    with replacing(weights) as temporary:
        safetensors.numpy.save_file(tensors, temporary)
    with replacing(config) as temporary:
        temporary.write_text(text)
    return directory


def _values(name: str, size: tuple[int, ...], seed: int) -> NDArray[numpy.float32]:
    """float32[size]: projections keep the size of rows, norms are near 1, the head's logits are near 1."""
    import numpy

    random = numpy.random.default_rng([seed, zlib.crc32(name.encode())])
    if name.endswith(".bias"):
        return (0.02 * random.standard_normal(size)).astype(numpy.float32)
    if len(size) == 1:
        return (1 + 0.1 * random.standard_normal(size)).astype(numpy.float32)
    if any(part in name for part in ("embed_tokens", "_embeddings", "routers")):
        return (0.02 * random.standard_normal(size, dtype=numpy.float32)).astype(numpy.float32)
    bound = 1 / math.sqrt(size[1])
    return random.uniform(-bound, bound, size).astype(numpy.float32)
