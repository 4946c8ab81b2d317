# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Requests, IR and output paths that are refused, through the real command.

What the importer and the command refuse by themselves is tested beside them, without compiled tools; here the whole way
is run, so that a build with sanitizers sees everything that reaches compiled code.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from tests.checkpoints import MODELS
from tests.command import Command
from tests.integration.damage import CHECKPOINT, DAMAGES, content, refused, refused_over_old

# --- requests -------------------------------------------------------------------------------------------------------

DECODER_CALLS = {"score": ["score"], "generate": ["generate", "--max-new-tokens", 2]}


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "the batch has no sequences"),
        ([[]], "sequence 0 has no tokens"),
        ([[1], []], "sequence 1 has no tokens"),
        ([[320]], "token 0 of sequence 0 is 320, expected 0 to 319"),
        ([[1], [2, 2**31 - 1]], "token 1 of sequence 1 is 2147483647, expected 0 to 319"),
        ([[-1]], "-1"),
        ([[2**31]], "2147483648"),
        ([[2**63]], "9223372036854775808"),
        ([[10**30]], "1" + "0" * 30),
        ([[1.5]], "a fraction"),
        ([["1"]], "a string"),
        ([[None]], "null"),
        ([[[1]]], "a list"),
        ([{}], "an object"),
        ([1], "a number"),
        ([[1] * 513], "sequence 0 has 513 tokens"),
        ([[1], [1] * 100_000], "sequence 1 has 100000 tokens"),
    ],
    ids=lambda value: "" if isinstance(value, list) else None,
)
@pytest.mark.parametrize("call", [*DECODER_CALLS, "encode"])
def test_token_lists(lariat: Command, call: str, tokens: object, message: str) -> None:
    (lariat.folder / "bad.json").write_text(json.dumps(tokens))
    artefact = "albert.lariat" if call == "encode" else "ouro.lariat"
    command = DECODER_CALLS.get(call, [call])
    assert message in refused_over_old(lariat, *command, artefact, "--tokens", "bad.json", output="out")


@pytest.mark.parametrize(
    ("length", "new", "fits"),
    [(512, 2, False), (512, 1, True), (510, 4, False), (1, 513, False), (1, 2**31 - 1, False)],
)
def test_generated_tokens_have_to_fit_the_context(lariat: Command, length: int, new: int, fits: bool) -> None:
    (lariat.folder / "long.json").write_text(json.dumps([[1] * length]))
    arguments = ("generate", "ouro.lariat", "--tokens", "long.json", "--max-new-tokens", new)
    if fits:
        lariat.ok(*arguments, "-o", "out")
    else:
        assert f"sequence 0 has {length} tokens" in refused_over_old(lariat, *arguments, output="out")


