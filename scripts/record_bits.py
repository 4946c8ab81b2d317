#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Records digests of what models compute, and compares two records: shows whether a change keeps every bit.

    export PYTHONPATH=python LARIAT_BIN_DIR=build/release/bin
    build/venv/bin/python scripts/record_bits.py record BEFORE.json     # in a tree of the commit before
    build/venv/bin/python scripts/record_bits.py record AFTER.json      # in the changed tree, on the same machine
    build/venv/bin/python scripts/record_bits.py compare BEFORE.json AFTER.json

Models are the bundled ones in f32 and bf16, and modules drawn from seeds (tests/integration/random_models.py). Each is
scored or encoded, and generates, greedily and with samples. A digest covers logits or hidden states, tokens, loop steps
and slots. The record holds the processor's ISAs, since other ones may round otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python")]

import numpy as np  # noqa: E402

import lariat  # noqa: E402
from tests.integration.fast import ISAS  # noqa: E402
from tests.integration.fixtures import NAMES, Fixture, generate_options, score_options  # noqa: E402
from tests.integration.random_models import RandomModel  # noqa: E402

DTYPES = ("f32", "bf16")
NEW_TOKENS = 12
Record = dict[str, str]


def digest(*parts: Any) -> str:
    """Of arrays with their types and shapes, numbers, texts, and dataclasses, mappings and sequences of these."""
    state = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, np.ndarray):
            state.update(f"{part.dtype}{part.shape}".encode())
            state.update(np.ascontiguousarray(part).tobytes())
        elif is_dataclass(part) and not isinstance(part, type):
            add(asdict(part))
        elif isinstance(part, dict):
            add([item for pair in sorted(part.items()) for item in pair])
        elif isinstance(part, (list, tuple)):
            state.update(f"({len(part)}".encode())
            for item in part:
                add(item)
        else:
            state.update(repr(part).encode())

    add(list(parts))
    return state.hexdigest()


def record_bundled(name: str, dtype: str, artefact: Path) -> Iterator[tuple[str, str]]:
    fixture = Fixture.load(name)
    lariat.compile(fixture.path, artefact, lariat.CompileOptions(dtype=dtype))
    for isa in ISAS:
        session = lariat.load(artefact, threads=1, isa=isa)
        try:
            session.start()
        except lariat.LariatError as error:
            if "that this machine runs" not in str(error):
                raise
            continue
        with session:
            for case in fixture.cases():
                ids = fixture.ids(case)
                if name == "albert":
                    encoded = session.encode([ids])[0]
                    yield f"{name} {dtype} {isa} {case}", digest(encoded.hidden, encoded.logits)
                    continue
                for rule in fixture.rules(case):
                    scored = session.score([ids], score_options(rule))[0]
                    yield f"{name} {dtype} {isa} {case} {rule} score", digest(scored.logits, scored.steps, scored.slots)
                    if case != "len31" or rule == "topk" or rule == "causal":
                        continue
                    made = session.generate([ids[:9], ids[:4]], generate_options(rule, NEW_TOKENS))
                    yield (
                        f"{name} {dtype} {isa} {case} {rule} generate",
                        digest([[one.tokens, one.steps, one.slots] for one in made]),
                    )


def record_random(seed: int, dtype: str, folder: Path) -> Iterator[tuple[str, str]]:
    model = RandomModel.draw(seed)
    module = folder / f"seed{seed}.mlir"
    module.write_text(model.text())
    artefact = folder / f"seed{seed}.{dtype}.lariat"
    lariat.compile(module, artefact, lariat.CompileOptions(pipeline="fast", target="native", dtype=dtype))
    generator = np.random.default_rng([5, seed])
    prompts = [generator.integers(0, model.vocab, length).tolist() for length in (13, 1, 6)]
    threshold = 0.5 if model.has_exit else None
    with lariat.load(artefact, threads=1) as session:
        scored = session.score(prompts, lariat.ScoreOptions(exit_threshold=threshold))
        yield f"seed {seed} {dtype} score", digest([[one.logits, one.steps, one.slots] for one in scored])
        options = lariat.GenerateOptions(
            max_new_tokens=NEW_TOKENS, ignore_eos=True, exit_threshold=threshold, temperature=0.8, seed=seed
        )
        made = session.generate(prompts, options)
        yield f"seed {seed} {dtype} generate", digest([[one.tokens, one.steps, one.slots] for one in made])


def record(seeds: int) -> Record:
    found: Record = {}
    with tempfile.TemporaryDirectory(prefix="lariat-bits-") as name:
        folder = Path(name)
        for model in NAMES:
            for dtype in DTYPES:
                found.update(record_bundled(model, dtype, folder / f"{model}.{dtype}.lariat"))
        for seed in range(seeds):
            found.update(record_random(seed, DTYPES[seed // 6 % 2], folder))
            print(f"seed {seed}", file=sys.stderr, end="\r", flush=True)
    return found


def compare(before: Record, after: Record) -> int:
    """Prints what differs; the number of such digests, and of those that only one record has."""
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    for key in differing:
        reason = "differs" if key in before and key in after else "is in one record only"
        print(f"{key}: {reason}")
    print(f"{len(before.keys() & after.keys())} digests in both records, {len(differing)} differences")
    return len(differing)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="run the models, and write the record")
    recording.add_argument("output", type=Path)
    recording.add_argument("--seeds", type=int, default=200, help="random models (default: 200)")
    comparing = commands.add_parser("compare", help="compare two records; exit status 1 if they differ")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "compare":
        records = [json.loads(path.read_text()) for path in (arguments.before, arguments.after)]
        return 1 if compare(*records) else 0
    arguments.output.write_text(json.dumps(record(arguments.seeds), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
