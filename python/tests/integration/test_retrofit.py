# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A recurrent model made from the layers of a Llama computes what the Llama does where its loop runs once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import safetensors.numpy
from numpy.typing import NDArray

import lariat
from tests.checkpoints import llama_shapes, llama_values

Tensors = dict[str, NDArray[numpy.float32]]

WIDTH, HEADS, KV_HEADS, DIM, INNER, VOCAB = 32, 4, 2, 8, 48, 64
PLACES = ("prelude.0", "core_block.0", "core_block.1", "coda.0")
"""Where the layers of the Llama stand."""

ROPE = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32}  # fmt: skip


def llama() -> tuple[dict[str, Any], Tensors]:
    draw = numpy.random.default_rng(3)
    shapes = llama_shapes(WIDTH, HEADS, KV_HEADS, DIM, INNER, len(PLACES), VOCAB)
    tensors = {name: (draw.standard_normal(shape) * 0.2).astype("f4") for name, shape in shapes.items()}
    for name in tensors:
        if "norm" in name:
            tensors[name] += 1
    values = llama_values(hidden_size=WIDTH, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=DIM,
                          intermediate_size=INNER, num_hidden_layers=len(PLACES), vocab_size=VOCAB, rms_norm_eps=1e-5,
                          max_position_embeddings=256, rope_scaling=ROPE, rope_theta=500000.0,
                          rope_parameters=None)  # fmt: skip
    return values, tensors


def retrofit(values: dict[str, Any], tensors: Tensors) -> tuple[dict[str, Any], Tensors]:
    """The layers under the names of Huginn, and an adapter that hands the embedded input on."""
    made: Tensors = {
        "transformer.wte.weight": tensors["model.embed_tokens.weight"],
        "transformer.ln_f.weight": tensors["model.norm.weight"],
        "transformer.adapter.weight": numpy.hstack([numpy.zeros((WIDTH, WIDTH)), numpy.eye(WIDTH)]).astype("f4"),
        "lm_head.weight": tensors["lm_head.weight"],
    }
    for number, place in enumerate(PLACES):
        old, new = f"model.layers.{number}", f"transformer.{place}"
        joined = [tensors[f"{old}.self_attn.{name}_proj.weight"] for name in "qkv"]
        made[f"{new}.attn.Wqkv.weight"] = numpy.concatenate(joined)
        made[f"{new}.attn.proj.weight"] = tensors[f"{old}.self_attn.o_proj.weight"]
        joined = [tensors[f"{old}.mlp.{name}_proj.weight"] for name in ("gate", "up")]
        made[f"{new}.mlp.fc.weight"] = numpy.concatenate(joined)
        made[f"{new}.mlp.proj.weight"] = tensors[f"{old}.mlp.down_proj.weight"]
        made[f"{new}.norm_1.weight"] = tensors[f"{old}.input_layernorm.weight"]
        made[f"{new}.norm_2.weight"] = tensors[f"{old}.post_attention_layernorm.weight"]
    config = {
        "model_type": "huginn_raven", "n_embd": WIDTH, "n_heads": HEADS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": DIM, "intermediate_size": INNER, "vocab_size": VOCAB,
        "padded_vocab_size": VOCAB, "n_layers": len(PLACES), "n_layers_in_prelude": 1,
        "n_layers_in_recurrent_block": 2, "n_layers_in_coda": 1, "mean_recurrence": 4, "norm_eps": 1e-5,
        "block_class_name": "SandwichBlock", "norm_class_name": "RMSNorm_llama", "qk_bias": False, "bias": False,
        "tie_embeddings": False, "block_size": 4096, "rope_base": 50000, "injection_type": "linear",
        "max_position_embeddings": 256, "rope_theta": 500000.0, "rope_scaling": ROPE, "eos_token_id": 3,
        "init_values": {"std": 0.1, "embed_scale": 1.0}, "torch_dtype": "float32",
    }  # fmt: skip
    return config, made


def save(folder: Path, values: dict[str, Any], tensors: Tensors) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(values))
    safetensors.numpy.save_file({name: numpy.ascontiguousarray(one) for name, one in tensors.items()},
                                folder / "model.safetensors")  # fmt: skip
    return folder


def test_one_step_of_the_loop_is_the_llama(tmp_path: Path) -> None:
    values, tensors = llama()
    options = lariat.CompileOptions(target="native")
    lariat.compile(save(tmp_path / "llama", values, tensors), tmp_path / "llama.lariat", options)
    lariat.compile(save(tmp_path / "loop", *retrofit(values, tensors)), tmp_path / "loop.lariat", options)
    prompt = numpy.random.default_rng(7).integers(0, VOCAB, 60).tolist()
    with lariat.load(tmp_path / "llama.lariat") as plain, lariat.load(tmp_path / "loop.lariat") as looped:
        expected = plain.score([prompt])[0].logits
        found = looped.score([prompt], lariat.ScoreOptions(loops=1))[0]
        assert found.logits == pytest.approx(expected, abs=2e-5)
        assert looped.info.context == 256
        # The adapter hands on what was embedded, so that every step computes the same.
        further = looped.score([prompt], lariat.ScoreOptions(loops=3))[0]
        assert set(further.steps.tolist()) == {3}
        assert further.logits == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("tie", [True, False])
def test_the_head_is_the_one_that_is_stored(tmp_path: Path, tie: bool) -> None:
    """Files of this kind say `tie_embeddings: false` beside transformers' default of the other key."""
    config, made = retrofit(*llama())
    if tie:
        del made["lm_head.weight"]
    folder = save(tmp_path / "m", {**config, "tie_word_embeddings": True}, made)
    text = lariat.import_checkpoint(folder)
    assert ("lm_head" in text) is not tie
