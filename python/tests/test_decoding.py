# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decoding token by token is decoding the whole, for every kind of tokenizer."""

from __future__ import annotations

import os
import random
import time

import pytest
from tokenizers import Tokenizer as Inner
from tokenizers import pre_tokenizers

from lariat._decoding import REPLACEMENT
from lariat.text import StoppedStream, TextStream, Tokenizer
from tests.kinds import KINDS

NUM_SEQUENCES = 10_000

TEXT = ["日", "本", "😀", "👩‍👧", "é", "e\u0301", " ", "a", "ß", "\u200b"]


def byte_tokens(inner: Inner) -> list[int] | None:
    """The ids of the 256 bytes, where the vocabulary has them."""
    found = [inner.token_to_id(f"<0x{byte:02X}>") for byte in range(256)]
    if None in found:
        # The characters of the alphabet are in the order of their bytes but for those that cannot be printed.
        printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        others = iter(range(0x100, 0x200))
        characters = [chr(byte if byte in printed else next(others)) for byte in range(256)]
        assert set(characters) == set(pre_tokenizers.ByteLevel.alphabet())
        found = [inner.token_to_id(character) for character in characters]
    return None if None in found else found


def draw(source: random.Random, size: int, bytes: list[int] | None) -> list[int]:
    """Any tokens, some unknown, and characters in bytes of which some are lost."""
    tokens = [source.randrange(size + 2) for _ in range(source.randrange(8))]
    if bytes is not None and source.random() < 0.7:
        data = "".join(source.choices(TEXT, k=source.randrange(1, 4))).encode()
        text = [bytes[byte] for byte in data if source.random() < 0.95]
        at = source.randrange(len(tokens) + 1)
        tokens[at:at] = text
    return tokens


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clean_up", [False, True])
def test_pieces_add_up_to_the_text_of_all_tokens(kind: str, clean_up: bool) -> None:
    inner = KINDS[kind]()
    tokenizer = Tokenizer(inner, clean_up=clean_up)
    bytes, size = byte_tokens(inner), inner.get_vocab_size()
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    # Cleaning up is the same work behind any decoder, and the last kinds are rare.
    for _ in range(NUM_SEQUENCES // 10 if clean_up or kind in ("edited", "waiting") else NUM_SEQUENCES):
        tokens = draw(source, size, bytes)
        cut = source.choice([0, source.randrange(len(tokens) + 1)])
        stream = TextStream(tokenizer, tokens[:cut])
        text = "".join([*map(stream.push, tokens[cut:]), stream.finish()])
        prompt, whole = tokenizer.decode(tokens[:cut]), tokenizer.decode(tokens)
        assert text == whole[len(os.path.commonprefix([prompt, whole])) :], (tokens, cut)


@pytest.mark.parametrize("kind", ["byte-level", "byte-fallback", "unigram", "word-piece", "word-level", "speech"])
def test_a_stop_text_ends_the_text_with_the_token_that_completes_it(kind: str) -> None:
    inner = KINDS[kind]()
    tokenizer = Tokenizer(inner)
    bytes, size = byte_tokens(inner), inner.get_vocab_size()
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    for _ in range(NUM_SEQUENCES // 5):
        tokens = draw(source, size, bytes)
        whole = tokenizer.decode(tokens)
        starts = [source.randrange(len(whole) + 1) for _ in range(source.randrange(3))]
        stops = [text for at in starts if (text := whole[at : at + source.randrange(1, 4)]) and REPLACEMENT not in text]
        stream = StoppedStream(tokenizer, [], stops)
        text, count = "", 0
        while not stream.found and count < len(tokens):
            text += stream.push(tokens[count])
            count += 1
        text += stream.finish()
        # The first tokens whose text has a stop text, and what comes before it.
        texts = [tokenizer.decode(tokens[:number]) for number in range(1, len(tokens) + 1)]
        number = next((at for at, one in enumerate(texts, 1) if any(stop in one for stop in stops)), len(tokens))
        end = texts[number - 1] if texts else ""
        ends = [end.find(stop) for stop in stops if stop in end]
        assert (text, count) == (end[: min(ends, default=len(end))], number), (tokens, stops)


@pytest.mark.parametrize("kind", ["byte-level", "byte-fallback", "unigram", "word-piece", "word-level", "word-ends"])
def test_the_cost_of_a_token_does_not_grow(kind: str) -> None:
    inner = KINDS[kind]()
    tokenizer = Tokenizer(inner)
    source = random.Random(1)
    tokens = [source.randrange(inner.get_vocab_size()) for _ in range(20_000)]
    stream = TextStream(tokenizer)

    def seconds(part: list[int]) -> float:
        start = time.process_time()
        for token in part:
            stream.push(token)
        return time.process_time() - start

    first, *_, last = [seconds(tokens[at : at + 5000]) for at in range(0, 20_000, 5000)]
    # Decoding all tokens again with each would take seven times as long in the last quarter.
    assert last < 3 * first + 0.05


def test_a_long_run_of_byte_tokens_costs_as_much_for_each() -> None:
    inner = KINDS["byte-fallback"]()
    stream = TextStream(Tokenizer(inner))
    ids = byte_tokens(inner)
    assert ids is not None
    data = "日本語" * 20_000
    start = time.process_time()
    assert "".join(stream.push(ids[byte]) for byte in data.encode()) == ""
    assert stream.finish() == data
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("kind", "pieces", "want"),
    [
        ("byte-level", ["I", "n", "Ġthe"], ["I", "n", " the"]),
        ("byte-fallback", ["▁In", "▁the", "."], ["In", " the", "."]),
        ("unigram", ["▁In", "▁the", "."], ["In", " the", "."]),
        ("word-piece", ["in", "be", "##gin", "."], ["in", " be", "gin", "."]),
        ("word-level", ["in", "the"], ["in", " the"]),
        ("word-ends", ["be", "ning</w>", "the</w>"], ["be", "ning", " the"]),
    ],
)
def test_nothing_is_held_back_that_no_token_can_change(kind: str, pieces: list[str], want: list[str]) -> None:
    inner = KINDS[kind]()
    stream = TextStream(Tokenizer(inner))
    assert [stream.push(inner.token_to_id(piece)) for piece in pieces] == want
