# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokenizer, decoding token by token, stop texts."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from lariat.errors import ArtefactError, RuntimeFault
from lariat.text import StopText, TextStream, Tokenizer
from tests.fakes import MODELS

BYTES = Tokenizer.of(MODELS / "ouro")


def decode_in_pieces(tokenizer: Tokenizer, tokens: list[int]) -> list[str]:
    stream = TextStream(tokenizer)
    return [*(stream.push(token) for token in tokens), stream.finish()]


@given(st.text())
def test_text_survives_encoding_and_decoding_in_pieces(text: str) -> None:
    if text:
        assert "".join(decode_in_pieces(BYTES, BYTES.encode(text))) == text


@given(st.lists(st.integers(0, 319), max_size=80))
def test_any_tokens_decode_to_the_same_text_in_pieces(tokens: list[int]) -> None:
    assert "".join(decode_in_pieces(BYTES, tokens)) == BYTES.decode(tokens)


def test_a_character_comes_whole_with_its_last_byte() -> None:
    pieces = decode_in_pieces(BYTES, list("a€b".encode()))
    assert pieces == ["a", "", "", "€", "b", ""]


def test_bytes_that_never_become_a_character_come_at_the_end() -> None:
    assert decode_in_pieces(BYTES, [97, 0xE2, 0x82]) == ["a", "", "", "\ufffd"]


def test_tokens_after_invalid_bytes_are_not_held_back() -> None:
    assert "".join(decode_in_pieces(BYTES, [0xFF] * 8 + [97])[:-1]) == "\ufffd" * 8 + "a"


def test_special_and_unknown_ids_have_no_text() -> None:
    assert BYTES.decode([256, 72, 105, 257, 319]) == "Hi"


def test_words_keep_their_spaces_in_a_sentencepiece_tokenizer() -> None:
    # Its decoder drops the space before the first token of a text only.
    vocabulary = {"\u2581In": 0, "\u2581the": 1, "\u2581be": 2, "ginning": 3}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="\u2581In"))
    inner.decoder = tokenizers.decoders.Metaspace()
    tokens = [0, 1, 2, 3] * 20
    pieces = decode_in_pieces(Tokenizer(inner), tokens)
    assert pieces[:4] == ["In", " the", " be", "ginning"]
    assert "".join(pieces) == " ".join(["In the beginning"] * 20)


def test_a_text_without_tokens_is_refused() -> None:
    with pytest.raises(RuntimeFault, match="the text has no tokens"):
        BYTES.encode("")


def test_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"has no tokenizer\.json: give token ids"):
        Tokenizer.of(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", '{"model": {"type": "Nothing"}}'])
def test_a_damaged_tokenizer(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ArtefactError, match=r"tokenizer\.json: \S"):
        Tokenizer.of(tmp_path)


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.data())
def test_stop_texts_are_found_however_the_text_is_cut(text: str, strings: list[str], data: st.DataObject) -> None:
    stop = StopText(strings)
    out, rest = "", text
    while rest:
        length = data.draw(st.integers(1, len(rest)))
        out, rest = out + stop.push(rest[:length]), rest[length:]
    ends = [text.find(string) for string in strings if string in text]
    assert stop.found == bool(ends)
    # A longer piece may hold two stop texts, and a shorter one may end before an earlier longer one is complete.
    if not ends:
        assert out + stop.finish() == text
    else:
        assert text.startswith(out)
        assert stop.finish() == ""
        assert any(text[len(out) :].startswith(string) for string in strings)


def test_what_may_become_a_stop_text_is_held_back() -> None:
    stop = StopText(["\n\n"])
    assert [stop.push(piece) for piece in ("a\n", "b\n", "\nc", "d")] == ["a", "\nb", "", ""]
    assert stop.found


def test_an_empty_stop_text_is_refused() -> None:
    with pytest.raises(RuntimeFault, match="a stop text is empty"):
        StopText(["."] + [""])
