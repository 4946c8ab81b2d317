# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Artefacts beyond 512 MiB and 4 GiB, and what compiling them takes. Stored weights are sparse, packed ones are not."""

from __future__ import annotations

import json
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lariat
from lariat._process import find_tool
from lariat.importer import import_to_file
from tests.integration.conftest import require_tools
from tests.oracle.pieces import Array, Layer, embed, final_norm, head

WIDTH, LAYER_WIDTH = 1024, 64
MIB = 1 << 20


class SparseLlama:
    """A Llama of one layer and a huge tied embedding that is zero but for the rows in `tokens`."""

    def __init__(self, folder: Path, vocab: int) -> None:
        self.folder, self.vocab = folder, vocab
        # The first rows, those on both sides of each 2^30 packed bytes, the last ones.
        steps = range(0, vocab * WIDTH * 4, 1 << 30)
        near = {row + offset for row in (step // (WIDTH * 4) for step in steps) for offset in range(-20, 20)}
        self.tokens = sorted(row for row in near | {vocab - 1, vocab - 17} if 0 <= row < vocab)
        self.config = {
            "model_type": "llama", "vocab_size": vocab, "hidden_size": WIDTH, "num_attention_heads": 8,
            "num_key_value_heads": 1, "intermediate_size": LAYER_WIDTH, "num_hidden_layers": 1,
            "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": True,
            "hidden_act": "silu", "eos_token_id": 2,
        }  # fmt: skip
        generator = np.random.default_rng(7)
        layer = "model.layers.0."
        sizes = {
            "model.norm": (WIDTH,), f"{layer}input_layernorm": (WIDTH,), f"{layer}post_attention_layernorm": (WIDTH,),
            f"{layer}self_attn.q_proj": (WIDTH, WIDTH), f"{layer}self_attn.k_proj": (128, WIDTH),
            f"{layer}self_attn.v_proj": (128, WIDTH), f"{layer}self_attn.o_proj": (WIDTH, WIDTH),
            f"{layer}mlp.gate_proj": (LAYER_WIDTH, WIDTH), f"{layer}mlp.up_proj": (LAYER_WIDTH, WIDTH),
            f"{layer}mlp.down_proj": (WIDTH, LAYER_WIDTH),
        }  # fmt: skip
        self.weights = {f"{name}.weight": to_bf16(generator, size) for name, size in sizes.items()}
        self.rows = to_bf16(generator, (len(self.tokens), WIDTH))

    def write(self) -> None:
        self.folder.mkdir()
        (self.folder / "config.json").write_text(json.dumps(self.config))
        table = "model.embed_tokens.weight"
        header: dict[str, object] = {}
        end = 2 * self.vocab * WIDTH
        header[table] = {"dtype": "BF16", "shape": [self.vocab, WIDTH], "data_offsets": [0, end]}
        for name, value in self.weights.items():
            span = [end, end + 2 * value.size]
            header[name] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": span}
            end = span[1]
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with (self.folder / "model.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for token, row in zip(self.tokens, self.rows, strict=True):
                file.seek(8 + len(text) + 2 * token * WIDTH)
                file.write(halves(row))
            file.seek(8 + len(text) + 2 * self.vocab * WIDTH)
            for value in self.weights.values():
                file.write(halves(value))

    def logits(self, ids: list[int]) -> Array:
        """[rows, tokens], of the columns that are not zero."""
        weights = {name: value.astype(np.float64) for name, value in self.weights.items()}
        weights["model.embed_tokens.weight"] = self.rows.astype(np.float64)
        x = embed(weights, [self.tokens.index(token) for token in ids])
        x = Layer(self.config, weights, "model.layers.0.").causal_output(x)
        return head(self.config, weights, final_norm(self.config, weights, x))


def to_bf16(generator: np.random.Generator, size: tuple[int, ...]) -> Array:
    """float32 values that bf16 holds."""
    values = generator.standard_normal(size, dtype=np.float32) / np.float32(np.sqrt(size[-1]))
    return (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def halves(values: Array) -> bytes:
    return (np.ascontiguousarray(values).view(np.uint32) >> 16).astype("<u2").tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files do not stay for the next runs to find the disk full."""
    require_tools()
    yield tmp_path
    subprocess.run(["rm", "-rf", tmp_path / "model", tmp_path / "model.lariat"], check=True)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("vocab", "dtype", "at_least"),
    [
        pytest.param(160_000, "f32", 600 * MIB, id="600MiB"),
        pytest.param(1_400_000, "f32", 5120 * MIB, id="5GiB", marks=pytest.mark.long),
    ],
)
def test_compiles_opens_and_scores(folder: Path, vocab: int, dtype: str, at_least: int) -> None:
    """Logits of an artefact of that size are right, and compiling it takes little memory beside its weights."""
    model = SparseLlama(folder / "model", vocab)
    model.write()
    import_to_file(folder / "model", folder / "model.mlir")
    peak = run_and_measure(
        [find_tool("lariat-compile"), folder / "model.mlir", "-o", folder / "model.lariat", "--weights",
         folder / "model", "--dtype", dtype, "--target", "native"]
    )  # fmt: skip
    assert (folder / "model.lariat" / "weights.bin").stat().st_size >= at_least
    assert peak < 480 * MIB, f"compiling took {peak >> 20} MiB"
    ids = model.tokens[:3] + model.tokens[-3:] + model.tokens[len(model.tokens) // 2 :][:3]
    with lariat.load(folder / "model.lariat", threads=2) as session:
        found = session.score([ids])[0].logits
    expected = model.logits(ids)
    np.testing.assert_allclose(found[:, model.tokens], expected, atol=2e-5 * float(np.abs(expected).max()))
    others = np.setdiff1d(np.arange(vocab), model.tokens)
    assert not found[:, others].any()


def test_copying_weights_takes_little_memory(folder: Path) -> None:
    """The reference pipeline stores tensors in the dtype compiled for: none of them is held in memory."""
    SparseLlama(folder / "model", 160_000).write()
    import_to_file(folder / "model", folder / "model.mlir")
    peak = run_and_measure(
        [find_tool("lariat-compile"), folder / "model.mlir", "-o", folder / "model.lariat", "--weights",
         folder / "model", "--pipeline", "reference"]
    )  # fmt: skip
    assert (folder / "model.lariat" / "weights" / "model.safetensors").stat().st_size >= 600 * MIB
    assert peak < 480 * MIB, f"compiling took {peak >> 20} MiB"


def run_and_measure(command: list[str | Path]) -> int:
    """Run a command that succeeds; its peak resident set in bytes, mapped files included.

    It is started by a small process, because Linux counts what its parent had when it was forked.
    """
    script = """if True:
        import resource, subprocess, sys
        subprocess.run(sys.argv[1:], check=True)
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    """
    start = [sys.executable, "-c", script, *command]
    return int(subprocess.run(start, check=True, capture_output=True, text=True).stdout) * 1024


@pytest.mark.parametrize("pipeline", ["fast", "reference"])
def test_full_disk_leaves_nothing(folder: Path, pipeline: str) -> None:
    """A write that fails in the middle of the weights is one sentence, and no part of an artefact stays."""
    SparseLlama(folder / "model", 20_000).write()
    import_to_file(folder / "model", folder / "model.mlir")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30 * MIB, 30 * MIB))

    command = [find_tool("lariat-compile"), folder / "model.mlir", "-o", folder / "model.lariat", "--weights",
               folder / "model", "--pipeline", pipeline]  # fmt: skip
    if pipeline == "fast":
        command += ["--target", "native"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write ")
    assert done.stderr.endswith(": File too large\n")
    assert sorted(path.name for path in folder.iterdir()) == ["model", "model.mlir"]