def test_a_prompt_has_to_fit_the_context(lariat: Command) -> None:
    message = lariat.fails("generate", "ouro.lariat", "--prompt", "x" * 600, "--max-new-tokens", 1)
    assert "sequence 0 has 600 tokens" in message


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("ouro", ["--loops", 0], "0 loop steps are asked for, but the model takes 1 to 4"),
        ("ouro", ["--loops", 5], "5 loop steps are asked for, but the model takes 1 to 4"),
        ("ouro", ["--loops", 2**31 - 1], "2147483647 loop steps"),
        ("ouro", ["--loops", -1], "-1 is not from 0"),
        ("ouro", ["--loops", 2**31], "2147483648 is not from 0"),
        ("huginn", ["--loops", 0], "0 loop steps"),
        ("mor-share", ["--loops", 2], "the loop count of this model is not free"),
        ("hrm", ["--loops", 1], "the loop count of this model is not free"),
        ("mor-share", ["--exit-threshold", 0.5], "the model declares no exit rule"),
        ("hrm", ["--exit-threshold", 0.5], "the model declares no exit rule"),
        ("ouro", ["--exit-threshold", 1.01], "the exit threshold is 1.01, but the rule 'cumulative-hazard' takes 0 to"),
        ("ouro", ["--exit-threshold", -0.01], "the exit threshold is -0.01"),
        ("ouro", ["--exit-threshold", 1e300], "the exit threshold is 1"),
        ("ouro", ["--exit-threshold", "inf"], "'inf' is not a finite number"),
        ("ouro", ["--exit-threshold", "nan"], "'nan' is not a finite number"),
        ("ouro", ["--exit-threshold", "1e999"], "'1e999' is not a finite number"),
        ("huginn", ["--exit-threshold", -1], "the exit threshold is -1"),
        ("ouro", ["--missing", "skip"], "'skip' is not one the model allows: copy_last, propagate, compute"),
        ("ouro", ["--missing", "somehow"], "'somehow' is not one the model allows"),
        ("ouro", ["--missing", ""], "is not one the model allows"),
        ("mor-share", ["--missing", "copy_last"], "'copy_last' is not one the model allows"),
        ("ouro", ["--prefix", 1], "the model has no prefix mask"),
        ("mor-share", ["--prefix", 1], "the model has no prefix mask"),
        ("hrm", ["--prefix", -1], "-1 is not from 0"),
        ("albert", [], "encode"),
    ],
)
@pytest.mark.parametrize("call", DECODER_CALLS)
def test_options_that_the_model_does_not_allow(
    lariat: Command, call: str, model: str, options: list[object], message: str
) -> None:
    # A value that starts with a minus needs the equals sign.
    written = [f"{options[0]}={options[1]}"] if options else []
    arguments = (*DECODER_CALLS[call], f"{model}.lariat", "--tokens", "in.json", *written)
    assert message in refused_over_old(lariat, *arguments, output="out")


@pytest.mark.parametrize(
    ("model", "capacity", "message"),
    [
        ("mor-share", "1,0.5", "a capacity of 2 shares is given, but the router of the model has 3 depths"),
        ("mor-share", "1,2,1", "the capacity of depth 1 is 2/1, expected a share above 0 and at most 1"),
        ("mor-share", "1,,1", "the capacity of depth 1 is '', expected a share such as 2/3"),
        ("mor-share", "1,1,x", "the capacity of depth 2 is 'x', expected a share such as 2/3"),
        ("ouro", "1,1,1,1", "a capacity is given, but the model has no router that takes one"),
    ],
)
def test_capacities_that_the_model_does_not_have(lariat: Command, model: str, capacity: str, message: str) -> None:
    arguments = ("score", f"{model}.lariat", "--tokens", "in.json", "--capacity", capacity)
    assert message in refused_over_old(lariat, *arguments, output="out")


def test_a_capacity_goes_with_mode_score_only(lariat: Command) -> None:
    arguments = ("score", "mor-share.lariat", "--tokens", "in.json", "--capacity", "1,1,1")
    lariat.ok(*arguments, "-o", "scores")
    message = refused_over_old(lariat, *arguments, "--mode", "generate", output="out")
    assert "in mode generate the decode rule decides, not a capacity" in message


def test_more_loops_than_memory(lariat: Command) -> None:
    """Huginn sets no limit; the entries that were asked for do not fit any machine."""
    (lariat.folder / "long.json").write_text(json.dumps([[1] * 500]))
    for call in DECODER_CALLS.values():
        arguments = (*call, "huginn.lariat", "--tokens", "long.json", "--loops", 2**31 - 1)
        assert "2147483647 loop steps" in refused_over_old(lariat, *arguments, output="out")
        (lariat.folder / "out").unlink()


@pytest.mark.parametrize("model", ["ouro", "hrm"])
def test_encoding_with_a_decoder(lariat: Command, model: str) -> None:
    refused_over_old(lariat, "encode", f"{model}.lariat", "--tokens", "in.json", output="out")


@pytest.mark.parametrize("new", [0, -1, 2**31, "x"])
def test_number_of_new_tokens(lariat: Command, new: object) -> None:
    arguments = ("generate", "ouro.lariat", "--tokens", "in.json", f"--max-new-tokens={new}")
    assert "--max-new-tokens" in refused_over_old(lariat, *arguments, output="out")


