# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Released shapes cut to a size that a test can run: made, compiled and compared with the oracle on the same files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lariat
from lariat.bench import stream_checkpoint as stream
from lariat.bench.released import RELEASED
from lariat.errors import LariatError
from tests.integration.conftest import require_tools
from tests.oracle.pieces import Options
from tests.oracle.stored import run_stored

SMALL = {
    "ouro-1.4b": {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 4,
                  "head_dim": 16, "num_hidden_layers": 2, "vocab_size": 300, "max_position_embeddings": 64},
    "nanbeige-3b": {"hidden_size": 48, "intermediate_size": 80, "num_attention_heads": 4, "num_key_value_heads": 2,
                    "head_dim": 16, "num_hidden_layers": 2, "vocab_size": 300, "max_position_embeddings": 64,
                    "bos_token_id": 1, "eos_token_id": 2},
    "hrm-text-1b": {"hidden_size": 48, "intermediate_size": 64, "num_attention_heads": 3, "num_key_value_heads": 3,
                    "head_dim": 16, "num_layers_per_stack": 2, "num_hidden_layers": 16, "vocab_size": 300,
                    "max_position_embeddings": 64},
    "huginn-3.5b": {"n_embd": 48, "n_heads": 3, "intermediate_size": 80, "vocab_size": 290, "padded_vocab_size": 300,
                    "block_size": 64, "bos_token_id": 1, "eos_token_id": 2, "mean_recurrence": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_logits_are_those_of_the_oracle(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16, from one file or, cut small, from many shards."""
    require_tools()
    if name == "huginn-3.5b":
        monkeypatch.setattr(stream, "SHARD_BYTES", 20_000)
    shape = replace(RELEASED[name], config={**RELEASED[name].config, **SMALL[name]})
    directory = stream.stream_checkpoint(shape, tmp_path / "model", seed=3)
    assert (directory / "model.safetensors.index.json").exists() == (name == "huginn-3.5b")
    options = lariat.CompileOptions(dtype="bf16", target="native")
    lariat.compile(directory, tmp_path / "model.lariat", options)
    ids = [5, 17, 250, 17, 99, 3, 281, 120]
    with lariat.load(tmp_path / "model.lariat", threads=1) as session:
        found = session.score([ids])[0].logits
    loops = shape.config[shape.loops_key]
    expected = run_stored(directory, ids, Options(rule="full", loops=loops), np.float64).logits
    assert 0.3 < expected.std() < 3
    np.testing.assert_allclose(found, expected, atol=2e-5 * float(np.abs(expected).max()))


def test_values_depend_on_the_seed_and_the_name_alone(tmp_path: Path) -> None:
    """So a checkpoint is the same wherever and however often it is made, and another seed gives another."""
    shape = replace(RELEASED["ouro-1.4b"], config={**RELEASED["ouro-1.4b"].config, **SMALL["ouro-1.4b"]})
    files = [
        stream.stream_checkpoint(shape, tmp_path / str(number), seed) / "model.safetensors"
        for number, seed in enumerate((1, 1, 2))
    ]
    first, again, other = (file.read_bytes() for file in files)
    assert first == again
    assert first != other


def test_other_checkpoints_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(b"trained")
    with pytest.raises(LariatError, match="not of random weights"):
        stream.stream_checkpoint(RELEASED["ouro-1.4b"], tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == b"trained"


def test_released_sizes() -> None:
    """Weights of the shapes, in millions."""
    sizes = {name: round(shape.num_weights / 1e6) for name, shape in RELEASED.items()}
    expected = {"ouro-1.4b": 1435, "ouro-2.6b": 2668, "nanbeige-3b": 4170, "hrm-text-1b": 1448, "huginn-3.5b": 3565}
    assert sizes == expected
