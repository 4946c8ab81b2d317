# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokenizer, decoding token by token, stop texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from lariat.errors import ArtefactError, RuntimeFault
from lariat.text import StoppedStream, StopText, TextStream, Tokenizer
from tests.fakes import MODELS
from tests.kinds import KINDS

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


# --- byte tokens ----------------------------------------------------------------------------------------------------

FALLBACK = Tokenizer(KINDS["byte-fallback"]())


def in_bytes(text: str | bytes) -> list[int]:
    """Byte tokens of a text."""
    data = text.encode() if isinstance(text, str) else text
    return [token for byte in data if (token := FALLBACK.find(f"<0x{byte:02X}>")) is not None]


def word(piece: str) -> int:
    found = FALLBACK.find(piece)
    assert found is not None
    return found


def test_characters_in_byte_tokens_come_with_the_first_token_that_is_no_byte() -> None:
    tokens = [*in_bytes("中語"), word("."), *in_bytes("😀")]
    assert decode_in_pieces(FALLBACK, tokens) == [*[""] * 6, "中語.", *[""] * 4, "😀"]


def test_a_run_that_is_not_utf8_is_replaced_as_a_whole() -> None:
    # The tokenizers library decodes a run of byte tokens as one text or not at all.
    tokens = [*in_bytes("中"), *in_bytes(b"\xff"), *in_bytes("a"), word(".")]
    assert FALLBACK.decode(tokens) == "\ufffd" * 5 + "."
    assert decode_in_pieces(FALLBACK, tokens) == ["", "", "", "\ufffd" * 4, "\ufffd", ".", ""]


# --- a text after a prompt ------------------------------------------------------------------------------------------


def continued(prompt: list[int], tokens: list[int]) -> str:
    stream = TextStream(FALLBACK, prompt)
    return "".join([*map(stream.push, tokens), stream.finish()])


def test_a_word_after_a_prompt_keeps_its_space() -> None:
    assert continued([word("<s>"), word("▁In")], [word("▁the"), word("▁be")]) == " the be"


def test_a_word_after_no_text_has_no_space() -> None:
    assert continued([], [word("▁the"), word("▁be")]) == "the be"
    assert continued([word("<s>"), word("<|end|>")], [word("▁the"), word("▁be")]) == "the be"


def test_a_prompt_may_end_in_a_character() -> None:
    character = in_bytes("日")
    assert continued([word("▁In"), *character[:2]], [*character[2:], word(".")]) == "日."
    assert continued(list(character), [*in_bytes("中"), word(".")]) == "中."
    assert continued(list(character), in_bytes("é")) == "é"
    assert continued(list(character), in_bytes(b"\xff")) == "\ufffd" * 4
    stream = TextStream(BYTES, list("a€".encode())[:2])
    assert [stream.push(token) for token in "a€b".encode()[2:]] == ["", "€", "b"]


# --- encoding -------------------------------------------------------------------------------------------------------


def write_tokenizer(folder: Path, inner: tokenizers.Tokenizer) -> Path:
    inner.save(str(folder / "tokenizer.json"))
    return folder


def test_stored_truncation_and_padding_are_passed_over(tmp_path: Path) -> None:
    text = "In the beginning"
    want = Tokenizer(KINDS["byte-level"]()).encode(text)
    for direction in ("left", "right"):
        inner = KINDS["byte-level"]()
        inner.enable_truncation(2, direction=direction)
        inner.enable_padding(direction=direction, length=50, pad_id=3)
        assert Tokenizer.of(write_tokenizer(tmp_path, inner)).encode(text) == want


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = write_tokenizer(tmp_path, KINDS["unigram"]()) / "tokenizer.json"
    want = Tokenizer.of(tmp_path).encode("In the")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Tokenizer.of(tmp_path).encode("In the") == want


def test_merges_without_the_prefix_of_continuing_pieces(tmp_path: Path) -> None:
    path = write_tokenizer(tmp_path, KINDS["byte-level"]()) / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    first = tokenizer["model"]["merges"][0][1]
    tokenizer["model"]["continuing_subword_prefix"] = "##"
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(ArtefactError, match=rf"piece '{first}' of merge 0 does not begin with '##'$"):
        Tokenizer.of(tmp_path)


def test_a_tokenizer_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(b'{"model": "caf\xe9"}')
    with pytest.raises(ArtefactError, match=r"tokenizer\.json: byte 14 is not UTF-8$"):
        Tokenizer.of(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("caf\udce9", r"the text is not UTF-8: byte 3 is 0xE9"),
        ("日\udcff", r"the text is not UTF-8: byte 3 is 0xFF"),
        ("a\ud83d", r"the text is not Unicode: character 1 is U\+D83D, half of a surrogate pair"),
    ],
)
def test_half_a_character_is_refused(text: str, message: str) -> None:
    with pytest.raises(RuntimeFault, match=f"^{message}$"):
        BYTES.encode(text)


