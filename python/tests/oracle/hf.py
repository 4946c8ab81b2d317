# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tiny random models of transformers' own classes with the outputs torch computes.

    python -m oracle.hf OUT_DIR

Needs torch and transformers; the tests read the copy checked in under recorded/ instead. Each
folder: config.json and model.safetensors as save_pretrained writes them, and expected.safetensors
with ids.I and logits.I (or hidden.I for AlbertModel), float32. The llama, hrm and albert models are
transformers' classes unchanged; see hf_composed.py for ouro and nanbeige.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from .hf_composed import COMPOSED, fill
from .tensors import write_tensors

VOCABULARY = 97
_LENGTHS = (1, 7, 21)

_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
_LLAMA = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
_HRM = {**_LLAMA, "max_position_embeddings": 64}
_ALBERT = {**_LLAMA, "embedding_size": 16, "max_position_embeddings": 32, "intermediate_size": 40}


def _llama(**keys: Any) -> Any:
    config = transformers.LlamaConfig(**{**_LLAMA, "vocab_size": VOCABULARY, "num_hidden_layers": 2, **keys})
    return transformers.LlamaForCausalLM(config)


def _hrm(**keys: Any) -> Any:
    config = transformers.HrmTextConfig(**{**_HRM, "vocab_size": VOCABULARY, **keys})
    return transformers.HrmTextForCausalLM(config)


def _albert(kind: str, **keys: Any) -> Any:
    config = transformers.AlbertConfig(**{**_ALBERT, "vocab_size": VOCABULARY, **keys})
    return getattr(transformers, kind)(config)


MODELS: dict[str, Callable[[], Any]] = {
    "llama-gqa": lambda: _llama(num_key_value_heads=2),
    "llama-tied-head-dim": lambda: _llama(
        num_key_value_heads=1, head_dim=16, tie_word_embeddings=True, rms_norm_eps=1e-5
    ),
    "llama-biases": lambda: _llama(attention_bias=True, mlp_bias=True, num_key_value_heads=4),
    "llama-rope-llama3": lambda: _llama(
        num_key_value_heads=2, head_dim=16, rope_parameters={"rope_theta": 500.0, **_LLAMA3}
    ),
    "llama-rope-scaling": lambda: _llama(
        num_key_value_heads=2, rope_theta=2000.0, rope_scaling={**_LLAMA3, "factor": 8.0}
    ),
    "hrm-h2-l3": lambda: _hrm(num_hidden_layers=2, head_dim=8, H_cycles=2, L_cycles=3),
    "hrm-h3-l1": lambda: _hrm(num_hidden_layers=1, head_dim=16, H_cycles=3, L_cycles=1, embedding_scale=7.5),
    "hrm-h1-l2": lambda: _hrm(
        num_hidden_layers=1,
        head_dim=8,
        H_cycles=1,
        L_cycles=2,
        embedding_scale=3.0,
        rms_norm_eps=1e-4,
        rope_parameters={"rope_theta": 100.0, "rope_type": "default"},
        prefix_lm=False,
    ),
    "albert-mlm-one": lambda: _albert("AlbertForMaskedLM", num_hidden_layers=3),
    "albert-mlm-groups": lambda: _albert(
        "AlbertForMaskedLM", num_hidden_layers=4, num_hidden_groups=2, inner_group_num=2
    ),
    "albert-model-uneven": lambda: _albert("AlbertModel", num_hidden_layers=5, num_hidden_groups=2, inner_group_num=1),
}


def random_ids(seed: int) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [[int(i) for i in generator.integers(0, VOCABULARY, n)] for n in _LENGTHS]


def _expected(model: Any, id_lists: list[list[int]]) -> dict[str, np.ndarray[Any, Any]]:
    tensors = {}
    for i, ids in enumerate(id_lists):
        tensors[f"ids.{i}"] = np.array(ids, dtype=np.int32)
        with torch.no_grad():
            output = model(torch.tensor([ids]))
        name = "logits" if hasattr(output, "logits") else "hidden"
        value = output.logits if name == "logits" else output.last_hidden_state
        tensors[f"{name}.{i}"] = value[0].numpy()
    if getattr(model.config, "prefix_lm", False):
        # The first rows see each other both ways; not among ids.I, which are purely causal.
        ids, num_rows = id_lists[-1], 9
        marks = torch.tensor([[int(t < num_rows) for t in range(len(ids))]])
        with torch.no_grad():
            output = model(torch.tensor([ids]), token_type_ids=marks)
        tensors["prefix_ids.0"] = np.array(ids, dtype=np.int32)
        tensors["prefix_rows.0"] = np.array([num_rows], dtype=np.int32)
        tensors["prefix_logits.0"] = output.logits[0].numpy()
    return tensors


def _old_rope_keys(directory: Path) -> None:
    """Rewrites config.json with rope_theta and rope_scaling, as before transformers 5."""
    path = directory / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_recording(out_dir: Path) -> list[Path]:
    """Writes every model; returns the folders."""
    directories = []
    for number, (name, make) in enumerate(MODELS.items()):
        torch.manual_seed(number)
        model = make().eval()
        fill(model)
        directory = out_dir / name
        model.save_pretrained(directory)
        (directory / "generation_config.json").unlink(missing_ok=True)
        if name == "llama-rope-scaling":
            _old_rope_keys(directory)
        # What is recorded is what the saved files give, not the object in memory.
        model = type(model).from_pretrained(directory).eval()
        model.set_attn_implementation("eager")
        expected = _expected(model, random_ids(number))
        write_tensors(directory / "expected.safetensors", expected)
        directories.append(directory)
    for number, (name, write) in enumerate(COMPOSED.items(), 100):
        torch.manual_seed(number)
        directory = out_dir / name
        directory.mkdir(parents=True, exist_ok=True)
        config, tensors, expected = write(VOCABULARY, random_ids(number))
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        (directory / "config.json").write_text(text, encoding="utf-8")
        write_tensors(directory / "model.safetensors", tensors)
        write_tensors(directory / "expected.safetensors", expected)
        directories.append(directory)
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    for directory in directories:
        line = f"Random weights; written by `python -m oracle.hf` with {versions}, float32 on CPU.\n"
        (directory / "README.md").write_text(line, encoding="utf-8")
    return directories


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    torch.set_num_threads(1)
    for directory in write_recording(Path(sys.argv[1])):
        print(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
