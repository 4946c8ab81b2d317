# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checkpoints as programs leave them: wrapped names, heads beside tied embeddings, adapters, files not fetched."""

from __future__ import annotations

import json
import re
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from numpy.typing import NDArray

from lariat._checkpoint import read_checkpoint
from lariat._names import resolve_names
from lariat.compiler import CompileOptions, compile
from lariat.errors import CheckpointError, CompileError, ConfigError, ImportFailure, UnsupportedError
from lariat.importer import import_checkpoint
from tests.checkpoints import (
    MODELS,
    SMALL_LLAMA,
    Shapes,
    fixture,
    header,
    llama_values,
    write,
    write_file,
)

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 123456\n"


def renamed(change: Callable[[str], str], shapes: Shapes = SMALL_LLAMA) -> Shapes:
    return {change(name): shape for name, shape in shapes.items()}


def without_sources(text: str) -> str:
    """IR without the names under which tensors are stored, and their directory."""
    return re.sub(r"#lariat\.source<[^>]*>|\"/[^\"]*\"", "", text)


def plain(tmp_path: Path, shapes: Shapes = SMALL_LLAMA, **more: object) -> str:
    return without_sources(import_checkpoint(write(tmp_path / "plain", llama_values(**more), shapes)))


# Names.


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name.removeprefix("model."),
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"base_model.model.{name}",
        lambda name: f"language_model.{name}",
        lambda name: name.replace("model.", "model.language_model.", 1),
        lambda name: f"model.{name}",
        lambda name: f"student.{name}",
        lambda name: name.replace(".self_attn.", "._orig_mod.self_attn."),
        lambda name: name.replace("layers.1.", "layers.1._checkpoint_wrapped_module."),
    ],
)
def test_wrapped_names_import_as_plain_ones(tmp_path: Path, change: Callable[[str], str]) -> None:
    shapes = renamed(change)
    text = import_checkpoint(write(tmp_path / "wrapped", llama_values(), shapes))
    assert without_sources(text) == plain(tmp_path)
    for name in shapes:
        assert f'"{name}"' in text


def test_a_headless_file_without_the_root_is_found(tmp_path: Path) -> None:
    shapes = {name.removeprefix("model."): shape for name, shape in SMALL_LLAMA.items() if name != "lm_head.weight"}
    import_checkpoint(write(tmp_path, llama_values(tie_word_embeddings=True), shapes))


@pytest.mark.parametrize("name", ["huginn", "mor-expert", "ouro", "rrt", "hrm"])
def test_families_without_the_root(tmp_path: Path, name: str) -> None:
    values, shapes = fixture(name)
    stored = write(tmp_path / "bare", values, renamed(lambda one: one.removeprefix("model."), shapes))
    expected = without_sources(import_checkpoint(write(tmp_path / "plain", values, shapes)))
    assert without_sources(import_checkpoint(stored)) == expected


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    shapes = {**SMALL_LLAMA, "_orig_mod.model.norm.weight": (16,)}
    message = "tensors 'model.norm.weight' and '_orig_mod.model.norm.weight' both stand for 'model.norm.weight'"
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(write(tmp_path, llama_values(), shapes))


def test_problems_name_tensors_as_stored(tmp_path: Path) -> None:
    shapes = {**renamed(lambda name: f"module.{name}"), "module.model.norm.weight": (17,)}
    with pytest.raises(CheckpointError, match=r"tensor 'module.model.norm.weight' of .* has shape \(17\)"):
        import_checkpoint(write(tmp_path, llama_values(), shapes))


def test_a_root_that_all_names_have_is_kept(tmp_path: Path) -> None:
    write_file(tmp_path / "model.safetensors", *header({"model.embed.weight": (2,), "model.layers.0.a": (2,)}))
    assert set(resolve_names(read_checkpoint(tmp_path), "model").tensors) == {"model.embed.weight", "model.layers.0.a"}


@pytest.mark.parametrize("name", ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq",
                                  "model.position_ids", "model.layers.1.attn.masked_bias"])  # fmt: skip
def test_buffers_are_passed_over(tmp_path: Path, name: str) -> None:
    import_checkpoint(write(tmp_path, llama_values(), {**SMALL_LLAMA, name: (4,)}))


# Heads.


def store(
    directory: Path, head: NDArray[numpy.float32], embedding: NDArray[numpy.float32], half_head: bool = False
) -> Path:
    """A tied Llama of zeros with these two tensors."""
    write(directory, llama_values(tie_word_embeddings=True), {})
    shapes = {name: shape for name, shape in SMALL_LLAMA.items() if name != "lm_head.weight"}
    entries, end = header(shapes)
    data = bytearray(end)
    begin, stop = entries["model.embed_tokens.weight"]["data_offsets"]
    data[begin:stop] = embedding.astype("<f4").tobytes()
    raw = head.astype("<f2" if half_head else "<f4").tobytes()
    entries["lm_head.weight"] = {
        "dtype": "F16" if half_head else "F32",
        "shape": list(head.shape),
        "data_offsets": [end, end + len(raw)],
    }
    text = json.dumps(entries).encode()
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(data) + raw)
    return directory


