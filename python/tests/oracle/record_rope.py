# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rotary frequencies and scaling factors by transformers' own functions, for configurations of every kind.

`python -m tests.oracle.record_rope` writes `recorded_rope.json` with them; it needs torch and transformers. Tests
compare with the file, and with the functions themselves where transformers is there.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

__all__ = ["CASES", "RECORDED", "by_transformers"]

RECORDED = Path(__file__).with_name("recorded_rope.json")

_LONG = {
    "rope_type": "longrope",
    "original_max_position_embeddings": 256,
    "short_factor": [1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 1.8, 2.0],
    "long_factor": [1.0, 1.5, 2.5, 4.0, 8.0, 12.0, 16.0, 20.0],
}
_LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 128}  # fmt: skip
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}

CASES: dict[str, tuple[dict[str, Any], int | None]] = {
    "default": ({"rope_theta": 10000.0}, None),
    "default-theta": ({"rope_theta": 7e7}, None),
    "default-parameters": ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, None),
    "linear": ({"rope_scaling": {"type": "linear", "factor": 3.0}, "rope_theta": 10000.0}, None),
    "linear-parameters": ({"rope_parameters": {"rope_type": "linear", "factor": 2.5, "rope_theta": 1e5}}, None),
    "linear-partial": ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}, "partial_rotary_factor": 0.5}, None),
    "dynamic": ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, None),
    "dynamic-within": ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, 100),
    "dynamic-beyond": ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, 3000),
    "dynamic-partial": ({"rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4,
                                             "partial_rotary_factor": 0.25}}, 5000),
    "yarn": ({"rope_scaling": _YARN}, None),
    "yarn-no-original": ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, None),
    "yarn-parameters": ({"rope_parameters": {**_YARN, "rope_theta": 1e6, "beta_fast": 16.0, "beta_slow": 2.0}}, None),
    "yarn-factor": ({"rope_scaling": {**_YARN, "attention_factor": 1.25}}, None),
    "yarn-mscale": ({"rope_scaling": {**_YARN, "factor": 40.0, "mscale": 0.707, "mscale_all_dim": 1.0}}, None),
    "yarn-smooth": ({"rope_scaling": {**_YARN, "truncate": False}}, None),
    "yarn-partial": ({"rope_scaling": _YARN, "partial_rotary_factor": 0.5}, None),
    "longrope-short": ({"rope_scaling": _LONG}, 200),
    "longrope-long": ({"rope_scaling": _LONG}, 1000),
    "longrope-factor": ({"rope_scaling": {**_LONG, "attention_factor": 1.19}}, 1000),
    "longrope-beside": ({"rope_scaling": {key: value for key, value in _LONG.items() if not key.startswith("orig")},
                         "original_max_position_embeddings": 256}, 1000),
    "llama3": ({"rope_scaling": _LLAMA3, "rope_theta": 500000.0}, None),
    "llama3-parameters": ({"rope_parameters": {**_LLAMA3, "rope_theta": 500000.0}}, None),
    "llama3-partial": ({"rope_scaling": _LLAMA3, "partial_rotary_factor": 0.5}, None),
    "proportional": ({"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e6,
                                          "partial_rotary_factor": 0.25}}, None),
    "proportional-factor": ({"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e6, "factor": 2.0,
                                                 "partial_rotary_factor": 0.75}}, None),
}  # fmt: skip
"""Keys of a Llama's config.json, heads of 16 columns and a context of 1024, and the length of the sequence."""


def by_transformers(values: dict[str, Any], length: int | None) -> tuple[list[float], float]:
    """Frequencies, and what cosines and sines are multiplied by."""
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config = LlamaConfig(hidden_size=64, num_attention_heads=4, max_position_embeddings=1024, vocab_size=32,
                         **json.loads(json.dumps(values)))  # fmt: skip
    kind = config.rope_parameters["rope_type"]
    if kind == "default":
        frequencies, factor = LlamaRotaryEmbedding.compute_default_rope_parameters(config)
    else:
        frequencies, factor = ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=length)
    return [float(one) for one in frequencies], float(factor)


if __name__ == "__main__":
    found = {}
    for name, (values, length) in CASES.items():
        frequencies, factor = by_transformers(values, length)
        assert all(map(math.isfinite, frequencies)), name
        found[name] = {"frequencies": frequencies, "factor": factor}
    lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in found.items()]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