def write_states(path: Path, **states: Any) -> None:
    safetensors.numpy.save_file({name.replace("_", "."): value for name, value in states.items()}, path)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({"state_0": np.zeros((2, 191), np.float32)}, "has shape [2, 191], expected [2, 192]"),
        ({"state_0": np.zeros((3, 192), np.float32)}, "has shape [3, 192], expected [2, 192]"),
        ({"state_0": np.zeros((384,), np.float32)}, "has shape [384], expected [2, 192]"),
        ({"state_0": np.zeros((0, 192), np.float32)}, "has shape [0, 192], expected [2, 192]"),
        ({"state_0": np.zeros((2, 192), np.float64)}, "has type F64, expected F32"),
        ({"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}, "has no tensor 'state.0'"),
        ({}, "has no tensor 'state.0'"),
    ],
    ids=["columns", "rows", "rank", "no-rows", "dtype", "names", "empty"],
)
def test_initial_states(lariat: Command, states: dict[str, Any], message: str) -> None:
    write_states(lariat.folder / "state.safetensors", **states)
    arguments = ("score", "huginn.lariat", "--tokens", "in.json", "--initial-state", "state.safetensors")
    assert message in refused_over_old(lariat, *arguments, output="out")


@pytest.mark.parametrize("name", ["empty", "header-cut", "data-cut", "overlapping", "huge-shape", "deep"])
def test_damaged_initial_state(lariat: Command, name: str) -> None:
    (lariat.folder / "bad.safetensors").write_bytes(DAMAGES[name]((CHECKPOINT / "model.safetensors").read_bytes()))
    arguments = ("score", "huginn.lariat", "--tokens", "in.json", "--initial-state", "bad.safetensors")
    assert "bad.safetensors" in refused_over_old(lariat, *arguments, output="out")


def test_initial_state_that_is_none(lariat: Command) -> None:
    for path in ("absent", "huginn.lariat"):
        arguments = ("score", "huginn.lariat", "--tokens", "in.json", "--initial-state", path)
        assert path in refused(lariat, *arguments, output="out")
    write_states(lariat.folder / "state", state_0=np.zeros((2, 192), np.float32))
    arguments = ("score", "ouro.lariat", "--tokens", "in.json", "--initial-state", "state")
    assert "the model takes none" in refused(lariat, *arguments, output="out")


# --- IR -------------------------------------------------------------------------------------------------------------


