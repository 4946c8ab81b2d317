# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checkpoints larger than memory: tensors are widened when they are asked for and dropped when they were used.

Also gives the oracle's names and keys to the released format of Huginn, whose projections are fused and whose rotary
pairs are neighbouring columns.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .pieces import Array, Config, Options, Result
from .reference import FAMILIES, family_of
from .tensors import from_bf16

__all__ = ["MappedTensors", "run_stored"]


class MappedTensors(Mapping[str, Array]):
    """bf16 tensors of a checkpoint directory, of `dtype` when read."""

    def __init__(self, directory: Path, dtype: Any = np.float32) -> None:
        self._dtype = dtype
        self._tensors: dict[str, Array] = {}
        for path in sorted(directory.glob("*.safetensors")):
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            data = np.memmap(path, np.uint8, mode="r", offset=8 + length)
            for name, entry in header.items():
                assert entry["dtype"] == "BF16", f"{name} is {entry['dtype']}"
                begin, end = entry["data_offsets"]
                self._tensors[name] = data[begin:end].view("<u2").reshape(entry["shape"])

    def stored(self, name: str) -> Array:
        """uint16 bit patterns, mapped."""
        return self._tensors[name]

    def widen(self, bits: Array) -> Array:
        return np.asarray(from_bf16(bits), dtype=self._dtype)

    def __getitem__(self, name: str) -> Array:
        return self.widen(self.stored(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


class _RavenTensors(Mapping[str, Array]):
    """A released Huginn under the names of `run_huginn`."""

    # Part of a layer: stored name, number of the range of rows, ranges.
    _PARTS = {
        "self_attn.q_proj": ("attn.Wqkv", 0, 3), "self_attn.k_proj": ("attn.Wqkv", 1, 3),
        "self_attn.v_proj": ("attn.Wqkv", 2, 3), "self_attn.o_proj": ("attn.proj", 0, 1),
        "mlp.gate_proj": ("mlp.fc", 0, 2), "mlp.up_proj": ("mlp.fc", 1, 2), "mlp.down_proj": ("mlp.proj", 0, 1),
    }  # fmt: skip
    _OTHERS = {
        "model.embed_tokens.weight": "transformer.wte.weight", "model.adapter.weight": "transformer.adapter.weight",
        "model.norm.weight": "transformer.ln_f.weight",
    }  # fmt: skip

    def __init__(self, tensors: MappedTensors, heads: int) -> None:
        self._tensors, self._heads = tensors, heads

    def __getitem__(self, name: str) -> Array:
        if name in self._OTHERS:
            return self._tensors[self._OTHERS[name]]
        if name.count(".") < 4:
            raise KeyError(name)
        _, stack, index, rest = name.split(".", 3)
        part, _, kind = rest.rpartition(".")
        layer = f"transformer.{'core_block' if stack == 'core' else stack}.{index}"
        if part not in self._PARTS:
            if rest.startswith("norm_") and kind == "weight":
                return self._tensors[f"{layer}.{part}.weight"]
            raise KeyError(name)
        stored, number, count = self._PARTS[part]
        is_rotated = stored == "attn.Wqkv" and number < 2
        if kind == "bias":
            if not is_rotated:
                raise KeyError(name)
            return self._tensors.widen(self._by_halves(self._tensors.stored(f"{layer}.attn.qk_bias")[number].ravel()))
        rows = self._tensors.stored(f"{layer}.{stored}.weight")
        size = len(rows) // count
        rows = rows[number * size : (number + 1) * size]
        return self._tensors.widen(self._by_halves(rows) if is_rotated else rows)

    def _by_halves(self, rows: Array) -> Array:
        """Rows (2 i, 2 i + 1) of a head as (i, i + half): products of queries and keys are the same."""
        pairs = rows.reshape(self._heads, -1, 2, *rows.shape[1:])
        return np.ascontiguousarray(np.moveaxis(pairs, 2, 1)).reshape(rows.shape)

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


def _raven_config(config: Config) -> dict[str, Any]:
    return {
        "hidden_size": config["n_embd"],
        "num_attention_heads": config["n_heads"],
        "rms_norm_eps": config["norm_eps"],
        "rope_theta": config["rope_base"],
        "num_prelude_layers": config["n_layers_in_prelude"],
        "num_core_layers": config["n_layers_in_recurrent_block"],
        "num_coda_layers": config["n_layers_in_coda"],
        "mean_recurrence": config["mean_recurrence"],
        "max_recurrence": config["mean_recurrence"],
        "embedding_scale": config["n_embd"] ** 0.5,
        "tie_word_embeddings": config["tie_embeddings"],
    }


def run_stored(directory: Path, ids: list[int], options: Options, dtype: Any = np.float32) -> Result:
    """One sequence through a checkpoint directory in bf16; weights are read anew for every layer that they serve."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    tensors = MappedTensors(directory, dtype)
    if config["model_type"] == "huginn_raven":
        return FAMILIES["huginn"](_raven_config(config), _RavenTensors(tensors, config["n_heads"]), ids, options)
    return FAMILIES[family_of(config)](config, tensors, ids, options)
