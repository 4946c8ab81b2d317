# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Importers: every family gives IR that lariat-opt accepts, of a size that does not grow with the loop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lariat.errors import CheckpointError, ConfigError, RuntimeFault, UnsupportedError
from lariat.importer import import_checkpoint, import_to_file
from tests.checkpoints import (
    FIXTURES,
    MODELS,
    OPT,
    SMALL_LLAMA,
    Shapes,
    Values,
    count_ops,
    fixture,
    header,
    llama_values,
    nanbeige_values,
    verify,
    write,
    write_file,
)


def imported(tmp_path: Path, values: Values, shapes: Shapes) -> str:
    """IR that lariat-opt accepts."""
    text = import_checkpoint(write(tmp_path / "model", values, shapes))
    verify(text)
    return text


@pytest.mark.parametrize("name", FIXTURES)
def test_fixture(name: str) -> None:
    text = import_checkpoint(MODELS / name)
    printed = verify(text)
    assert count_ops(text) > 50
    assert "lariat.model = #lariat.model<" in printed
    assert verify(printed) == printed


@pytest.mark.parametrize("name", FIXTURES)
def test_import_is_deterministic(name: str) -> None:
    assert import_checkpoint(MODELS / name) == import_checkpoint(str(MODELS / name))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mor-expert", ["own<missing = skip>", "[3, 2, 1] over 3", "loops<default = 3, min = 3, max = 3>"]),
        ("mor-share", ["policy = #lariat.first"]),
        ("mor-token", ["lariat.argmax", '"lariat.depth_of"']),
        ("ouro", ["own<missing = copy_last, allowed = [propagate]>", 'exit<"cumulative-hazard", never = 1.0']),
        ("rrt", ["own<missing = propagate, allowed = [copy_last]>", "model.lora.2.1.down_proj.B", "second_max"]),
        ("huginn", ["loops<default = 4, min = 1, max = 0, with_exit = 8>", '"initial_state"', "lariat.concat"]),
        ("hrm", ["rows = 192 to 384", '"scf.for"', "mask<prefix>", "depths = 8 : i64"]),
        ("albert", ['kind = "encoder"', "mask<full>", 'lariat.output = "hidden"', "rows = 0 to 1"]),
    ],
)
def test_what_the_config_decides_is_in_the_ir(name: str, words: list[str]) -> None:
    text = import_checkpoint(MODELS / name)
    for word in words:
        assert word in text


@pytest.mark.parametrize("name", FIXTURES)
def test_inputs_and_outputs_follow_the_contract(name: str) -> None:
    text = import_checkpoint(MODELS / name)
    inputs = re.findall(r'lariat.input = "(\w+)"', text)
    outputs = re.findall(r'lariat.output = "(\w+)"', text)
    exits, looped = "lariat.exit" in text, '"lariat.recur"' in text
    assert inputs[:2] == ["rows", "ids"]
    assert ("loops" in inputs) == looped == ("steps" in outputs)
    assert ("threshold" in inputs) == exits == ('"lariat.end"() : ' in text)
    assert "logits" in outputs
    assert ("hidden" in outputs) == (name == "albert")


def test_operations_name_model_part_and_importer_line() -> None:
    text = import_checkpoint(MODELS / "ouro")
    location = r'loc\("model.layers.3.mlp.down_proj"\("lariat/models/ouro.py":\d+:1\)\)'
    assert re.search(rf'"lariat.linear".*@layers.3.mlp.down_proj.* {location}', text)


def with_loops(name: str, loops: int) -> tuple[Values, Shapes]:
    """A fixture with another number of loop steps."""
    values, shapes = fixture(name)
    if name.startswith("mor"):
        values["num_recursions"] = loops
        values.pop("capacity", None)
        shapes = {key: shape for key, shape in shapes.items() if "router" not in key}
        if name == "mor-token":
            shapes |= {"model.router.weight": (loops, 192), "model.router_bias": (loops,)}
        else:
            shapes |= {f"model.routers.{depth}.weight": (1, 192) for depth in range(loops)}
    elif name == "rrt":
        values["num_loops"] = loops
        pairs = {key: shape for key, shape in shapes.items() if key.startswith("model.lora.0.")}
        shapes = {key: shape for key, shape in shapes.items() if "lora" not in key}
        for depth in range(loops):
            shapes |= {key.replace("lora.0.", f"lora.{depth}.", 1): shape for key, shape in pairs.items()}
    elif name == "hrm":
        values |= {"H_cycles": loops, "num_hidden_layers": 2 * loops * 4}
    else:
        values[{"ouro": "num_loops", "huginn": "mean_recurrence", "albert": "num_hidden_layers"}[name]] = loops
        values |= {"max_recurrence": 64} if name == "huginn" else {}
    return values, shapes


