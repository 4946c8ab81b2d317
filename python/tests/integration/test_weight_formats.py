# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Formats of weights: rules round what they name, IR says so, and whoever reads the IR gets the same weights."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lariat
from lariat._terminal import describe
from lariat.importer import import_text
from tests.integration.fixtures import NAMES, Fixture, generate_options, score_options
from tests.oracle.pieces import Array
from tests.oracle.tensors import from_bf16, read_tensors, to_bf16, write_tensors

# By the names of the bundled models' weights and tensors.
FFN = re.compile(r"\.(mlp|ffn|ffn_output)\.|lora(\.\d+)+\.(gate|up|down)_proj")
MIXED = "ffn=bf16,@lm_head=f16,head=f32"
# What rounds values to a format.
ROUNDED: dict[str, Callable[[Array], Array]] = {
    "bf16": lambda values: from_bf16(to_bf16(values)),
    "f16": lambda values: values.astype("<f2").astype("<f4"),
}


def compile_model(source: Path, output: Path, pipeline: str = "fast", **options: object) -> Path:
    target = "native" if pipeline == "fast" else None
    lariat.compile(source, output, lariat.CompileOptions(pipeline=pipeline, target=target, **options))  # type: ignore[arg-type]
    return output


def round_by_hand(model: Path, folder: Path, named: Callable[[str], bool], dtype: str) -> Path:
    """The checkpoint, still in f32, whose tensors of these names hold values of a format."""
    shutil.copytree(model, folder)
    tensors = read_tensors(model / "model.safetensors")
    write_tensors(
        folder / "model.safetensors",
        {name: ROUNDED[dtype](value) if named(name) else value for name, value in tensors.items()},
    )
    return folder


def files_of(artefact: Path) -> dict[str, bytes]:
    return {path.relative_to(artefact).as_posix(): path.read_bytes() for path in artefact.rglob("*") if path.is_file()}


def rounded_weights(artefact: Path) -> set[str]:
    """Weights that the IR of an artefact declares as other than f32."""
    text = (artefact / "model.mlir").read_text()
    return set(re.findall(r"lariat\.weight @(\S+) :[^\n]* stored <(?:bf16|f16)>", text))


@pytest.mark.parametrize("dtype", ROUNDED)
@pytest.mark.parametrize("name", ["ouro", "rrt"])
def test_ffn_rule_equals_rounding_by_hand(tmp_path: Path, name: str, dtype: str) -> None:
    """Bit for bit, though panels of one are narrow and of the other f32."""
    fixture = Fixture.load(name)
    by_hand = round_by_hand(fixture.path, tmp_path / "model", lambda tensor: bool(FFN.search(tensor)), dtype)
    by_rule = compile_model(fixture.path, tmp_path / "rule.lariat", dtype=f"ffn={dtype}")
    expected = compile_model(by_hand, tmp_path / "hand.lariat")
    plain = compile_model(fixture.path, tmp_path / "plain.lariat")
    case = next(case for case in fixture.cases() if len(fixture.ids(case)) > 8)
    rule = fixture.rules(case)[0]
    logits = []
    for artefact in (by_rule, expected, plain):
        with lariat.load(artefact, threads=1) as session:
            scored = session.score([fixture.ids(case)], score_options(rule))[0]
            made = session.generate([fixture.ids(case)[:5]], generate_options(rule, 6))[0]
            logits.append((scored.logits, made.tokens))
    np.testing.assert_array_equal(logits[0][0].view(np.uint32), logits[1][0].view(np.uint32))
    np.testing.assert_array_equal(logits[0][1], logits[1][1])
    assert not np.array_equal(logits[0][0], logits[2][0])
    small, large = ((path / "weights.bin").stat().st_size for path in (by_rule, expected))
    assert small < large


@pytest.mark.parametrize("name", NAMES)
def test_ffn_of_every_family_is_found_by_its_use(tmp_path: Path, name: str) -> None:
    fixture = Fixture.load(name)
    artefact = compile_model(fixture.path, tmp_path / "m.lariat", dtype="ffn=bf16", pipeline="reference")
    declared = set(re.findall(r"lariat\.weight @(\S+) :", (artefact / "model.mlir").read_text()))
    assert rounded_weights(artefact) == {weight for weight in declared if FFN.search(f".{weight}.")}


@pytest.mark.parametrize("pipeline", ["fast", "reference"])
@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16", MIXED])
def test_model_of_an_artefact_compiles_to_the_same_artefact(tmp_path: Path, dtype: str, pipeline: str) -> None:
    fixture = Fixture.load("ouro")
    first = compile_model(fixture.path, tmp_path / "first.lariat", dtype=dtype, pipeline=pipeline)
    weights = None if pipeline == "reference" else fixture.path
    source = tmp_path / "copy" / "model.mlir"
    shutil.copytree(first, source.parent)
    second = compile_model(source, tmp_path / "second.lariat", weights=weights, pipeline=pipeline)
    expected, found = files_of(first), files_of(second)
    tokenizers = {name for name in expected if name.startswith("tokenizer") or name == "generation_config.json"}
    if pipeline == "reference":  # whose weights lie apart from the texts of the checkpoint
        for name in {*tokenizers, "manifest.json", "manifest.sha256"}:
            expected.pop(name, None), found.pop(name, None)
    assert found == expected


