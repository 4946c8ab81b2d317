# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes artefacts around the hand-made code of unittests/Runtime/Session/CountingCode.cpp.

Its model counts: the most likely next token is the sum of the tokens so far, modulo the vocabulary. Unit tests of the
runtime use the same artefacts: `python counting.py CODE.so OUT.lariat [encoder]`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

VOCAB, CONTEXT, EOS = 320, 256, 257
# Tokens with a meaning of their own.
NOT_A_NUMBER, INFINITE, SLOW = 300, 301, 302

Port = dict[str, object]
Fields = dict[str, object]


def expected(prompt: list[int], count: int) -> list[int]:
    """What greedy generation gives."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(sum(tokens) % VOCAB)
    return tokens[len(prompt) :]


def _port(name: str, type: str, width: int = 0) -> Port:
    return {"name": name, "kind": "values", "type": type, "width": width, "rows": 0}


ROWS: Port = {"name": "rows", "kind": "rows"}
INPUTS = [
    ROWS,
    _port("ids", "i32"),
    _port("loops", "index"),
    _port("threshold", "f32"),
    _port("initial_state", "f32", 2),
]
RESULTS = [_port("logits", "f32", VOCAB), _port("steps", "i32")]
STEP = [ROWS, _port("", "f32"), _port("", "i32"), _port("", "f32")]
MARK = _port("", "i1")


def _function(name: str, inputs: list[Port], outputs: list[Port], symbol: str | None = None) -> Fields:
    return {
        "name": name,
        "symbol": symbol or f"lariat_{name}",
        "inputs": inputs,
        "outputs": outputs,
        "arena_bytes_per_row": 84,
        "record": [],
        "cells": len(inputs) + len(outputs),
        "scratch_bytes": 0,
    }


def _decoder_functions() -> list[Fields]:
    whole = _function("forward", INPUTS, RESULTS)
    record = ["entered", "carried", "invariant", "invariant", "max"]
    steps = [
        {**_function("prelude", INPUTS, [MARK, *STEP[1:], _port("", "index")]), "record": record},
        _function("core", STEP, [_port("", "f32"), MARK, MARK]),
        _function("fill", STEP, []),
        _function("coda", [*INPUTS, MARK, _port("", "f32"), _port("", "i32")], RESULTS),
    ]
    variants = [(mode, missing) for mode in ("score", "generate") for missing in (None, "copy_last", "propagate")]
    return [
        {**function, "mode": mode, "missing": missing, "derived": derived}
        for mode, missing in variants
        for derived, functions in ((False, [whole]), (True, steps))
        for function in functions
    ]


def _encoder_functions() -> list[Fields]:
    encode = _function("forward", INPUTS[:2], [_port("hidden", "f32", 3)], "lariat_encode")
    return [{**encode, "mode": "score", "missing": None, "derived": False}]


CACHE: Fields = {
    "name": "kv",
    "layers": 1,
    "heads": 1,
    "dim": 1,
    "depths": None,
    "type": "f32",
    "looped": True,
    "any_slot": False,
    "depth_factor": 1,
    "slots_at_most": 4,
    "prompt": {"slot": "own", "slots": 1, "order": "free"},
    "generated": {"slot": "own", "slots": 1, "order": "free"},
    "policy": "#lariat.own<missing = copy_last>",
    "missing": "copy_last",
    "allowed": ["copy_last", "propagate"],
    "filling": ["propagate"],
    "order": "free",
    "generated_order": "free",
    "slots": 3,
    "formula": "sum over d < R of n(d)",
    "bytes_per_entry": 8,
    "bytes_per_token": 24,
    "page_bytes": 512,
}
TRAITS: Fields = {"mixes_call_rows": False, "top_k": False, "prefix_mask": True, "depth_weights": []}


def manifest(*, encoder: bool = False) -> Fields:
    """All fields but `files`."""
    return {
        "format_version": 2,
        "lariat_version": "0.0.0",
        "pipeline": "fast",
        "model": {
            "family": "counting",
            "kind": "encoder" if encoder else "decoder",
            "vocab": VOCAB,
            "context": CONTEXT,
            "eos": [EOS],
            "shape": None,
        },
        "loops": {"default": 1, "min": 1, "max": 1, "with_exit": None}
        if encoder
        else {"default": 3, "min": 1, "max": 4, "with_exit": None},
        "exit": None if encoder else {"rule": "odd-token", "never": 1.0, "low": 0.0, "high": 1.0, "default": None},
        "caches": [] if encoder else [CACHE],
        "bytes_per_token": 0 if encoder else CACHE["bytes_per_token"],
        "states": [],
        "traits": {**TRAITS, "mixes_call_rows": encoder},
        "modes": ["encode"] if encoder else ["score", "generate"],
        "dtype": "f32",
        "kv_dtype": "f32",
        "targets": ["none"],
        "code": {
            "abi_version": 5,
            "objects": [{"isa": "none", "layout": "cpu", "file": "code/none.so", "requires": [], "kernels": 8}],
            "layouts": [
                {
                    "name": "cpu",
                    "panel_columns": 16,
                    "keys": "columns",
                    "weights": {"file": "weights.bin", "bytes": 64},
                }
            ],
            "sums": {},
            "call_caches": [],
            "rope_tables": [],
            "functions": _encoder_functions() if encoder else _decoder_functions(),
            "refused": [],
        },
    }


def write_artefact(folder: Path, code: Path, fields: Fields) -> Path:
    """An artefact with the manifest `fields`; one that is there already is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "code").mkdir(parents=True)
    shutil.copy(code, folder / "code" / "none.so")
    (folder / "weights.bin").write_bytes(bytes(64))
    files = {}
    for name in ("code/none.so", "weights.bin"):
        content = (folder / name).read_bytes()
        files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({**fields, "files": files}))
    return folder


if __name__ == "__main__":
    write_artefact(Path(sys.argv[2]), Path(sys.argv[1]), manifest(encoder="encoder" in sys.argv[3:]))
