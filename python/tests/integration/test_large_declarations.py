# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Large numbers in config.json: vocabularies of a quarter of a million, contexts of ten million positions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import safetensors.numpy
from numpy.typing import NDArray

import lariat
from tests.checkpoints import SMALL_LLAMA, Shapes, llama_shapes, llama_values

VOCAB = 262_144
WIDTH = 16
FAR = 10_000_000

Tensors = dict[str, NDArray[numpy.float32]]


def save(folder: Path, values: dict[str, Any], tensors: Tensors) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(values))
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    return folder


def random_tensors(shapes: Shapes, seed: int) -> Tensors:
    draw = numpy.random.default_rng(seed)
    return {name: (draw.standard_normal(shape) * 0.3).astype("f4") for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def continuations() -> dict[int, int]:
    """What follows a token whose number is so much modulo 16: far apart, and each leads to the next."""
    return {column: (VOCAB - 16 - 16_000 * column) // 16 * 16 + (column + 1) % 16 for column in range(WIDTH)}


def test_a_vocabulary_of_a_quarter_of_a_million(tmp_path: Path, continuations: dict[int, int]) -> None:
    shapes = llama_shapes(WIDTH, 2, 2, 8, 8, 1, VOCAB)
    tensors: Tensors = {name: numpy.zeros(shape, "f4") for name, shape in shapes.items()}
    for name in tensors:
        if "norm" in name:
            tensors[name][:] = 1
    numbers = numpy.arange(VOCAB)
    tensors["model.embed_tokens.weight"][numbers, numbers % WIDTH] = 1
    for column, follower in continuations.items():
        tensors["lm_head.weight"][follower, column] = 4
    values = llama_values(vocab_size=VOCAB, hidden_size=WIDTH, num_attention_heads=2, num_key_value_heads=2,
                          head_dim=8, intermediate_size=8, num_hidden_layers=1)  # fmt: skip
    lariat.compile(save(tmp_path / "m", values, tensors), tmp_path / "m.lariat", lariat.CompileOptions(target="native"))
    prompt = [VOCAB - 1, 0, 131_072, 200_003]
    with lariat.load(tmp_path / "m.lariat") as session:
        whole = session.score([prompt])[0].logits
        assert [int(one) for one in whole.argmax(1)] == [continuations[token % WIDTH] for token in prompt]
        for chunk in (1, 3):
            assert numpy.array_equal(session.score([prompt], lariat.ScoreOptions(chunk=chunk))[0].logits, whole)
        expected, last = [], prompt[-1]
        for _ in range(5):
            last = continuations[last % WIDTH]
            expected.append(last)
        options = lariat.GenerateOptions(max_new_tokens=5, ignore_eos=True)
        assert list(session.generate([prompt], options)[0].tokens) == expected
        with pytest.raises(lariat.RuntimeFault, match=f"expected 0 to {VOCAB - 1}"):
            session.score([[VOCAB]])


@pytest.mark.parametrize("pipeline", ["fast", "reference"])
def test_a_context_of_ten_million_positions(tmp_path: Path, pipeline: str) -> None:
    tensors = random_tensors(SMALL_LLAMA, seed=5)
    prompt = numpy.random.default_rng(1).integers(0, 32, 300).tolist()
    logits, sizes = [], []
    for context in (512, FAR):
        path = tmp_path / f"{context}.lariat"
        options = lariat.CompileOptions(pipeline=pipeline, target="native" if pipeline == "fast" else None)
        values = llama_values(max_position_embeddings=context)
        lariat.compile(save(tmp_path / str(context), values, tensors), path, options)
        sizes.append(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
        with lariat.load(path) as session:
            assert session.info.context == context
            logits.append(session.score([prompt])[0].logits)
            longer = lariat.GenerateOptions(max_new_tokens=20, ignore_eos=True)
            assert len(session.generate([prompt[:40]], longer)[0].tokens) == 20
    assert numpy.array_equal(*logits)
    assert abs(sizes[1] - sizes[0]) < 1000
