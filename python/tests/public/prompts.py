# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Twenty texts of many kinds, and conversations, for a model that reads and answers English."""

from __future__ import annotations

from collections.abc import Callable

NUM_NEW_TOKENS = 48

Messages = list[dict[str, str]]

CONVERSATIONS: list[Messages] = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [
        {"role": "system", "content": "You answer in one short sentence."},
        {"role": "user", "content": "Why is the sky blue? ☁️"},
    ],
    [
        {"role": "user", "content": "My name is Zoë and I live in 東京."},
        {"role": "assistant", "content": "Nice to meet you, Zoë! How can I help you today?"},
        {"role": "user", "content": "Where do I live?"},
    ],
    [{"role": "user", "content": "Write a Python function that\n\treturns the n-th prime.\n\n"}],
    [{"role": "user", "content": ""}],
]

_LONG = (
    "The lighthouse at the end of the pier had been dark for eleven years when Marta bought it. The town council was "
    "glad to be rid of the cost of its upkeep, and asked for little more than a promise that the roof would be mended "
    "before the winter. She moved in with two suitcases, a dog called Biscuit, and a box of books on optics that had "
    "belonged to her grandfather, who had been the last keeper. On the first evening she climbed the stairs, one "
    "hundred and thirty-four of them, and found the great lens covered in salt and feathers. It took her nine days to "
    "clean it. "
)

# Scored whole, row by row; the others are only continued.
SCORED = ("question", "code", "chinese", "mixed")


def prompts(write_out: Callable[[Messages], str]) -> dict[str, str]:
    """Texts by name; `write_out` makes one of a conversation."""
    return {
        "question": write_out(CONVERSATIONS[0]),
        "system": write_out(CONVERSATIONS[1]),
        "turns": write_out(CONVERSATIONS[2]),
        "instruction": write_out(CONVERSATIONS[3]),
        "nothing-said": write_out(CONVERSATIONS[4]),
        "plain": "The most important thing about the history of bread is",
        "code": 'def fibonacci(n: int) -> int:\n    """Return the n-th number."""\n    if n < 2:\n',
        "c": "#include <stdio.h>\n\nint main(int argc, char **argv) {\n\tfor (int i = 0; i < 10; ++i)\n\t\t",
        "json": '{"name": "Ada", "born": 1815, "works": [',
        "chinese": "我喜欢学习新的语言，因为",
        "japanese": "むかしむかし、あるところに、おじいさんと",
        "arabic": "عاصمة فرنسا هي",
        "emoji": "I love 🍕 and 👩‍🚀! My favourite emoji are 🎉🎉",
        "accents": "Voilà: l’été, où naïfs et Zoë e\u0301taient à Kraków, ",
        "digits": "1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, ",
        "one-letter": "A",
        "line-break": "\n",
        "spaces": "    leading   and   inner    spaces ",
        "mixed": "Ωmega ½ of 3.14159 ≈ 1.5708; see https://example.org/a?b=c&d=%20 — 'quoted' <|im_end|>\n",
        "long": _LONG * 4 + "When the lamp was finally lit, the first thing that she saw was",
    }