def replaced(before: str, after: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert re.search(before, text), before
        return re.sub(before, after, text)

    return change


POLICY = r"policy\(#lariat\.own<[^>]*>\)"

HUGE = "tensor<99999x99999xf32>"

BROKEN_IR: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "", ""),
    "bytes": (lambda text: "\0\1\2", ""),
    "prose": (lambda text: "once upon a time", ""),
    "cut": (lambda text: text[: len(text) // 2], "broken.mlir:"),
    "bytecode": (lambda text: "ML\xefR", ""),
    "unknown op": (replaced(r"lariat\.recur ", "lariat.recurse "), "broken.mlir:"),
    "unknown attribute": (replaced(r"#lariat\.own<", "#lariat.mine<"), "broken.mlir:"),
    "unknown weight": (replaced(r"weight @embed_tokens :", "weight @embedding :"), "embed_tokens"),
    "unknown cache": (replaced(r"lariat\.cache @kv ", "lariat.cache @vk "), "kv"),
    "no forward": (replaced("func.func @forward", "func.func @backward"), "forward"),
    "no model": (replaced(r"lariat\.model = #lariat\.model<[^>]*>, ", ""), "lariat.model"),
    "no loops": (replaced(r"lariat\.loops = #lariat\.loops<[^>]*>, ", ""), "lariat.loops"),
    "no weights": (replaced(r', lariat\.weights = "[^"]*"', ""), "--weights"),
    "weights elsewhere": (replaced(r'lariat\.weights = "[^"]*"', 'lariat.weights = "nowhere"'), "nowhere"),
    "no tensor": (replaced('"model.norm.weight"', '"model.morn.weight"'), "model.morn.weight"),
    "other shape": (replaced(r"@embed_tokens : tensor<320x192xf32>", "@embed_tokens : tensor<319x192xf32>"), ""),
    "no vocabulary": (replaced("vocab = 320", "vocab = 0"), ""),
    "other vocabulary": (replaced("vocab = 320", "vocab = 4000000000"), ""),
    "no context": (replaced("context = 512", "context = 0"), ""),
    "huge context": (replaced("context = 512", "context = 9223372036854775807"), "at most 2147483647"),
    "negative eos": (replaced(r"eos = \[257\]", "eos = [-1]"), "eos id -1, expected 0 to 319"),
    "eos outside": (replaced(r"eos = \[257\]", "eos = [257, 320]"), "eos id 320, expected 0 to 319"),
    "huge loops": (replaced(r"default = 4, min = 1, max = 4", "default = 99999999999, min = 1, max = 0"), "at most"),
    "huge depths": (replaced(r"depths\(4\)", "depths(99999999999)"), "at most 65536"),
    "huge memory": (replaced(r"@kv layers\(4\)", "@kv layers(4000000000000)"), "bytes per token"),
    "huge inline value": (
        replaced(r"(?=lariat\.weight @norm )", f"lariat.weight @big : {HUGE} value dense<1.0> : {HUGE}\n  "),
        "inline value of 9999800001 elements",
    ),
    "wrong loops": (replaced(r"default = 4, min = 1, max = 4", "default = 9, min = 1, max = 4"), ""),
    "no layers": (replaced(r"@kv layers\(4\)", "@kv layers(0)"), ""),
    "layer outside": (replaced(r"@kv layers\(4\)", "@kv layers(2)"), ""),
    "huge layers": (replaced(r"@kv layers\(4\)", "@kv layers(99999999999999999999)"), "broken.mlir:"),
    "odd heads": (replaced(r"heads\(6\) dim\(32\)", "heads(5) dim(32)"), ""),
    "ring of free order": (replaced(POLICY, "policy(#lariat.ring<2, order = free>)"), "atomic or sequential, not free"),
    "declared compute": (replaced(POLICY, "policy(#lariat.own<missing = compute>)"), "a choice of the caller"),
    "input name": (replaced(r'lariat\.input = "ids"', 'lariat.input = "idols"'), ""),
    "output name": (replaced(r'lariat\.output = "logits"', 'lariat.output = "logins"'), ""),
    "no input name": (replaced(r' {lariat\.input = "ids"}', ""), ""),
    "twice": (lambda text: text + text, ""),
}


@pytest.mark.parametrize("name", BROKEN_IR)
def test_broken_ir(lariat: Command, name: str) -> None:
    change, message = BROKEN_IR[name]
    (lariat.folder / "broken.mlir").write_text(change((lariat.folder / "ouro.mlir").read_text()), encoding="latin-1")
    found = refused(lariat, "compile", "broken.mlir", output="out.lariat")
    assert message in found, found


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("rings<2>", "'rings<2>' is not a KV policy"),
        ("ring<2>", "'ring<2>' is not a KV policy"),
        ("ring<2, order = free>", "so its order is atomic or sequential, not free"),
        ("first first", "'first first' is not a KV policy"),
        ("mask<causal>", "'mask<causal>' is not a KV policy"),
        ("", "'' is not a KV policy"),
        ("own<missing = compute>", "a choice of the caller"),
    ],
)
def test_policies_that_do_not_fit(lariat: Command, policy: str, message: str) -> None:
    found = refused(lariat, "compile", "ouro.mlir", "--override-kv-policy", policy, output="out.lariat")
    assert message in found, found


def test_a_policy_for_a_model_without_a_loop_over_depth(lariat: Command) -> None:
    found = refused(lariat, "compile", "albert.mlir", "--override-kv-policy", "first", output="out.lariat")
    assert "the model has no cache of a loop over depth" in found, found