def test_a_text_without_tokens_is_refused() -> None:
    with pytest.raises(RuntimeFault, match="the text has no tokens"):
        BYTES.encode("")


def test_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"has no tokenizer\.json: give token ids"):
        Tokenizer.of(tmp_path)


def test_what_is_no_token_has_no_text() -> None:
    for tokens in ([-1], [2**40]):
        with pytest.raises(RuntimeFault, match="^cannot decode the tokens: "):
            BYTES.decode(tokens)
        assert BYTES.token(tokens[0]) is None


def test_a_decoder_that_fails_is_an_error() -> None:
    inner = KINDS["unigram"]()
    # The library counts below zero where a token is nothing but what it strips.
    inner.decoder = tokenizers.decoders.Strip("a", 1, 1)
    with pytest.raises(RuntimeFault, match="^cannot decode the tokens: "):
        Tokenizer(inner).decode([inner.token_to_id("a")])


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


# --- stop texts and tokens ------------------------------------------------------------------------------------------


def until(stops: list[str], tokens: list[int], tokenizer: Tokenizer = FALLBACK) -> tuple[str, int | None]:
    """The text, and the number of tokens until a stop text was found, none where it was not."""
    stream = StoppedStream(tokenizer, [tokens[0]], stops)
    text = ""
    for number, token in enumerate(tokens[1:], 1):
        text += stream.push(token)
        if stream.found:
            assert stream.push(token) == stream.finish() == ""
            return text, number
    text += stream.finish()
    return text, len(tokens) if stream.found else None


START = word("<s>")
SENTENCE = [START, word("▁In"), word("▁the"), word("<|end|>"), word("▁be"), word("gin")]


def test_a_special_token_that_a_stop_text_names_ends_the_text() -> None:
    assert until(["<|end|>"], SENTENCE) == ("In the", 3)
    assert until(["</s>"], SENTENCE) == ("In the begin", None)


@pytest.mark.parametrize(
    ("stop", "want"),
    [
        ("the<|end|>", ("In ", 3)),
        ("<|end|> be", ("In the", 4)),
        ("e<|end|> b", ("In th", 4)),
        ("the be", ("In ", 4)),
        ("end", ("In the begin", None)),
        ("|>", ("In the begin", None)),
        ("</s><|end|>", ("In the begin", None)),
    ],
)
def test_a_stop_text_with_a_special_token_in_it(stop: str, want: tuple[str, int | None]) -> None:
    assert until([stop], SENTENCE) == want


def test_a_stop_text_that_names_a_special_token_is_found_in_plain_text_too() -> None:
    tokens = list(b"ab</s>c")
    inner = tokenizers.Tokenizer.from_file(str(MODELS / "ouro" / "tokenizer.json"))
    inner.add_special_tokens(["</s>"])
    assert until(["</s>"], tokens, Tokenizer(inner)) == ("b", 5)


def test_the_first_of_several_stop_texts_ends_the_text() -> None:
    assert until(["begin", "<|end|>", "the"], SENTENCE) == ("In ", 2)
    assert until(["In the begin", "e be"], SENTENCE) == ("In th", 4)


def test_a_stop_text_in_byte_tokens_is_found_with_its_last_byte() -> None:
    tokens = [START, *in_bytes("日中語"), word(".")]
    assert until(["中"], tokens) == ("日", 6)
    assert until(["中語"], tokens) == ("日", 9)
    assert until(["語."], tokens) == ("日中", 10)
    assert until(["本"], tokens) == ("日中語.", None)
    assert until(["👧"], [START, *in_bytes("😀👧")]) == ("😀", 8)


def test_the_prompt_is_not_searched_for_stop_texts() -> None:
    # It ends in a run of byte tokens that goes on.
    stream = StoppedStream(FALLBACK, in_bytes("日中"), ["日", "中"])
    assert [stream.push(token) for token in in_bytes("語é中")] == [*[""] * 7, "語é"]
    assert stream.found


def test_a_run_behind_the_one_that_the_prompt_ended_in_is_searched() -> None:
    # The space that the prompt ends in is dropped, so nothing of it is known.
    stream = StoppedStream(FALLBACK, in_bytes(" "), ["中"])
    assert [stream.push(token) for token in [word("."), *in_bytes("日中")]] == [".", *[""] * 5, "日"]
    assert stream.found


def test_bytes_before_a_stop_text_are_given_as_decoding_gives_them() -> None:
    tokens = [START, *in_bytes("日")[:2], word("<|end|>"), *in_bytes("日")[2:]]
    assert until(["<|end|>"], tokens) == ("\ufffd\ufffd", 3)
    # A special token that no stop text names does not interrupt a character.
    assert until(["x"], tokens) == ("日", None)


def test_a_stop_text_at_the_end_of_what_was_held_back() -> None:
    tokens = [START, *in_bytes("日中")[:5]]
    assert until(["\ufffd"], tokens) == ("", len(tokens))