def test_a_head_that_differs_from_tied_embeddings_is_kept(tmp_path: Path) -> None:
    embedding = numpy.arange(32 * 16, dtype="f4").reshape(32, 16)
    head = embedding.copy()
    head[31, 15] += 1
    with pytest.warns(UserWarning, match="'lm_head.weight' differs from 'model.embed_tokens.weight', .*the stored one"):
        text = import_checkpoint(store(tmp_path / "model", head, embedding))
    assert '"lm_head.weight"' in text


@pytest.mark.parametrize("half", [False, True])
def test_a_head_that_repeats_tied_embeddings_is_not_stored_twice(tmp_path: Path, half: bool) -> None:
    embedding = numpy.arange(32 * 16, dtype="f4").reshape(32, 16)
    embedding[0, 0], embedding[0, 1] = numpy.nan, -0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = import_checkpoint(store(tmp_path / "model", embedding, embedding, half))
    assert "lm_head" not in text


def test_a_head_that_is_missing_says_that_it_is_not_tied(tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in SMALL_LLAMA.items() if name != "lm_head.weight"}
    with pytest.raises(CheckpointError, match="'lm_head.weight' is missing, .* does not tie the head to the embedding"):
        import_checkpoint(write(tmp_path, llama_values(), shapes))


# Keys of config.json.


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unsloth_version", "2024.9"), ("unsloth_fixed", True), ("pretraining_tp", 8), ("torch_dtype", "auto"),
        ("_attn_implementation_internal", None), ("axolotl_config", {"a": 1}), ("trl_version", "0.9"),
        ("temperature", 0.6), ("do_sample", True), ("use_cache", None), ("attention_dropout", None),
        ("gradient_checkpointing_kwargs", {"use_reentrant": False}), ("quantization_config", {"quant_method": "awq"}),
        ("suppress_tokens", None), ("auto_map", None), ("peft_type", "LORA"), ("base_model_name_or_path", "x/y"),
    ],
)  # fmt: skip
def test_keys_that_decide_nothing_are_passed_over(tmp_path: Path, key: str, value: object) -> None:
    text = import_checkpoint(write(tmp_path / "more", llama_values(**{key: value}), SMALL_LLAMA))
    assert without_sources(text) == plain(tmp_path)


@pytest.mark.parametrize(("key", "value"), [("is_encoder_decoder", True), ("pruned_heads", {"0": [1]})])
def test_keys_of_the_base_class_that_change_the_function_are_refused(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(UnsupportedError, match=f"'{key}' is "):
        import_checkpoint(write(tmp_path, llama_values(**{key: value}), SMALL_LLAMA))


@pytest.mark.parametrize("name", ["ouro", "mor-expert", "rrt", "hrm"])
def test_switches_that_are_off_are_passed_over(tmp_path: Path, name: str) -> None:
    values, shapes = fixture(name)
    off = {"attention_bias": False, "mlp_bias": None, "use_sliding_window": False, "sliding_window": 4096,
           "max_window_layers": 2, "layer_types": ["full_attention"] * 2}  # fmt: skip
    expected = without_sources(import_checkpoint(write(tmp_path / "plain", values, shapes)))
    assert without_sources(import_checkpoint(write(tmp_path / "more", {**values, **off}, shapes))) == expected
    with pytest.raises(UnsupportedError, match="'mlp_bias' is true; 'layer_types' is .*; 'sliding_window' is 4096"):
        on = {**off, "mlp_bias": True, "use_sliding_window": True, "layer_types": ["sliding_attention"]}
        import_checkpoint(write(tmp_path / "on", {**values, **on}, shapes))


def test_unknown_keys_are_reported_at_once_and_can_be_ignored(tmp_path: Path) -> None:
    rope = {"rope_theta": 10000.0, "spokes": 12}
    path = write(tmp_path / "m", llama_values(num_wheels=4, rope_parameters=rope, has_bell=True), SMALL_LLAMA)
    names = ["num_wheels", "has_bell", "rope_parameters.spokes"]
    with pytest.raises(ConfigError, match="are not keys of this family; --ignore-config-key NAME") as failure:
        import_checkpoint(path)
    assert all(f"'{name}' (found " in str(failure.value) for name in names)
    assert without_sources(import_checkpoint(path, ignore_config_keys=names)) == plain(tmp_path)


def test_a_key_that_decides_cannot_be_ignored(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'num_hidden_layers' decides what the model computes"):
        import_checkpoint(write(tmp_path, llama_values(), SMALL_LLAMA), ignore_config_keys=["num_hidden_layers"])


def test_ir_has_no_keys_to_ignore(tmp_path: Path) -> None:
    (tmp_path / "m.mlir").write_text("module {}")
    with pytest.raises(CompileError, match="--ignore-config-key takes a checkpoint directory"):
        compile(tmp_path / "m.mlir", tmp_path / "m.lariat", CompileOptions(ignore_config_keys=["a"]))


# Forms that are no plain checkpoint.


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("model.layers.0.mlp.up_proj.qweight", "F32"), ("model.layers.0.mlp.up_proj.weight", "I8"),
     ("model.layers.0.mlp.up_proj.weight", "F8_E4M3"), ("model.layers.0.mlp.up_proj.weight_scale_inv", "F32")],
)  # fmt: skip
def test_quantised_tensors_are_named(tmp_path: Path, name: str, dtype: str) -> None:
    write(tmp_path, llama_values(quantization_config={"quant_method": "gptq", "bits": 4}), {})
    entries = {name: {"dtype": dtype, "shape": [4], "data_offsets": [0, 16 if dtype == "F32" else 4]}}
    write_file(tmp_path / "model.safetensors", entries, 16 if dtype == "F32" else 4)
    with pytest.raises(
        UnsupportedError, match=rf"tensor '{name}' .* is quantised by gptq \({dtype}\): .* save the model"
    ):
        import_checkpoint(tmp_path)