def test_fill_regions_are_not_made_up(lariat: Command) -> None:
    policy = "own<missing = propagate>"
    found = refused(lariat, "compile", "mor-share.mlir", "--override-kv-policy", policy, output="out.lariat")
    assert "no fill region appends to layer" in found, found


@pytest.mark.parametrize("seed", range(16))
def test_randomly_broken_ir(lariat: Command, seed: int) -> None:
    """Words of one place put at another one: refused or compiled, and what is compiled runs or says why not."""
    choose = random.Random(seed)
    words = re.split(
        r"(\W+)", re.sub(r" loc\(.*?\)$|^#loc.*$", "", (lariat.folder / "ouro.mlir").read_text(), flags=re.M)
    )
    for _ in range(choose.choice((1, 2, 4))):
        words[choose.randrange(len(words))] = choose.choice(words)
    (lariat.folder / "broken.mlir").write_text("".join(words))
    status, _, errors = lariat.run("compile", "broken.mlir", "-o", "out.lariat")
    assert re.fullmatch(r"error: [^\n]+\n", errors) if status else not errors, errors
    assert "unexpectedly" not in errors and "internal error" not in errors, errors
    assert (lariat.folder / "out.lariat").exists() == (status == 0)
    if status == 0:
        status, _, errors = lariat.run("score", "out.lariat", "--tokens", "in.json", "-o", "out")
        assert re.fullmatch(r"error: [^\n]+\n", errors) if status else not errors, errors
        assert "unexpectedly" not in errors, errors


# --- outputs --------------------------------------------------------------------------------------------------------


def test_an_artefact_is_replaced_only_by_force(lariat: Command, artefact: Path) -> None:
    before = content(artefact)
    for source in (MODELS / "ouro", "ouro.mlir"):
        assert "--force" in lariat.fails("compile", source, "-o", "damaged.lariat")
        assert content(artefact) == before
    lariat.ok("compile", "ouro.mlir", "-o", "damaged.lariat", "--force")
    assert json.loads((artefact / "manifest.json").read_text())["model"]["family"] == "ouro"


def test_force_replaces_only_artefacts(lariat: Command) -> None:
    (lariat.folder / "folder").mkdir()
    (lariat.folder / "folder" / "precious.txt").write_text("precious")
    (lariat.folder / "file").write_text("precious")
    for output in ("folder", "file"):
        before = content(lariat.folder / output)
        lariat.fails("compile", "ouro.mlir", "-o", output)
        lariat.fails("compile", "ouro.mlir", "-o", output, "--force")
        assert content(lariat.folder / output) == before


@pytest.mark.parametrize("output", ["absent/out", "in.json/out", "folder", "folder/", "/dev/null/out", "x" * 300])
def test_outputs_that_cannot_be_written(lariat: Command, output: str) -> None:
    (lariat.folder / "folder").mkdir()
    (lariat.folder / "folder" / "precious.txt").write_text("precious")
    before = content(lariat.folder)
    lariat.fails("score", "ouro.lariat", "--tokens", "in.json", "-o", output)
    lariat.fails("generate", "ouro.lariat", "--tokens", "in.json", "--max-new-tokens", 1, "-o", output)
    lariat.fails("encode", "albert.lariat", "--tokens", "in.json", "-o", output)
    lariat.fails("import", MODELS / "ouro", "-o", output)
    lariat.fails("compile", "ouro.mlir", "-o", output)
    assert content(lariat.folder) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission(lariat: Command) -> None:
    (lariat.folder / "closed").mkdir(mode=0o500)
    lariat.fails("score", "ouro.lariat", "--tokens", "in.json", "-o", "closed/out")
    lariat.fails("compile", "ouro.mlir", "-o", "closed/out.lariat")


def test_a_full_disk(lariat: Command) -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full")
    lariat.fails("score", "ouro.lariat", "--tokens", "in.json", "-o", "/dev/full/out")
