# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""An artefact has every file that decides what text is: the checkpoint is no longer needed."""

from __future__ import annotations

import shutil
from pathlib import Path

import lariat
from lariat.chat import ChatTemplate
from lariat.text import Tokenizer
from tests.fakes import MODELS

BESIDE = {
    "tokenizer_config.json": '{"eos_token": "A"}',
    "special_tokens_map.json": '{"bos_token": "<s>"}',
    "added_tokens.json": '{"<tool>": 320}',
    "chat_template.jinja": "default {{ eos_token }}",
    "additional_chat_templates/tool_use.jinja": "tools {{ bos_token }}",
    "generation_config.json": '{"eos_token_id": [5]}',
}


def test_files_beside_the_tokenizer_are_in_the_artefact(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(MODELS / "ouro", checkpoint)
    (checkpoint / "additional_chat_templates").mkdir()
    (checkpoint / "additional_chat_templates" / "notes.txt").write_text("no template")
    for name, text in BESIDE.items():
        (checkpoint / name).write_text(text)
    artefact = tmp_path / "a.lariat"
    lariat.compile(checkpoint, artefact, lariat.CompileOptions(pipeline="reference"))
    assert {name: (artefact / name).read_text() for name in BESIDE} == BESIDE
    assert not (artefact / "additional_chat_templates" / "notes.txt").exists()
    template = ChatTemplate.of(artefact)
    assert template.render([{"role": "user"}]) == "default A"
    assert template.render([{"role": "user"}], tools=[]) == "tools <s>"
    assert len(Tokenizer.of(artefact).encode("<tool>")) == 1
