# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`lariat generate` on many prompts: what each gets is what it gets alone, however rows share ticks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.command import Command

PROMPTS = [np.random.default_rng([9, at]).integers(32, 127, 1 + 13 * at % 40).tolist() for at in range(9)]
COUNT = 6


def generate(lariat: Command, name: str, prompts: list[list[int]], *arguments: object) -> list[dict[str, Any]]:
    (lariat.folder / "prompts.json").write_text(json.dumps(prompts))
    lariat.ok("generate", name, "--tokens", "prompts.json", "--max-new-tokens", COUNT, "-o", "out.json", *arguments)
    found: list[dict[str, Any]] = json.loads((lariat.folder / "out.json").read_text())
    return found


@pytest.mark.parametrize("name", ["ouro.lariat", "mor-share.lariat"])
def test_many_prompts_get_what_each_gets_alone(lariat: Command, name: str) -> None:
    chosen = ("--temperature", 0.8, "--seed", 4)
    alone = [generate(lariat, name, [prompt], *chosen)[0] for prompt in PROMPTS]
    for arguments in (
        (),
        ("--max-rows", 1, "--threads", 1),
        ("--max-rows", 7, "--scheduler", "fifo", "--kv-pages", 20),
        ("--max-rows", 64, "--scheduler", "deepest", "--kv-pages", 60, "--threads", 2),
        ("--scheduler", "oldest", "--kv-pages", 10**6),
    ):
        assert generate(lariat, name, PROMPTS, *chosen, *arguments) == alone, arguments


def test_pages_that_are_too_few_for_one_prompt(lariat: Command) -> None:
    (lariat.folder / "prompts.json").write_text(json.dumps(PROMPTS))
    message = lariat.fails(
        "generate", "ouro.lariat", "--tokens", "prompts.json", "--max-new-tokens", 1, "-o", "out.json", "--kv-pages", 1
    )
    assert "more pages" in message and "cache 'kv'" in message
    assert not (lariat.folder / "out.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-rows", 0], "argument --max-rows: 0 is not from 1 to 2147483647"),
        (["--max-rows", -4], "argument --max-rows: -4 is not from 1 to 2147483647"),
        (["--max-rows", 2**40], f"argument --max-rows: {2**40} is not from 1 to 2147483647"),
        (["--kv-pages", 0], "argument --kv-pages: 0 is not from 1 to 2147483647"),
        (["--kv-pages", "many"], "argument --kv-pages: 'many' is not a whole number"),
        (["--scheduler", "newest"], "argument --scheduler: invalid choice: 'newest'"),
        (["--tokens", "in.json"], "argument --tokens: given twice, expected once"),
        (["--prompt", "x"], "argument --prompt: not allowed with argument --tokens"),
    ],
)
def test_arguments_out_of_their_range(lariat: Command, arguments: list[object], message: str) -> None:
    found = lariat.fails(
        "generate", "ouro.lariat", "--tokens", "in.json", "--max-new-tokens", 1, "-o", "out.json", *arguments
    )
    assert found.startswith(message), found
    assert not (lariat.folder / "out.json").exists()


def test_a_second_prompt_is_not_dropped_unnoticed(lariat: Command) -> None:
    found = lariat.fails("generate", "ouro.lariat", "--prompt", "a", "--prompt", "b", "--max-new-tokens", 1)
    assert found.startswith("argument --prompt: given twice, expected once"), found
