# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fuzz targets of the Python package: `python_fuzzer.py TARGET [--mutations N] PATH...`, or `TARGET --atheris ...`.

Targets are `config` (config.json beside a checkpoint), `tokenizer` (tokenizer.json) and `template` (a chat template).
Whatever the input, the package answers or raises a LariatError. Without --atheris, which takes libFuzzer's options, it
runs files, and N mutations of each, which depend on nothing but the input and their number.
"""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

Target = Callable[[bytes], None]

WORDS = (b"{", b"}", b"[", b"]", b"-1", b"1e999", b"9223372036854775808", b"null", b"true", b'"', b"\\u0000", b"\xff",
         b"{{", b"}}", b"{%", b"%}", b"loop", b"**", b"range(99)")  # fmt: skip


def config(data: bytes) -> None:
    """Import a checkpoint directory with this config.json; its tensors are those of the bundled `ouro`."""
    from lariat.errors import LariatError
    from lariat.importer import import_checkpoint

    weights = Path(_scratch.name) / "model.safetensors"
    if not weights.exists():
        weights.symlink_to(ROOT / "test" / "models" / "ouro" / "model.safetensors")
    (weights.parent / "config.json").write_bytes(data)
    with contextlib.suppress(LariatError):
        import_checkpoint(weights.parent)


def tokenizer(data: bytes) -> None:
    """Read tokenizer.json, encode and decode with it."""
    from lariat.errors import LariatError
    from lariat.text import TextStream, Tokenizer

    (Path(_scratch.name) / "tokenizer.json").write_bytes(data)
    with contextlib.suppress(LariatError):
        loaded = Tokenizer.of(_scratch.name)
        tokens = loaded.encode("And God said, é 漢 \n")
        loaded.decode(tokens[::-1])
        stream = TextStream(loaded)
        for token in (*tokens, 0, 2**31):
            stream.push(token)
        stream.finish()


def template(data: bytes) -> None:
    """Read a chat template and render a conversation with it."""
    from lariat.chat import ChatTemplate
    from lariat.errors import LariatError

    source = data.decode("utf-8", errors="replace")
    with contextlib.suppress(LariatError):
        ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}).render(
            [{"role": "user", "content": "Hello {{ x }}"}, {"role": "assistant", "content": ""}]
        )


TARGETS: dict[str, Target] = {"config": config, "tokenizer": tokenizer, "template": template}
_scratch = tempfile.TemporaryDirectory(prefix="lariat-fuzz-")


def mutations(data: bytes, count: int) -> Iterator[bytes]:
    choose = random.Random(len(data))
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(choose.randint(1, 4)):
            at = choose.randrange(len(changed) + 1)
            end = min(len(changed), at + choose.randrange(16))
            kind = choose.randrange(4)
            if kind == 0:
                del changed[at:end]
            elif kind == 1:
                changed[at:at] = choose.choice(WORDS)
            elif kind == 2:
                changed[at:at] = changed[at:end]
            elif at < len(changed):
                changed[at] = choose.randrange(256)
        yield bytes(changed)


def replay(target: Target, count: int, paths: list[Path]) -> int:
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    number = 0
    for file in files:
        data = file.read_bytes()
        for changed in (data, *mutations(data, count)):
            number += 1
            try:
                target(changed)
            except BaseException:
                print(f"fails on this input of {file}: {changed!r}", file=sys.stderr)
                raise
    print(f"{len(files)} files, {number} inputs")
    return 0 if files else 1


def fuzz(target: Target, arguments: list[str]) -> int:
    import atheris

    with atheris.instrument_imports(include=["lariat", "jinja2"]):
        import lariat.chat
        import lariat.importer
        import lariat.models.ouro
        import lariat.text  # noqa: F401
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()
    return 0


def main() -> int:
    name, *arguments = sys.argv[1:]
    target = TARGETS[name]
    if arguments[:1] == ["--atheris"]:
        return fuzz(target, arguments[1:])
    count = 0
    if arguments[:1] == ["--mutations"]:
        count, arguments = int(arguments[1]), arguments[2:]
    return replay(target, count, [Path(path) for path in arguments])


if __name__ == "__main__":
    sys.exit(main())
