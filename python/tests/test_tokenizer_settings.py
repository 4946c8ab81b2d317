# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files beside tokenizer.json change what it does as they do for transformers, whose results are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from lariat.errors import ArtefactError, RuntimeFault
from lariat.text import TextStream, Tokenizer
from tests.settings import TEXTS, cases, recorded, write_files

CASES = cases()
WANTED = recorded()


@pytest.mark.parametrize("name", CASES)
def test_texts_are_tokens_as_for_transformers(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, CASES[name])
    tokenizer = Tokenizer.of(tmp_path)
    for text, want in zip(TEXTS, WANTED[name], strict=True):
        if not want["tokens"]:
            with pytest.raises(RuntimeFault, match="^the text has no tokens"):
                tokenizer.encode(text)
            continue
        ids = tokenizer.encode(text)
        assert [tokenizer.token(id) for id in ids] == want["tokens"], text
        assert tokenizer.decode(ids) == want["decoded"]
        stream = TextStream(tokenizer)
        assert "".join([*map(stream.push, ids), stream.finish()]) == want["decoded"]


def test_spaces_before_punctuation_go_where_the_settings_say_so(tmp_path: Path) -> None:
    for kind, want in (("unigram", "be."), ("byte-fallback", "be .")):
        write_files(tmp_path, (kind, {"tokenizer_config": {"clean_up_tokenization_spaces": True}}))
        tokenizer = Tokenizer.of(tmp_path)
        ids = [id for piece in ("▁be", "▁.") if (id := tokenizer.find(piece)) is not None]
        assert tokenizer.decode(ids) == want


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer_config.json", "[]", "expected an object, found list"),
        ("tokenizer_config.json", "{", "not JSON"),
        ("special_tokens_map.json", "\x00", "not JSON"),
        (
            "tokenizer_config.json",
            '{"added_tokens_decoder": {"5": "x"}}',
            "token 5 of 'added_tokens_decoder' has",
        ),
        (
            "tokenizer_config.json",
            '{"eos_token": {"content": "x", "lstrip": 1}}',
            "'lstrip' of token 'x' is",
        ),
    ],
)
def test_damaged_settings(tmp_path: Path, name: str, content: str, message: str) -> None:
    write_files(tmp_path, ("unigram", {}))
    (tmp_path / name).write_text(content)
    with pytest.raises(ArtefactError, match=rf"{name}: {message}"):
        Tokenizer.of(tmp_path)


def test_settings_with_a_byte_order_mark(tmp_path: Path) -> None:
    write_files(tmp_path, ("unigram", {}))
    (tmp_path / "tokenizer_config.json").write_bytes(b'\xef\xbb\xbf{"additional_special_tokens": ["be"]}')
    assert "be" in Tokenizer.of(tmp_path).special_texts
