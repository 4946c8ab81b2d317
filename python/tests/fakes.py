# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A stand-in for `lariat-reference` that fails on demand, and an artefact it accepts.

Tests of what the package does when the process dies, answers nonsense or is interrupted need one that does so; tests of
results use the real tools.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import lariat

MODELS = Path(__file__).resolve().parents[2] / "test" / "models"

# A first token id that makes the stand-in do something else than answer.
REFUSE, CRASH, NONSENSE, COMPLAIN, HANG = 999, 998, 997, 996, 995

MANIFEST = {
    "format_version": 2,
    "lariat_version": lariat.__version__,
    "pipeline": "reference",
    "model": {
        "family": "ouro",
        "kind": "decoder",
        "vocab": 320,
        "context": 512,
        "eos": [257],
        "shape": "4 layers x 4 loop steps",
    },
    "loops": {"default": 4, "min": 1, "max": 4, "with_exit": None},
    "exit": {"rule": "cumulative-hazard", "never": 1.0, "low": 0, "high": 1.0, "default": None},
    "caches": [
        {
            "name": "kv",
            "layers": 4,
            "heads": 6,
            "dim": 32,
            "depths": None,
            "type": "f32",
            "policy": "#lariat.own<missing = copy_last>",
            "missing": "copy_last",
            "allowed": ["copy_last", "propagate", "compute"],
            "filling": ["propagate", "compute"],
            "order": "free",
            "generated_order": "free",
            "slots": 4,
            "formula": "4 layers x entries x 1536 bytes",
            "bytes_per_entry": 1536,
            "bytes_per_token": 24576,
            "page_bytes": 393216,
        }
    ],
    "traits": {"cuts": None},
    "dtype": "f32",
    "kv_dtype": "f32",
    "targets": ["reference"],
    "files": {"model.mlir": {"sha256": "00", "bytes": 1000}},
}

SCRIPT = f"""#!{sys.executable}
import json, os, pathlib, signal, sys, time

folder = pathlib.Path(sys.argv[1])
text = (folder / "canned.txt").read_bytes()
slots = {{"kv": [[{{"computed": 3, "filled": 1}}] * 4] * 4}}
(folder / "starts").open("a").write("start\\n")


def say(**answer):
    print(json.dumps(answer), flush=True)


for line in sys.stdin:
    request = json.loads(line)
    (folder / "request.json").write_text(line)
    sequences = request.get("sequences", [])
    first = sequences[0][0] if sequences and sequences[0] else None
    if first == {REFUSE}:
        say(error="token {REFUSE} is not in the vocabulary of 320")
    elif first == {CRASH}:
        os.kill(os.getpid(), signal.SIGABRT)  # which no sanitizer handles
    elif first == {NONSENSE}:
        print("Hello", flush=True)
    elif first == {COMPLAIN}:
        print("error: manifest.json is damaged", file=sys.stderr)
        sys.exit(1)
    elif first == {HANG}:
        time.sleep(60)
    elif request["call"] == "info":
        say(ok=True, manifest={{}})
    elif request["call"] == "generate":
        tokens = [[] for _ in sequences]
        for byte in text[: request["max_new_tokens"]]:
            for number, _ in enumerate(sequences):
                tokens[number].append(byte)
                say(sequence=number, token=byte, steps=1 + byte % 4)
        results = [{{"tokens": one, "steps": [1 + b % 4 for b in one], "finish": "length"}} for one in tokens]
        say(ok=True, results=results, slots=[slots] * len(sequences))
    else:
        pathlib.Path(request["output"]).write_bytes(b"written")
        say(ok=True, steps=[[4] * len(one) for one in sequences], slots=[slots] * len(sequences))
"""


def make_tools(folder: Path) -> Path:
    """A folder of tools with the stand-in."""
    folder.mkdir()
    tool = folder / "lariat-reference"
    tool.write_text(SCRIPT)
    tool.chmod(0o755)
    return folder


def make_artefact(folder: Path, text: str | bytes = "In the beginning") -> Path:
    """An artefact whose generations are `text`."""
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    (folder / "canned.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    shutil.copy(MODELS / "ouro" / "tokenizer.json", folder)
    return folder
