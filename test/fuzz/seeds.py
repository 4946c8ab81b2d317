# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Write the seed inputs of every fuzz target: `seeds.py FOLDER [BIN]` fills FOLDER/TARGET/ from files of the tree.

BIN is the folder of lariat-opt, which writes bytecode; without it there is no seed of `bytecode`. Inputs that once
failed are files of their own, in regressions/TARGET/ beside this script.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IR_FILES = ("test/Dialect/Lariat/IR", "test/Dialect/Lariat/Transforms", "test/Dialect/Kernel/IR", "test/Compiler")
# Larger ones slow every mutation of them down.
LARGEST_IR = 6000

Seed = tuple[str, bytes]


def ir_seeds() -> Iterator[Seed]:
    """The cases of lit tests, one an input, without their comments."""
    for folder in IR_FILES:
        for path in sorted((ROOT / folder).glob("*.mlir")):
            text = re.sub(r"^\s*//(?! -----).*\n", "", path.read_text(), flags=re.M)
            for number, case in enumerate(re.split(r"^// -----.*\n", text, flags=re.M)):
                if case.strip() and len(case) <= LARGEST_IR:
                    yield f"{path.stem}-{number}", case.encode()


def bytecode_seeds(opt: Path) -> Iterator[Seed]:
    """The valid cases as bytecode, without the first four bytes."""
    for name, case in ir_seeds():
        if name.startswith(("ops-", "attrs", "fast")):
            done = subprocess.run([opt, "--emit-bytecode", "-"], input=case, capture_output=True)
            if done.returncode == 0:
                yield name, done.stdout[4:]


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds() -> Iterator[Seed]:
    sizes = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}
    for dtype, size in sizes.items():
        header = {"x": {"dtype": dtype, "shape": [2, 3], "data_offsets": [0, 6 * size]}}
        yield dtype.lower(), safetensors(header, bytes(range(6 * size)))
    two = {"__metadata__": {"format": "pt"}, "b": {"dtype": "U8", "shape": [1], "data_offsets": [4, 5]}}
    yield "two", safetensors(two | {"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}, bytes(5))
    yield "empty", safetensors({})


def index_seeds() -> Iterator[Seed]:
    for name, shards in {"both": {"x": "a.safetensors", "y": "b.safetensors"}, "one": {"x": "a.safetensors"}}.items():
        yield name, json.dumps({"metadata": {"total_size": 16}, "weight_map": shards}).encode()
    yield "elsewhere", json.dumps({"weight_map": {"x": "../a.safetensors", "y": "/b.safetensors"}}).encode()


def manifest_seeds() -> Iterator[Seed]:
    sys.path.insert(0, str(ROOT / "python"))
    from tests import counting

    for name, encoder in {"counting": False, "encoder": True}.items():
        yield name, json.dumps(counting.manifest(encoder=encoder)).encode()


def protocol_seeds() -> Iterator[Seed]:
    ids = {"sequences": [[1, 2, 3], [4]]}
    requests = [
        {"call": "info"},
        {"call": "score", **ids, "output": "none", "mode": "generate", "loops": 2},
        {"call": "score", **ids, "output": "s", "chunk": 2, "derived": "lockstep", "missing": "slot0"},
        {"call": "score", **ids, "output": "none", "prefix": 0, "exit_threshold": 0.5, "capacity": [[1, 2]]},
        {"call": "encode", **ids, "output": "none"},
        {"call": "generate", **ids, "max_new_tokens": 3, "temperature": 0.5, "seed": 7, "ignore_eos": True},
    ]
    for number, request in enumerate(requests):
        yield str(number), json.dumps(request).encode()
    yield "all", "\n".join(map(json.dumps, requests)).encode()


def capi_seeds() -> Iterator[Seed]:
    """Sessions of both models, and each kind of call after them."""
    batch = bytes([0, 2, 2, 1, 2, 0, 1, 5, 0, 0, 1, 1])
    for kind in range(20):
        yield f"call-{kind}", bytes([kind, 0]) + batch + bytes(12) + bytes([(kind + 1) % 20, 0, 0, 0])
    generate = bytes([9, 0, 0, 1, 5, 1, 0]) + batch + bytes([1, 0, 0])
    yield "generation", generate + bytes([10, 0, 0] * 4 + [12, 0, 0, 0, 14, 0])
    submit = bytes([16, 0, 0, 1, 5, 1, 0]) + batch + bytes(5)
    yield "engine", bytes([15, 0, 0, 0, 0]) + submit + bytes([17, 0, 0, 0] * 6 + [18, 0, 0, 0])


def config_seeds() -> Iterator[Seed]:
    for path in sorted((ROOT / "test" / "models").glob("*/config.json")):
        yield path.parent.name, path.read_bytes()


def tokenizer_seeds() -> Iterator[Seed]:
    for name in ("ouro", "albert"):
        yield name, (ROOT / "test" / "models" / name / "tokenizer.json").read_bytes()


def template_seeds() -> Iterator[Seed]:
    turns = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    yield "turns", turns.encode()
    yield "generation", (turns + "{% if add_generation_prompt %}assistant: {% endif %}").encode()
    checks = "{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}{{ bos_token }}"
    yield "checks", (checks + turns).encode()
    yield "words", b"{{ messages | tojson(indent=2) }}{{ strftime_now('%Y') }}{%- set ns = namespace(n=0) -%}{{ ns.n }}"


def main() -> int:
    folder, tools = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None
    targets = {
        "ir": ir_seeds(),
        "safetensors": safetensors_seeds(),
        "index": index_seeds(),
        "manifest": manifest_seeds(),
        "protocol": protocol_seeds(),
        "capi": capi_seeds(),
        "config": config_seeds(),
        "tokenizer": tokenizer_seeds(),
        "template": template_seeds(),
    }
    if tools:
        targets["bytecode"] = bytecode_seeds(tools / "lariat-opt")
    for target, seeds in targets.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds:
            (folder / target / name).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