def test_reference_artefact_gives_the_fast_one_its_weights(tmp_path: Path) -> None:
    """What it stores, read by its IR, packs to the bytes that the checkpoint packs to."""
    fixture = Fixture.load("mor-expert")
    rules = "ffn=bf16,@layers.0.*=f16,*=f32"
    stored = compile_model(fixture.path, tmp_path / "stored.lariat", dtype=rules, pipeline="reference")
    again = compile_model(stored / "model.mlir", tmp_path / "again.lariat")
    direct = compile_model(fixture.path, tmp_path / "direct.lariat", dtype=rules)
    assert rounded_weights(again) == rounded_weights(direct) != set()
    assert (again / "weights.bin").read_bytes() == (direct / "weights.bin").read_bytes()


@pytest.mark.parametrize("dtype", ROUNDED)
def test_reference_path_runs_rounded_weights(tmp_path: Path, dtype: str) -> None:
    """A model rounded by a rule gives, on the reference path, the bits of one rounded by hand."""
    fixture = Fixture.load("ouro")
    by_hand = round_by_hand(fixture.path, tmp_path / "model", lambda tensor: bool(FFN.search(tensor)), dtype)
    by_rule = compile_model(fixture.path, tmp_path / "rule.lariat", dtype=f"ffn={dtype}", pipeline="reference")
    expected = compile_model(by_hand, tmp_path / "hand.lariat", pipeline="reference")
    case = next(case for case in fixture.cases() if len(fixture.ids(case)) > 8)
    rows = []
    for artefact in (by_rule, expected):
        with lariat.load(artefact) as session:
            rows.append(session.score([fixture.ids(case)[:9]])[0].logits)
    np.testing.assert_array_equal(rows[0].view(np.uint32), rows[1].view(np.uint32))


def test_fast_and_reference_path_agree_in_f16(tmp_path: Path) -> None:
    fixture = Fixture.load("mor-expert")
    case = next(case for case in fixture.cases() if len(fixture.ids(case)) > 8)
    rows = []
    for pipeline in ("fast", "reference"):
        artefact = compile_model(fixture.path, tmp_path / f"{pipeline}.lariat", dtype="f16", pipeline=pipeline)
        with lariat.load(artefact) as session:
            rows.append(session.score([fixture.ids(case)])[0].logits)
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pipeline", ["fast", "reference"])
def test_weights_beyond_the_range_of_f16_are_refused(tmp_path: Path, pipeline: str) -> None:
    fixture = Fixture.load("ouro")
    model = tmp_path / "model"
    shutil.copytree(fixture.path, model)
    tensors = read_tensors(model / "model.safetensors")
    name = next(name for name in tensors if FFN.search(name))
    tensors[name] = tensors[name].copy()
    tensors[name].flat[3] = 70000
    write_tensors(model / "model.safetensors", tensors)
    with pytest.raises(lariat.CompileError, match="holds a value of size 70000, which is beyond the range of f16"):
        compile_model(model, tmp_path / "m.lariat", dtype="f16", pipeline=pipeline)
    assert list(tmp_path.iterdir()) == [model]


def test_declared_formats_stay_unless_a_rule_is_given(tmp_path: Path) -> None:
    fixture = Fixture.load("ouro")
    source = tmp_path / "m.mlir"
    text = import_text(fixture.path)
    source.write_text(re.sub(r"(lariat\.weight @embed_tokens : \S+)", r"\1 stored <bf16>", text))
    kept = compile_model(source, tmp_path / "kept.lariat", weights=fixture.path)
    assert rounded_weights(kept) == {"embed_tokens"}
    plain = compile_model(source, tmp_path / "plain.lariat", weights=fixture.path, dtype="f32")
    assert rounded_weights(plain) == set()


def test_info_says_formats(tmp_path: Path) -> None:
    fixture = Fixture.load("ouro")
    for dtype, shown in (
        ("bf16", "bf16"),
        ("f16", "f16"),
        ("f32", "f32"),
        ("ffn=bf16", r"f32 \(\d+ weights\), bf16 \(12 weights\)"),
    ):
        artefact = compile_model(fixture.path, tmp_path / f"{dtype[:3]}.lariat", dtype=dtype, pipeline="reference")
        line = next(line for line in describe(lariat.Artefact.open(artefact)) if line.startswith("dtype"))
        assert re.fullmatch(rf"dtype\s+{shown}, KV f32", line)


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ("int8", "option --dtype: 'int8' is no format of weights, expected f32, bf16 or f16"),
        ("mlp=bf16", "option --dtype: rule 'mlp=bf16' is for 'mlp', expected embed, head, attention, ffn, norm, other"),
        ("@nothing=bf16", "rule '@nothing=bf16' is for no weight of the model"),
    ],
)
def test_refusals(tmp_path: Path, dtype: str, message: str) -> None:
    with pytest.raises(lariat.CompileError, match=re.escape(message)):
        compile_model(Fixture.load("ouro").path, tmp_path / "m.lariat", dtype=dtype)
    assert not list(tmp_path.iterdir())
