# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes files that are no IR, or hardly, into a folder; runs a command on each, prints its status and first line."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

DEEP = 100_000
NEAR = 990
FILES: dict[str, str | bytes] = {
    "types": "func.func private @f(" + "tuple<" * DEEP + "i32" + ">" * DEEP + ")",
    "attributes": "module attributes {a.b = " + "[" * DEEP + "]" * DEEP + "} {}",
    "affine": "#m = affine_map<(d0) -> (" + "(" * DEEP + "d0" + ")" * DEEP + ")>",
    "regions": "module {\n" * DEEP + "}\n" * DEEP,
    "generic": '"a.b"() ({' * DEEP + "})" * DEEP,
    "locations": "module {} loc(" + 'callsite("a" at ' * DEEP + "unknown" + ")" * DEEP + ")",
    "aliases": "#a0 = [1]\n" + "".join(f"#a{n + 1} = [#a{n}]\n" for n in range(DEEP)),
    "type-aliases": "!t0 = tuple<i32>\n" + "".join(f"!t{n + 1} = tuple<!t{n}>\n" for n in range(DEEP)),
    "signs": "#m = affine_map<(d0) -> (" + "- " * DEEP + "d0)>",
    "digits": "module attributes {a.b = " + "9" * DEEP + " : i64} {}",
    "deep-enough": "module {\n" * NEAR + "}\n" * NEAR,
    "no-brackets": "// " + "(" * DEEP + '\nmodule attributes {a.text = "' + "<" * DEEP + '"} {\n'
    + "".join(f"func.func private @f{n}() -> ()\n" for n in range(2000)) + "}\n",
    "cut": b"ML\xefR\x0dMLIR22.1\0\x1f\x03",
    "random": b"ML\xefR" + random.Random(0).randbytes(5000),
    "bytes": random.Random(1).randbytes(5000),
}  # fmt: skip

folder = Path(sys.argv[1])
for name, content in FILES.items():
    path = folder / f"{name}.mlir"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    done = subprocess.run([*sys.argv[2:], str(path)], capture_output=True, stdin=subprocess.DEVNULL)
    first = done.stderr.decode(errors="replace").partition("\n")[0]
    print(f"{name}: {done.returncode}: {first[-200:]}")