@pytest.mark.parametrize("name", FIXTURES)
def test_number_of_ops_does_not_depend_on_loops(tmp_path: Path, name: str) -> None:
    counts = {loops: count_ops(imported(tmp_path, *with_loops(name, loops))) for loops in (1, 8, 64)}
    assert len(set(counts.values())) == 1, counts


@pytest.mark.parametrize("name", FIXTURES)
def test_every_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    values, shapes = fixture(name)
    for key in shapes:
        if name == "albert" and key.startswith("predictions.") or key == "model.router_bias":
            continue
        rest = {other: shape for other, shape in shapes.items() if other != key}
        with pytest.raises(CheckpointError, match=re.escape(f"tensor '{key}' is missing, expected shape")) as failure:
            import_checkpoint(write(tmp_path / name, values, rest))
        assert " from " in str(failure.value) or "(1)" in str(failure.value)


def test_misshaped_tensor_names_key_tensor_found_and_expected(tmp_path: Path) -> None:
    values, shapes = fixture("mor-expert")
    shapes["model.layers.2.self_attn.k_proj.weight"] = (192, 192)
    with pytest.raises(CheckpointError) as failure:
        import_checkpoint(write(tmp_path, values, shapes))
    assert str(failure.value) == (
        "tensor 'model.layers.2.self_attn.k_proj.weight' of model.safetensors has shape (192, 192), "
        "expected (64, 192) from num_key_value_heads * head_dim and hidden_size"
    )


def test_all_problems_are_counted(tmp_path: Path) -> None:
    values, shapes = fixture("ouro")
    values["intermediate_size"] = 353
    with pytest.raises(CheckpointError, match=r"expected \(353, 192\) from intermediate_size .*, and 11 more problems"):
        import_checkpoint(write(tmp_path, values, shapes))


def test_leftover_tensor_is_named(tmp_path: Path) -> None:
    values, shapes = fixture("ouro")
    with pytest.raises(CheckpointError, match="tensor 'model.wheel' of model.safetensors is not used by this family"):
        import_checkpoint(write(tmp_path, values, {**shapes, "model.wheel": (3,)}))


def test_buffers_and_tied_copies_may_be_left(tmp_path: Path) -> None:
    values, shapes = fixture("mor-expert")
    shapes |= {"model.layers.0.self_attn.rotary_emb.inv_freq": (16,), "lm_head.weight": (320, 192)}
    imported(tmp_path, values, shapes)
    with pytest.raises(CheckpointError, match=r"tensor 'lm_head.weight' has shape \(319, 192\), expected \(320, 192\)"):
        imported(tmp_path, values, {**shapes, "lm_head.weight": (319, 192)})


def test_integer_tensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match="tensor 'model.embed_tokens.weight' of .* is I64, expected F32, F16, BF16"
    ):
        import_checkpoint(write(tmp_path, llama_values(), SMALL_LLAMA, "I64"))


def test_bfloat16_is_read(tmp_path: Path) -> None:
    import_checkpoint(write(tmp_path, llama_values(), SMALL_LLAMA, "BF16"))


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "theta = 10000.0"),
        ({"rope_parameters": None, "rope_theta": 5e5, "rope_scaling": None}, "theta = 500000.0"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling<linear, factor = 2.0>"),
        (
            {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
                                 "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}},
            "rope_scaling<llama3, factor = 8.0, low = 1.0, high = 4.0, original = 8192>",
        ),
        ({"num_key_value_heads": None}, "kv_heads"),
    ],
)  # fmt: skip
def test_llama_rotary_positions(tmp_path: Path, more: dict[str, Any], word: str) -> None:
    shapes = dict(SMALL_LLAMA)
    if more == {"num_key_value_heads": None}:
        shapes |= {name: (32, 16) for name in shapes if "k_proj" in name or "v_proj" in name}
        word = "heads = 4"
    assert word in imported(tmp_path, llama_values(**more), shapes)


