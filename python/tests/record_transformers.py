# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes recorded_chats.json and recorded_tokens.json anew. Needs transformers: scripts/setup.sh --with-torch.

In python/: python -m tests.record_transformers
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests import conversations, settings
from tests.kinds import word_level


def record_chats() -> dict[str, dict[str, dict[str, str]]]:
    """Every template in every situation."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=word_level(), additional_special_tokens=["<x>"], **conversations.TOKENS
    )
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name, source in conversations.templates().items():
        for situation, (messages, options) in conversations.SITUATIONS.items():
            try:
                text = tokenizer.apply_chat_template(messages, chat_template=source, tokenize=False, **options)
                result = {"text": text}
            except Exception as failure:
                result = {"error": type(failure).__name__, "message": str(failure)}
            found.setdefault(name, {})[situation] = result
    return found


def record_tokens() -> dict[str, list[dict[str, Any]]]:
    """Every text by every tokenizer: its tokens, and what they decode to."""
    from transformers import AutoTokenizer

    found: dict[str, list[dict[str, Any]]] = {}
    for name, case in settings.cases().items():
        with tempfile.TemporaryDirectory() as folder:
            settings.write_files(Path(folder), case)
            (Path(folder) / "config.json").write_text('{"model_type": "llama"}')
            tokenizer = AutoTokenizer.from_pretrained(folder)
        for text in settings.TEXTS:
            ids = tokenizer(text)["input_ids"]
            decoded = tokenizer.decode(ids, skip_special_tokens=True)
            tokens = tokenizer.convert_ids_to_tokens(ids)
            found.setdefault(name, []).append({"tokens": tokens, "decoded": decoded})
    return found


def _write(path: Path, recorded: object) -> None:
    path.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write(conversations.RECORDED, record_chats())
    _write(settings.RECORDED, record_tokens())
