# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Conversations and templates that the package and transformers are both asked to write; see recorded_chats.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORDED = HERE / "recorded_chats.json"

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "image_token": "<image>"}

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather at a place, in °C & %",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string", "description": 'As in "Köln"'}, "days": {"type": "integer"}},
            "required": ["place"],
        },
        "return": {"type": "string"},
    },
}

DOCUMENTS = [
    {"title": "Bees", "text": "Bees dance <b>well</b>.", "doc_id": 7},
    {"title": "Wasps", "text": "黄蜂不跳舞。"},
]


def _say(role: str, content: object, **more: object) -> dict[str, object]:
    return {"role": role, "content": content, **more}


QUESTION = [_say("user", ' What\'s 1 < 2 & "3"?\n')]

TALK = [
    _say("system", "Be brief. ✂️"),
    _say("user", "Héllo, 世界!"),
    _say("assistant", "<think>\nhm\n</think>\n\nHi 👋"),
    _say("user", "More?"),
]

THOUGHT = [
    _say("user", "Why?"),
    _say("assistant", "Because.", reasoning="It is so.", name=None),
    _say("user", "And?"),
]

CALLS = [
    _say("user", "Weather in Köln?"),
    _say(
        "assistant",
        None,
        tool_calls=[
            {
                "id": "c1d2e3f4g",
                "type": "function",
                "function": {"name": "weather", "arguments": {"place": "Köln", "days": 2, "now": True, "x": None}},
            }
        ],
    ),
    _say("tool", "12 °C", tool_call_id="c1d2e3f4g", name="weather"),
    _say("assistant", "It is 12 °C."),
    _say("user", "Thanks"),
]

PARTS = [_say("user", [{"type": "image"}, {"type": "text", "text": " What is this? "}])]

BEGUN = [*QUESTION, _say("assistant", "It is ")]

SITUATIONS: dict[str, tuple[list[dict[str, object]], dict[str, Any]]] = {
    "question": (QUESTION, {"add_generation_prompt": True}),
    "talk": (TALK, {"add_generation_prompt": True}),
    "talk without a prompt": (TALK, {"add_generation_prompt": False}),
    "thought": (THOUGHT, {"add_generation_prompt": True, "enable_thinking": False}),
    "calls": (CALLS, {"add_generation_prompt": True, "tools": [WEATHER], "date_string": "1 May"}),
    "no tools": (QUESTION, {"add_generation_prompt": True, "tools": [], "documents": []}),
    "documents": (QUESTION, {"add_generation_prompt": True, "documents": DOCUMENTS, "citation_mode": "fast"}),
    "parts": (PARTS, {"add_generation_prompt": True}),
    "begun": (BEGUN, {"continue_final_message": True}),
    "own tokens": (QUESTION, {"bos_token": "<bos>", "controls": {"length": "long", "ö": 1}}),
}


def templates() -> dict[str, str]:
    """The templates of chat_templates.txt by their names."""
    _, *parts = re.split(r"^=== (.+)\n", (HERE / "chat_templates.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: text.removesuffix("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}


def recorded() -> dict[str, dict[str, dict[str, str]]]:
    """What transformers wrote, by template and situation: a `text`, or an `error`."""
    found: dict[str, dict[str, dict[str, str]]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found