def test_llama_with_biases_and_tied_head(tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in SMALL_LLAMA.items() if name != "lm_head.weight"}
    for name, shape in SMALL_LLAMA.items():
        if "_proj" in name:
            shapes[name.replace(".weight", ".bias")] = shape[:1]
    text = imported(tmp_path, llama_values(attention_bias=True, mlp_bias=True, tie_word_embeddings=True), shapes)
    assert text.count("bias = @") == 14
    assert "loops<default = 1, min = 1, max = 1>" in text


def test_ouro_with_the_keys_of_the_released_file(tmp_path: Path) -> None:
    values, shapes = fixture("ouro")
    for key in ("family", "num_loops", "exit_rule", "exit_thresholds", "exit_kv_policy"):
        del values[key]
    values |= {
        "architectures": ["OuroForCausalLM"], "auto_map": {"AutoConfig": "configuration_ouro.OuroConfig"},
        "total_ut_steps": 4, "early_exit_threshold": 1.0, "hidden_act": "silu", "sliding_window": None,
        "layer_types": ["full_attention"] * 4, "max_window_layers": 4, "use_sliding_window": False,
        "rope_scaling": None, "use_cache": True, "attention_dropout": 0.0, "initializer_range": 0.02,
    }  # fmt: skip
    text = imported(tmp_path, values, shapes)
    assert "own<missing = copy_last, allowed = [propagate]>" in text
    assert "high = 1.0, default = 1.0>" in text


@pytest.mark.parametrize(("policy", "word"), [("hybrid", "own<missing = slot0>"), ("recursive-sharing", "first")])
def test_mor_policies(tmp_path: Path, policy: str, word: str) -> None:
    values, shapes = fixture("mor-expert")
    assert f"policy = #lariat.{word}" in imported(tmp_path, {**values, "kv_policy": policy}, shapes)


def test_a_router_without_a_rule_declares_none(tmp_path: Path) -> None:
    values, shapes = fixture("mor-expert")
    del values["decode_threshold"]
    assert '"lariat.end"(%' in imported(tmp_path, {**values, "router_func": "tanh"}, shapes)
    assert '"lariat.end"(%' not in imported(tmp_path, {**values, "router_func": "identity"}, shapes)
    assert '"lariat.end"(%' in imported(
        tmp_path, {**values, "router_func": "identity", "decode_threshold": -2.5}, shapes
    )


def test_tensors_of_an_mlp_router(tmp_path: Path) -> None:
    values, shapes = fixture("mor-token")
    wide = {key: shape for key, shape in shapes.items() if key != "model.router.weight"}
    wide |= {"model.router.0.weight": (384, 192), "model.router.2.weight": (3, 384)}
    assert "math.erf" in imported(tmp_path, {**values, "router_arch": "wide_mlp"}, wide)
    with pytest.raises(CheckpointError, match=r"'model.router.0.weight' is missing, expected shape \(384, 192\)"):
        imported(tmp_path, {**values, "router_arch": "mlp"}, shapes)


def test_an_auxiliary_router_has_a_tensor_per_depth(tmp_path: Path) -> None:
    values, shapes = fixture("mor-expert")
    stored = shapes | {f"model.aux_routers.{depth}.weight": (1, 192) for depth in range(3)}
    assert "@aux_router" in imported(tmp_path, values, stored)
    del stored["model.aux_routers.2.weight"]
    with pytest.raises(CheckpointError, match=r"'model.aux_routers.2.weight' is missing"):
        imported(tmp_path, values, stored)


def mod_checkpoint(**more: Any) -> tuple[Values, Shapes]:
    """A small Mixture-of-Depths whose layer 1 is routed and has a predictor."""
    values = {**llama_values(model_type="mod"), "mod_layers": [1], "mod_predictor": "linear", **more}
    shapes = SMALL_LLAMA | {f"model.layers.1.mod_{part}.weight": (1, 16) for part in ("router", "predictor")}
    return values, shapes


