# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rotary position of every kind as transformers computes it, and what a length of a sequence means."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from lariat._config import Config
from lariat._rope import Rope, read_rope
from lariat.errors import ConfigError, ImportFailure, UnsupportedError
from lariat.importer import import_checkpoint
from tests.checkpoints import SMALL_LLAMA, fixture, llama_values, verify, write
from tests.oracle.record_rope import CASES, RECORDED, by_transformers

HEAD_DIM, CONTEXT = 16, 1024


def read(values: dict[str, Any], length: int | None) -> Rope:
    config = Config(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = (values.get("rope_parameters") or values.get("rope_scaling") or {}).get
        dynamic = (kind("rope_type") or kind("type")) in ("dynamic", "longrope")
        config.rope_length = length if dynamic else None
        rope = read_rope(config, HEAD_DIM, CONTEXT)
    config.finish()
    return rope


def frequencies(rope: Rope) -> list[float]:
    """As the op defines them."""
    if rope.frequencies is not None:
        return list(rope.frequencies)
    assert rope.theta is not None
    dims = rope.dims or HEAD_DIM
    plain = [rope.theta ** (-2 * pair / dims) for pair in range(dims // 2)]
    if rope.scaling is None:
        return plain
    numbers = {key: float(value) for key, value in re.findall(r"(\w+) = ([\d.e+-]+)", rope.scaling)}
    factor = numbers["factor"]
    if "linear" in rope.scaling:
        return [one / factor for one in plain]
    low, high, original = numbers["low"], numbers["high"], numbers["original"]

    def stretch(one: float) -> float:
        blend = (original * one / (2 * math.pi) - low) / (high - low)
        return one / factor if blend <= 0 else one if blend >= 1 else (1 - blend) * one / factor + blend * one

    return [stretch(one) for one in plain]


def compare(rope: Rope, expected: list[float], factor: float) -> None:
    assert frequencies(rope) == pytest.approx(expected, rel=3e-6, abs=1e-12)
    assert (rope.magnitude or 1.0) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_frequencies_are_those_that_transformers_computed(name: str) -> None:
    recorded = json.loads(RECORDED.read_text())[name]
    compare(read(*CASES[name]), recorded["frequencies"], recorded["factor"])


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
@pytest.mark.parametrize("name", CASES)
def test_frequencies_are_those_that_transformers_computes(name: str) -> None:
    compare(read(*CASES[name]), *by_transformers(*CASES[name]))


def test_an_object_per_type_of_layer_gives_that_of_full_attention() -> None:
    nested = {"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6},
              "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}  # fmt: skip
    rope = read({"rope_parameters": nested}, None)
    assert rope == read({"rope_scaling": {"type": "linear", "factor": 4.0}, "rope_theta": 1e6}, None)
    with pytest.raises(ConfigError, match="has no object 'full_attention'"):
        read({"rope_parameters": {"sliding_attention": {"rope_theta": 1e4}}}, None)


def test_both_forms_at_once_have_to_agree() -> None:
    scaling = {"type": "linear", "factor": 4.0}
    rope = read({"rope_scaling": scaling, "rope_parameters": {"factor": 4.0, "rope_theta": 1e6}}, None)
    assert rope == read({"rope_scaling": scaling, "rope_theta": 1e6}, None)
    default = {"rope_type": "default", "rope_theta": 1e6}
    assert read({"rope_scaling": scaling, "rope_parameters": default}, None) == rope
    for other in ({"factor": 2.0}, {"rope_type": "yarn", "factor": 4.0}):
        with pytest.raises(ConfigError, match="'rope_parameters' and 'rope_scaling' differ"):
            read({"rope_scaling": scaling, "rope_parameters": other}, None)
    with pytest.raises(ConfigError, match="'rope_theta' is 10000, but 'rope_parameters.rope_theta' is 500"):
        read({"rope_theta": 1e4, "rope_parameters": {"rope_theta": 500.0}}, None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rope_scaling": {"rope_type": "axial"}}, "'rope_scaling.rope_type' is \"axial\""),
        ({"rope_scaling": {"type": "linear"}}, "'rope_scaling.factor' is missing"),
        ({"rope_scaling": {"type": "linear", "factor": 0.0}}, "'rope_scaling.factor' is 0.0, expected"),
        ({"rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [1.0] * 8}},
         "has 1 numbers, expected 8"),
        ({"partial_rotary_factor": 0.2}, "rotates 3 of 16 columns of a head"),
        ({"partial_rotary_factor": 1.5}, "'partial_rotary_factor' is 1.5, expected"),
    ],
)  # fmt: skip
def test_what_no_kind_has_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ImportFailure, match=re.escape(message)):
        read(values, None)


def longrope(**more: Any) -> dict[str, Any]:
    scaling = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
               "original_max_position_embeddings": 32}  # fmt: skip
    return llama_values(rope_scaling=scaling, rope_parameters=None, **more)


def context_of(text: str) -> int:
    found = re.search(r"context = (\d+)", text)
    assert found
    return int(found[1])


def test_longrope_takes_sequences_of_one_form(tmp_path: Path) -> None:
    path = write(tmp_path, longrope(), SMALL_LLAMA)
    with pytest.warns(UserWarning, match="up to 32 tokens, .* --rope-length 64 compiles for up to so many"):
        short = import_checkpoint(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        long = import_checkpoint(path, rope_length=64)
    assert (context_of(short), context_of(long)) == (32, 64)
    assert "frequencies = array<f64: 1.0, " in short
    assert "frequencies = array<f64: 0.5, " in long
    magnitude = math.sqrt(1 + math.log(2) / math.log(32))
    assert f"magnitude = {magnitude} : f64" in short
    verify(long)
    with pytest.raises(ConfigError, match="a length of 65 is asked for, but 'max_position_embeddings' is 64"):
        import_checkpoint(path, rope_length=65)


def test_dynamic_takes_longer_sequences_where_they_are_asked_for(tmp_path: Path) -> None:
    scaling = {"rope_type": "dynamic", "factor": 2.0}
    path = write(tmp_path, llama_values(rope_scaling=scaling, rope_parameters=None), SMALL_LLAMA)
    assert context_of(import_checkpoint(path)) == 64
    assert "theta = 10000.0" in import_checkpoint(path, rope_length=10)
    stretched = import_checkpoint(path, rope_length=256)
    assert context_of(stretched) == 256
    assert "theta" not in stretched
    verify(stretched)


def test_a_length_is_refused_where_nothing_depends_on_it(tmp_path: Path) -> None:
    path = write(tmp_path, llama_values(), SMALL_LLAMA)
    with pytest.raises(UnsupportedError, match="the frequencies of rope 'default' do not depend on it"):
        import_checkpoint(path, rope_length=64)
    with pytest.raises(ImportFailure, match="the rope length is 0, expected an integer from 1"):
        import_checkpoint(path, rope_length=0)


@pytest.mark.parametrize("name", ["ouro", "mor-expert", "rrt", "hrm", "huginn"])
def test_every_family_takes_every_kind(tmp_path: Path, name: str) -> None:
    values, shapes = fixture(name)
    values = {key: value for key, value in values.items() if not key.startswith("rope_")}
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 10000.0}
    text = import_checkpoint(
        write(tmp_path, {**values, "rope_parameters": scaling, "partial_rotary_factor": 0.5}, shapes)
    )
    assert text.count("magnitude = ") == text.count('"lariat.rope"') > 0
    assert re.search(r"dims = (16|32) : i64", text)
    verify(text)
