# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small tokenizers of every kind that checkpoints come with, made on the spot."""

from __future__ import annotations

from collections.abc import Callable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIAL = ["<unk>", "<s>", "</s>", "<|end|>"]

LINES = [
    "In the beginning God created the heaven and the earth.",
    "And the earth was without form, and void; it's not what they've seen.",
    "日本語と中文の文字列 한국어 русский текст",
    "👩‍👩‍👧 😀 e\u0301 é n\u0303 Z\u0351\u036b ½ – “quotes”",
    "Do not  leave   spaces\n\n\tout, please ! Isn't it ' so ' ?",
]

PIECES = [
    "▁In",
    "▁the",
    "▁be",
    "gin",
    "ning",
    "▁",
    "a",
    "é",
    "日",
    "▁日本",
    "😀",
    "e",
    "\u0301",
    ".",
    "▁.",
    "'s",
    "▁'",
    "n't",
    "!",
]


def _added(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in SPECIAL])
    # One that is not special, so that it is part of the text.
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("日 é", normalized=False)])
    return tokenizer


def byte_level() -> Tokenizer:
    """As of GPT-2, Llama 3 and Qwen."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        LINES, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    return _added(tokenizer)


def byte_fallback(strip: int = 1) -> Tokenizer:
    """As of Llama 2; without `strip`, of Gemma."""
    words = {one: number for number, one in enumerate(SPECIAL)}
    for byte in range(256):
        words[f"<0x{byte:02X}>"] = len(words)
    for piece in PIECES:
        words.setdefault(piece, len(words))
    tokenizer = Tokenizer(models.BPE(words, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", strip, 0)] if strip else steps)
    return _added(tokenizer)


def unigram() -> Tokenizer:
    """As of T5 and XLNet."""
    tokenizer = Tokenizer(
        models.Unigram([("<unk>", 0.0), *((piece, -float(at)) for at, piece in enumerate(PIECES))], 0)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return _added(tokenizer)


def word_piece() -> Tokenizer:
    """As of BERT."""
    words = [
        "<unk>",
        "in",
        "the",
        "be",
        "##gin",
        "##ning",
        "日",
        "本",
        "é",
        "##e",
        "😀",
        ".",
        ",",
        "'",
        "s",
        "do",
        "not",
        "##.",
    ]
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _added(tokenizer)


def word_level() -> Tokenizer:
    """Words, without a decoder."""
    words = ["<unk>", "in", "the", "beginning", "日本", "é", "😀", ".", "'", "n't"]
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return _added(tokenizer)


def word_ends() -> Tokenizer:
    """As of the first GPT: a suffix ends words."""
    words = ["<unk>", "in</w>", "the</w>", "be", "gin", "ning</w>", "日</w>", "é", "😀</w>", "</w>", "a</w>b</w>"]
    tokenizer = Tokenizer(models.BPE({word: at for at, word in enumerate(words)}, [], end_of_word_suffix="</w>"))
    tokenizer.decoder = decoders.BPEDecoder()
    return _added(tokenizer)


def speech() -> Tokenizer:
    """Characters of a recogniser, where a repeated one counts once."""
    words = ["<pad>", "|", *"abcdé日'."]
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.decoder = decoders.CTC()
    return _added(tokenizer)


def edited() -> Tokenizer:
    """Decoders that edit the joined text, at its end and by a pattern."""
    tokenizer = byte_fallback()
    steps = [decoders.Replace(Regex("[▁]"), " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Replace(" be", " (be)"), decoders.Replace("ning .", "!")])
    return tokenizer


def waiting() -> Tokenizer:
    """A decoder that only the whole text decides."""
    tokenizer = byte_level()
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace(Regex(r"\s+$"), "")])
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte-level": byte_level,
    "byte-fallback": byte_fallback,
    "byte-fallback without strip": lambda: byte_fallback(strip=0),
    "unigram": unigram,
    "word-piece": word_piece,
    "word-level": word_level,
    "word-ends": word_ends,
    "speech": speech,
    "edited": edited,
    "waiting": waiting,
}