def test_mod(tmp_path: Path) -> None:
    text = imported(tmp_path, *mod_checkpoint())
    assert "capacity<[1] over 8>" in text
    assert text.count('"lariat.top_k"') == text.count('"lariat.put"') == 1
    assert '"lariat.recur"' not in text


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mod_layers", [], "'mod_layers' is .*, expected different layer numbers below 2, ascending"),
        ("mod_layers", [1, 0], "'mod_layers' is .*, expected different layer numbers below 2, ascending"),
        ("mod_layers", [0, 0], "'mod_layers' is .*, expected different layer numbers below 2, ascending"),
        ("mod_layers", [2], "'mod_layers' is .*, expected different layer numbers below 2, ascending"),
        ("mod_capacity", "9/8", '\'mod_capacity\' is "9/8", expected a share like "1/8"'),
        ("mod_capacity", 0.125, "'mod_capacity' is 0.125, expected a share like \"1/8\""),
        ("mod_predictor", "tree", '\'mod_predictor\' is "tree", expected "linear" or "mlp" or null'),
        ("num_hidden_layers", 1, "'mod_layers' is .*, expected different layer numbers below 1"),
    ],
)
def test_mod_with_a_wrong_key(tmp_path: Path, key: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        imported(tmp_path, *mod_checkpoint(**{key: value}))


def test_mod_of_one_layer_has_to_name_it(tmp_path: Path) -> None:
    values, shapes = mod_checkpoint(num_hidden_layers=1)
    del values["mod_layers"]
    with pytest.raises(ConfigError, match="expected 'mod_layers' to name the routed layer"):
        imported(tmp_path, values, shapes)


@pytest.mark.parametrize(("skip", "norms"), [(False, 1), (True, 1)])
def test_nanbeige(tmp_path: Path, skip: bool, norms: int) -> None:
    values = nanbeige_values(
        loop_loss_weights=[], skip_loop_final_norm=skip, qk_layernorm=False, loop_middle_layers=None
    )
    text = imported(tmp_path, values, SMALL_LLAMA)
    assert "loops<default = 2, min = 1, max = 2>" in text
    assert text.count("weight = @norm") == norms
    in_loop = text.index("weight = @norm") < text.index('"lariat.next"')
    assert in_loop == (not skip)


def test_nanbeige_loop_loss_weights_overrule(tmp_path: Path) -> None:
    values = nanbeige_values(loop_loss_weights=[0.5, 0.5])
    assert "max = 3>" in imported(tmp_path, values, SMALL_LLAMA)


def test_hrm_with_split_names(tmp_path: Path) -> None:
    values, shapes = fixture("hrm")
    fused = count_ops(imported(tmp_path, values, shapes))
    split: Shapes = {}
    for name, shape in shapes.items():
        prefix = name.removesuffix(".attn.gqkv_proj.weight")
        if prefix != name:
            split |= {f"{prefix}.self_attn.{part}_proj.weight": (192, 192) for part in ("gate", "q", "k", "v")}
        elif name.endswith(".mlp.gate_up_proj.weight"):
            split |= {name.replace("gate_up", part): (384, 192) for part in ("gate", "up")}
        else:
            split[name.replace(".attn.o_proj", ".self_attn.o_proj")] = shape
    values |= {"prefix_lm": False}
    text = imported(tmp_path, values, split)
    assert "rows = " not in text
    assert "mask<prefix>" not in text
    assert count_ops(text) == fused


def raven() -> tuple[Values, Shapes]:
    """A small Huginn under the names of the released model."""
    values = {
        "model_type": "huginn_raven", "n_embd": 24, "n_heads": 3, "intermediate_size": 40, "vocab_size": 30,
        "padded_vocab_size": 32, "block_size": 64, "n_layers_in_prelude": 1, "n_layers_in_recurrent_block": 2,
        "n_layers_in_coda": 1, "mean_recurrence": 32, "rope_base": 50000, "norm_eps": 1e-6, "qk_bias": True,
        "tie_embeddings": True, "injection_type": "linear", "state_init": "like-init", "bos_token_id": 4,
        "eos_token_id": [5, 8], "pad_token_id": 9, "torch_dtype": "float32", "block_class_name": "SandwichBlock",
        "init_values": {"std": 0.1, "out_proj": 0.1, "embedding": 0.1, "embed_scale": 4.9}, "bias": False,
    }  # fmt: skip
    shapes: Shapes = {"transformer.wte.weight": (32, 24), "transformer.ln_f.weight": (24,),
                      "transformer.adapter.weight": (24, 48), "freqs_cis": (1, 64, 1, 4, 2)}  # fmt: skip
    for layer in ("prelude.0", "core_block.0", "core_block.1", "coda.0"):
        prefix = f"transformer.{layer}"
        shapes |= {f"{prefix}.norm_{index}.weight": (24,) for index in (1, 2, 3, 4)}
        shapes |= {f"{prefix}.attn.Wqkv.weight": (72, 24), f"{prefix}.attn.qk_bias": (2, 1, 3, 8),
                   f"{prefix}.attn.proj.weight": (24, 24), f"{prefix}.mlp.fc.weight": (80, 24),
                   f"{prefix}.mlp.proj.weight": (24, 40)}  # fmt: skip
    return values, shapes


def test_huginn_as_released(tmp_path: Path) -> None:
    text = imported(tmp_path, *raven())
    for word in ("rows = 24 to 48", "rows = 1 to 2, reshape", "rope_style interleaved", "rows = 40 to 80", "vocab = 32",
                 "with_exit = 32>", "eos = [5, 8]"):  # fmt: skip
        assert word in text
    values, shapes = fixture("huginn")
    assert count_ops(text) > count_ops(import_checkpoint(write(tmp_path / "other", values, shapes)))


def retrofit() -> tuple[Values, Shapes]:
    """The same with layers of a Llama, whose queries are grouped."""
    values, shapes = raven()
    values |= {"num_key_value_heads": 1, "head_dim": 8, "qk_bias": False, "tie_embeddings": False,
               "max_position_embeddings": 128, "rope_theta": 500000.0}  # fmt: skip
    kept = {
        name: shape for name, shape in shapes.items() if not name.endswith(("norm_3.weight", "norm_4.weight", "bias"))
    }
    for name in kept:
        if name.endswith("Wqkv.weight"):
            kept[name] = (40, 24)
    return values, {**kept, "lm_head.weight": (32, 24)}


def test_huginn_made_from_layers_of_a_llama(tmp_path: Path) -> None:
    text = imported(tmp_path, *retrofit())
    for word in ("rows = 0 to 24", "rows = 24 to 32", "rows = 32 to 40", "theta = 500000.0", "rope_style half",
                 "context = 128"):  # fmt: skip
        assert word in text
    assert "bias" not in text


def test_a_bias_of_grouped_queries_is_not_built(tmp_path: Path) -> None:
    values, shapes = retrofit()
    with pytest.raises(UnsupportedError, match="'qk_bias' is true with 'num_key_value_heads' 1"):
        imported(tmp_path, {**values, "qk_bias": True}, shapes)


def test_albert_without_prefix_and_head(tmp_path: Path) -> None:
    values, shapes = fixture("albert")
    bare = {name.removeprefix("albert."): shape for name, shape in shapes.items() if name.startswith("albert.")}
    text = imported(tmp_path, values, {**bare, "pooler.weight": (224, 224), "pooler.bias": (224,)})
    assert re.findall(r'lariat.output = "(\w+)"', text) == ["hidden", "steps"]


def test_albert_with_groups_of_two_layers(tmp_path: Path) -> None:
    values, shapes = fixture("albert")
    values |= {"num_hidden_groups": 3, "inner_group_num": 2}
    grouped: Shapes = {}
    for name, shape in shapes.items():
        if "groups.0" not in name:
            grouped[name] = shape
            continue
        for group in range(3):
            for layer in range(2):
                path = name.replace("groups.0", f"groups.{group}").replace("layers.0", f"layers.{layer}")
                grouped[path] = shape
    text = imported(tmp_path, values, grouped)
    keys = re.findall(r"albert_layer_groups.(\d).albert_layers.1.ffn.weight", text.split("ffn.weight")[0] + text)
    assert keys[:6] == ["0", "0", "1", "1", "2", "2"]


def test_import_to_file(tmp_path: Path) -> None:
    if not OPT.exists():
        pytest.skip("lariat-opt is not built")
    import_to_file(MODELS / "mor-token", tmp_path / "m.mlir")
    text = (tmp_path / "m.mlir").read_text()
    assert "lariat.recur max(" in text
    assert "lariat/models/mor.py" in text
    assert [path.name for path in tmp_path.iterdir()] == ["m.mlir"]


def test_import_to_file_says_what_stands_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARIAT_BIN_DIR", str(tmp_path))
    with pytest.raises(RuntimeFault, match="cannot run .*lariat-opt: it is not there"):
        import_to_file(MODELS / "ouro", tmp_path / "m.mlir")
    assert not (tmp_path / "m.mlir").exists()


def test_headers_without_tensors(tmp_path: Path) -> None:
    write(tmp_path, llama_values(), {})
    write_file(tmp_path / "model.safetensors", *header({}))
    with pytest.raises(CheckpointError, match="tensor 'model.embed_tokens.weight' is missing.*, and 20 more problems"):
        import_checkpoint(tmp_path)
