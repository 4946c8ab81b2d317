# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""config.json: every key of every fixture with wrong types and values, unknown and missing keys, inconsistent ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lariat._config_keys import decides_nothing
from lariat.errors import CheckpointError, ConfigError, ImportFailure, LariatError, UnsupportedError
from lariat.importer import FAMILIES, import_checkpoint
from tests.checkpoints import FIXTURES, SMALL_LLAMA, fixture, nanbeige_values, write

CASES = [(name, key) for name in FIXTURES for key in fixture(name)[0]]
# `initializer_range` scales the embedding where nothing else does.
DECIDING = [(name, key) for name, key in CASES if key != "initializer_range" and not decides_nothing(key)]
STRANGE: list[Any] = [None, True, -1, 0, 3, 10**400, 2**31, 1.5, float("nan"), float("inf"), "x", "", [], [None], {}]


def changed(tmp_path: Path, name: str, key: str, value: object) -> str:
    """Import a fixture with one key changed."""
    values, shapes = fixture(name)
    return import_checkpoint(write(tmp_path / name, {**values, key: value}, shapes))


def wrong_type(value: object) -> object:
    return 5 if isinstance(value, str) else "x"


@pytest.mark.parametrize(("name", "key"), DECIDING)
def test_wrong_type_names_the_key(tmp_path: Path, name: str, key: str) -> None:
    value = wrong_type(fixture(name)[0][key])
    with pytest.raises(ImportFailure, match=f"'{key}' is {json.dumps(value)}, expected|'{key}'") as failure:
        changed(tmp_path, name, key, value)
    assert "\n" not in str(failure.value)
    assert json.dumps(value) in str(failure.value)


@pytest.mark.parametrize(("name", "key"), CASES)
def test_strange_values_are_imported_or_refused(tmp_path: Path, name: str, key: str) -> None:
    for value in STRANGE:
        try:
            changed(tmp_path, name, key, value)
        except LariatError as failure:
            assert "\n" not in str(failure)


@pytest.mark.parametrize(("name", "key"), CASES)
def test_missing_key_is_named_or_has_a_default(tmp_path: Path, name: str, key: str) -> None:
    values, shapes = fixture(name)
    del values[key]
    try:
        import_checkpoint(write(tmp_path / name, values, shapes))
    except ConfigError as failure:
        assert key in str(failure)
    except CheckpointError as failure:
        assert "tensor '" in str(failure)


@pytest.mark.parametrize("name", FIXTURES)
def test_unknown_key(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"'num_wheels' is not a key of this family, found 4"):
        changed(tmp_path, name, "num_wheels", 4)


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("mor-expert", "num_key_value_heads", 4, "'num_attention_heads' is 6, expected a multiple .*, 4"),
        ("mor-expert", "head_dim", 31, "'head_dim' is 31, expected an even number"),
        ("mor-expert", "capacity", ["3/3", "2/3"], "'capacity' is .*, expected 3 shares from"),
        ("mor-expert", "capacity", ["3/3", "2/3", "4/3"], "'capacity' is .*, expected a list of shares"),
        ("mor-expert", "capacity", ["3/3", "2/3", "1/0"], "'capacity' is .*, expected a list of shares"),
        ("mor-expert", "decode_threshold", 1.0, "'decode_threshold' is 1.0, expected a number between 0 and 1"),
        ("mor-expert", "kv_policy", "none", '\'kv_policy\' is "none", expected "recursion-wise" or'),
        ("mor-expert", "router_type", "both", "'router_type' is \"both\", expected"),
        ("mor-expert", "num_recursions", 5000, "is 5000, expected an integer from 1 to 4096"),
        ("mor-expert", "eos_token_id", 320, "'eos_token_id' is 320, expected an id below 320 from vocab_size"),
        ("mor-expert", "rope_theta", -1.0, "'rope_theta' is -1.0, expected a number above 0"),
        ("mor-token", "router_func", "relu", '\'router_func\' is "relu", expected "softmax" or "sigmoid" or'),
        ("mor-expert", "router_func", "softmax", '\'router_func\' is "softmax", expected "sigmoid" or "tanh" or'),
        ("mor-expert", "router_arch", "moe", '\'router_arch\' is "moe", expected "linear" or "mlp" or "wide_mlp"'),
        ("mor-expert", "gating", "none", '\'gating\' is "none", expected "weighted" or "additive"'),
        ("mor-expert", "router_temperature", 0, "'router_temperature' is 0, expected a number above 0"),
        ("mor-token", "capacity", ["3/3"], "'capacity' is not a key of this family"),
        ("ouro", "exit_kv_policy", "skip", '\'exit_kv_policy\' is "skip", expected "copy-last" or "propagate"'),
        ("ouro", "exit_rule", "margin", '\'exit_rule\' is "margin", expected "cumulative-hazard"'),
        ("ouro", "family", "mor", '\'family\' is "mor", expected "ouro"'),
        ("hrm", "num_hidden_layers", 15, "'num_hidden_layers' is 15, expected 16, which is"),
        ("hrm", "rope_parameters", {"rope_theta": "x"}, "'rope_parameters.rope_theta' is \"x\", expected a number"),
        ("hrm", "rope_parameters", {"wheels": 4}, "'rope_parameters.wheels' is not a key"),
        ("albert", "num_attention_heads", 5, "'num_attention_heads' is 5, expected a divisor of 'hidden_size', 224"),
        ("albert", "num_hidden_groups", 7, "'num_hidden_groups' is 7, expected at most 6"),
        ("huginn", "max_recurrence", 0, "'max_recurrence' is 0, expected an integer from 1"),
    ],
)
def test_inconsistent_value(tmp_path: Path, name: str, key: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        changed(tmp_path, name, key, value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "config.json is not JSON at line 1, column 2"),
        (b"[1]", "config.json holds a list, expected an object"),
        (b"\xff\xfe", "config.json is not UTF-8 at byte 0"),
        (b"{}", "config.json: 'model_type' is missing, expected a string"),
        (b'{"model_type": 3}', "'model_type' is 3, expected a string"),
        (b'{"model_type": "bert"}', "'model_type' is \"bert\", expected one of albert, hrm_text"),
        (b'{"model_type": "mor", "model_type": "mor"}', "has the key 'model_type' twice"),
    ],
)
def test_config_that_is_none(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ImportFailure, match=message):
        import_checkpoint(tmp_path)


def test_every_unsupported_option_is_listed(tmp_path: Path) -> None:
    values = nanbeige_values(qk_layernorm=True, enable_mhc=True, emb_neighbor_num=3, hidden_act="relu",
                             rope_scaling={"rope_type": "axial", "factor": 2.0})  # fmt: skip
    with pytest.raises(UnsupportedError) as failure:
        import_checkpoint(write(tmp_path, values, SMALL_LLAMA))
    nodes = failure.value.nodes
    assert len(nodes) == 5
    for key in ("qk_layernorm", "enable_mhc", "emb_neighbor_num", "hidden_act", "rope_scaling.rope_type"):
        assert any(f"'{key}' is" in node for node in nodes), key
        assert key in str(failure.value)


@pytest.mark.parametrize("sliding_window", [4, 4096])
def test_ouro_with_a_window_is_unsupported(tmp_path: Path, sliding_window: int) -> None:
    with pytest.raises(UnsupportedError, match=f"'sliding_window' is {sliding_window}"):
        changed(tmp_path, "ouro", "sliding_window", sliding_window)


def test_every_family_has_a_module() -> None:
    assert set(FAMILIES.values()) == {"albert", "hrm_text", "huginn", "llama", "mod", "mor", "nanbeige", "ouro", "rrt"}
