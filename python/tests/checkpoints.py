# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checkpoint directories for tests of the importers: the fixtures, and made-up ones without data."""

from __future__ import annotations

import json
import math
import os
import re
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lariat._checkpoint import StoredTensor, read_header

ROOT = Path(__file__).resolve().parents[2]
MODELS = Path(os.environ.get("LARIAT_MODELS_DIR") or ROOT / "test" / "models")
OPT = Path(os.environ.get("LARIAT_BIN_DIR") or ROOT / "build" / "release" / "bin") / "lariat-opt"
FIXTURES = ("albert", "hrm", "huginn", "mor-expert", "mor-share", "mor-token", "ouro", "rrt")

Shapes = dict[str, tuple[int, ...]]
Values = dict[str, Any]

_OP = re.compile(r'^\s*(?:%[^"]* = )?"(\w+\.\w+)"\(', re.MULTILINE)


def fixture(name: str) -> tuple[Values, Shapes]:
    """config.json and the shapes of the tensors of a fixture."""
    values = json.loads((MODELS / name / "config.json").read_text())
    tensors: Mapping[str, StoredTensor] = read_header(MODELS / name / "model.safetensors")
    return values, {key: tensor.shape for key, tensor in tensors.items()}


def header(shapes: Shapes, dtype: str = "F32") -> tuple[dict[str, Any], int]:
    """Entries of a safetensors header, and the bytes of data behind it."""
    entries, end = {}, 0
    width = {"F32": 4, "BF16": 2, "I64": 8}[dtype]
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * width
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    return entries, end


def write_file(path: Path, entries: object, num_data_bytes: int) -> None:
    """A safetensors file whose data are zeros the file system does not store."""
    text = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + num_data_bytes)


def write(directory: Path, values: Values, shapes: Shapes, dtype: str = "F32") -> Path:
    """A checkpoint directory of one file."""
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(values))
    write_file(directory / "model.safetensors", *header(shapes, dtype))
    return directory


def count_ops(text: str) -> int:
    return len(_OP.findall(text))


def verify(text: str) -> str:
    """What lariat-opt prints for this IR; skips the test where it is not built."""
    if not OPT.exists():
        pytest.skip("lariat-opt is not built")
    done = subprocess.run([OPT, "-"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def llama_shapes(width: int, heads: int, kv_heads: int, dim: int, inner: int, layers: int, vocab: int) -> Shapes:
    """Tensors under the names of Llama, head untied."""
    shapes: Shapes = {"model.embed_tokens.weight": (vocab, width), "model.norm.weight": (width,)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        shapes |= {
            f"{prefix}.input_layernorm.weight": (width,),
            f"{prefix}.post_attention_layernorm.weight": (width,),
            f"{prefix}.self_attn.q_proj.weight": (heads * dim, width),
            f"{prefix}.self_attn.k_proj.weight": (kv_heads * dim, width),
            f"{prefix}.self_attn.v_proj.weight": (kv_heads * dim, width),
            f"{prefix}.self_attn.o_proj.weight": (width, heads * dim),
            f"{prefix}.mlp.gate_proj.weight": (inner, width),
            f"{prefix}.mlp.up_proj.weight": (inner, width),
            f"{prefix}.mlp.down_proj.weight": (width, inner),
        }
    return shapes | {"lm_head.weight": (vocab, width)}


def llama_values(**more: Any) -> Values:
    """config.json of a small Llama, as transformers writes it."""
    return {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1,
        "dtype": "float32", "eos_token_id": [2, 3], "head_dim": 8, "hidden_act": "silu", "hidden_size": 16,
        "initializer_range": 0.02, "intermediate_size": 24, "max_position_embeddings": 64, "mlp_bias": False,
        "model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
        "pad_token_id": None, "pretraining_tp": 1, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}, "transformers_version": "5.24.0",
        "use_cache": True, "vocab_size": 32, **more,
    }  # fmt: skip


def nanbeige_values(**more: Any) -> Values:
    """config.json of a small Nanbeige, with the tensors of `SMALL_LLAMA`."""
    return {**llama_values(model_type="nanbeige"), "num_loops": 2, **more}


SMALL_LLAMA = llama_shapes(16, 4, 2, 8, 24, 2, 32)
