# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One term for one thing: banned words in identifiers and messages (docs/glossary.md has the whole list).

Looks at identifiers and string literals of dialects/, lib/, include/, tools/ and python/; comments, docstrings and
ODS descriptions are prose and left to reviewers. Only words that have no other honest use are here. Python may spell a
foreign config key: a string that is one word, in python/lariat/models and python/tests, or a part in quotes of any
string there. Names of other projects' APIs are listed in FOREIGN.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import tree

# Words in sequence, as in `utStep`, `ut_step` and "ut step"; a plural s is understood. Then the word to use.
BANNED: dict[str, str] = {
    "minibatch": "batch",
    "mini batch": "batch",
    "padded batch": "batch",
    "timestep": "position",
    "pos id": "position",
    "ut step": "loop step",
    "tied stack": "block",
    "sublayer": "layer",
    "loop index": "depth",
    "recursion index": "depth",
    "num loops": "max depth",
    "num recursions": "max depth",
    "exit depth": "steps",
    "re entry": "injection",
    "reentry": "injection",
    "dispatcher": "router",
    "top k ratio": "capacity",
    "topk ratio": "capacity",
    "surviving row": "active rows",
    "early stop": "exit or stop",
    "halt": "exit or stop",
    "halting": "exit or stop",
    "threshold mode": "decode rule",
    "virtual layer": "slot",
    "fake layer": "slot",
    "sharing type": "KV policy",
    "kv strategy": "KV policy",
    "kv scheme": "KV policy",
    "context phase": "prefill",
    "generation phase": "decode",
    "prompt processing": "prefill",
    "adapter dim": "LoRA rank",
    "lora size": "LoRA rank",
    "squeeze row": "compaction",
    "prepack": "packing",
    "microtask": "kernel",
    "workspace": "arena",
    "scratch pool": "arena",
    "artifact": "artefact",
    "golden": "oracle",
    "ground truth": "oracle",
}
PHRASES = sorted(((tuple(k.split()), v) for k, v in BANNED.items()), key=lambda p: -len(p[0]))

# Identifiers of LLVM, MLIR, numpy and torch that contain a banned word.
FOREIGN = {"getNumLoops", "getNumParallelLoops", "getNumReductionLoops", "workspaceFolders"}

CPP_TOKEN = re.compile(
    r'(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<prose>\[\{.*?\}\])|R"(?P<d>[^()\s]*)\((?P<raw>.*?)\)(?P=d)"'
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*\")|(?P<char>'(?:\\.|[^'\\\n])+')|(?P<name>[A-Za-z_]\w*)",
    re.S,
)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")


# Files that spell keys of other people's config.json.
WITH_FOREIGN_KEYS = ("python/lariat/models/", "python/lariat/bench/stored.py", "python/lariat/bench/released.py",
                     "python/tests/")  # fmt: skip


def words_of(text: str) -> list[str]:
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", text)
    return [w.lower() for w in re.findall(r"[A-Za-z]+", text)]


def banned_in(text: str) -> Iterator[tuple[str, str]]:
    words = words_of(text)
    at = 0
    while at < len(words):
        for phrase, better in PHRASES:
            part = words[at : at + len(phrase)]
            if len(part) == len(phrase) and all(w in (p, p + "s") for w, p in zip(part, phrase, strict=True)):
                yield " ".join(part), better
                at += len(phrase) - 1
                break
        at += 1


def cpp_pieces(source: str, *, tablegen: bool) -> Iterator[tuple[int, str]]:
    for match in CPP_TOKEN.finditer(source):
        kind = match.lastgroup
        if kind == "prose" and not tablegen:  # `[{` of C++ is a lambda or a list: look inside it
            line = source.count("\n", 0, match.start())
            yield from ((line + n, piece) for n, piece in cpp_pieces(match[0][1:], tablegen=True))
        elif match["raw"] is not None or kind in ("string", "name"):
            line = source.count("\n", 0, match.start()) + 1
            text = match["raw"] if match["raw"] is not None else match[0]
            # An include names a file, which the naming of files already covers.
            start = source.rfind("\n", 0, match.start()) + 1
            if not source[start : match.start()].lstrip().startswith(("#include", "include ")):
                yield line, text


def python_pieces(source: str, *, foreign_keys: bool) -> Iterator[tuple[int, str]]:
    previous = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "NAME":
            yield token.start[0], token.string
        elif kind in ("STRING", "FSTRING_MIDDLE"):
            docstring = kind == "STRING" and previous in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
            body = token.string.strip("rbfuRBFU").strip("\"'") if kind == "STRING" else token.string
            if foreign_keys:
                body = "" if re.fullmatch(r"[\w.{}/-]*", body) else QUOTED.sub("", body)
            if not docstring:
                yield token.start[0], body
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            previous = token.type


def pieces(root: Path, path: Path, source: str) -> Iterator[tuple[int, str]]:
    shown = path.relative_to(root).as_posix()
    if path.suffix in (".py", ".pyi"):
        foreign_keys = shown.startswith(WITH_FOREIGN_KEYS)
        try:
            yield from python_pieces(source, foreign_keys=foreign_keys)
        except (tokenize.TokenError, SyntaxError):
            return  # ruff reports it
    else:
        yield from cpp_pieces(source, tablegen=path.suffix == ".td")


def check(root: Path) -> Iterator[tree.Finding]:
    suffixes = (".cpp", ".h", ".c", ".td", ".py", ".pyi")
    for path in tree.files(root, "dialects", "lib", "include", "tools", "python", suffixes=suffixes):
        for line, piece in pieces(root, path, tree.text(path) or ""):
            if piece in FOREIGN:
                continue
            for word, better in banned_in(piece):
                yield path.relative_to(root).as_posix(), line, f"'{word}' is not one of our words: use {better}"


if __name__ == "__main__":
    tree.run("words", check)