def test_an_adapter_that_is_not_merged_is_named(tmp_path: Path) -> None:
    shapes = {**SMALL_LLAMA, "model.layers.0.mlp.up_proj.lora_A.weight": (2, 16)}
    with pytest.raises(UnsupportedError, match="lora_A.weight' .* belongs to an adapter that is not merged: merge it"):
        import_checkpoint(write(tmp_path, llama_values(), shapes))


@pytest.mark.parametrize("with_config", [False, True])
def test_an_adapter_alone_says_what_it_is(tmp_path: Path, with_config: bool) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base", "r": 8}))
    write_file(tmp_path / "adapter_model.safetensors", {}, 0)
    if with_config:
        (tmp_path / "config.json").write_text(json.dumps(llama_values()))
    with pytest.raises(
        ImportFailure, match="holds an adapter of 'org/base' and no model: merge it into its base model"
    ):
        import_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_git_lfs_pointers_are_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, llama_values(), SMALL_LLAMA)
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(ImportFailure, match=f"{name} is a git-lfs pointer, not the file itself"):
        import_checkpoint(tmp_path)


def test_all_missing_shards_are_named(tmp_path: Path) -> None:
    write(tmp_path, llama_values(), {})
    (tmp_path / "model.safetensors").unlink()
    weight_map = {name: f"model-{number}.safetensors" for number, name in enumerate(["a", "b", "c"])}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    write_file(tmp_path / "model-1.safetensors", *header({"b": (2,)}))
    message = "2 of the 3 shards of .* are missing: model-0.safetensors, model-2.safetensors"
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(tmp_path)


def test_byte_order_marks_and_python_numbers_are_read(tmp_path: Path) -> None:
    write(tmp_path / "marked", llama_values(), SMALL_LLAMA)
    text = json.dumps(llama_values(_note=float("inf"), temperature=float("nan")))
    (tmp_path / "marked" / "config.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert without_sources(import_checkpoint(tmp_path / "marked")) == plain(tmp_path)


def test_null_metadata_is_read(tmp_path: Path) -> None:
    write(tmp_path / "m", llama_values(), {})
    entries, end = header(SMALL_LLAMA)
    write_file(tmp_path / "m" / "model.safetensors", {"__metadata__": None, **entries}, end)
    import_checkpoint(tmp_path / "m")


def test_companion_files_are_checked_when_compiling(tmp_path: Path) -> None:
    path = tmp_path / "ouro"
    path.mkdir()
    for file in (MODELS / "ouro").iterdir():
        (path / file.name).symlink_to(file)
    (path / "tokenizer.json").unlink(missing_ok=True)
    (path / "tokenizer.json").write_text(POINTER)
    with pytest.raises(CompileError, match="tokenizer.json is a git-lfs pointer, not the file itself"):
        compile(path, tmp_path / "ouro.lariat", CompileOptions(target="native"))
    (path / "tokenizer.json").write_bytes(b"\xef\xbb\xbf{}")
    compile(path, tmp_path / "ouro.lariat", CompileOptions(target="native"))
    assert (tmp_path / "ouro.lariat" / "tokenizer.json").read_bytes() == b"{}"
