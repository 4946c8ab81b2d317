# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decoders of tokenizer.json, token by token: text comes as soon as no later token can change it.

The `tokenizers` library decodes a list of tokens at once. Decoding each new token with a few before it is not the same:
a run of byte tokens is text only if all of it is UTF-8, some decoders treat the first or the last token differently,
and others edit the joined text. Here every decoder of the library is a stage that keeps what it still needs, so that
what the stages give adds up to what the library gives, at a constant cost for each token.

Stages before a `Fuse` or `ByteLevel` take tokens, those behind it take pieces of one text.
"""

from __future__ import annotations

import codecs
import copy
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tokenizers.decoders import Decoder

__all__ = ["CLEAN_UP", "REPLACEMENT", "ByteRun", "Chain", "overlap"]

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What a decoder writes for bytes that are no character."""

# What transformers' `clean_up_tokenization` replaces, in this order.
CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)

_BYTE_TOKEN = re.compile(r"<0x(\+[0-9A-Fa-f]|[0-9A-Fa-f]{2})>")


class Stage(Protocol):
    """Takes tokens or pieces of a text, and gives what is settled of what it makes of them."""

    def push(self, piece: str) -> Sequence[str]: ...

    def finish(self) -> Sequence[str]:
        """The rest, when nothing follows."""


class Chain:
    """The decoder of a tokenizer, in some state."""

    def __init__(self, decoder: Decoder | None, *, clean_up: bool = False) -> None:
        """`clean_up` asks for what transformers does for `clean_up_tokenization_spaces` of tokenizer_config.json."""
        self._stages = _stages(decoder)
        if clean_up:
            self._stages += [_ReplaceInText(old, new) for old, new in CLEAN_UP]

    def push(self, token: str) -> str:
        """Text that is settled with `token`."""
        return self._run([token], 0)

    def finish(self) -> str:
        """The rest of the text, when no token follows."""
        text = ""
        for number, stage in enumerate(self._stages):
            text += self._run(stage.finish(), number + 1)
        return text

    def rest(self) -> str:
        """What `finish` would give, without ending the text."""
        return self.copy().finish()

    def copy(self) -> Chain:
        twin = copy.copy(self)
        twin._stages = [copy.copy(stage) for stage in self._stages]
        return twin

    @property
    def run(self) -> ByteRun | None:
        """The stage that collects byte tokens, if the decoder has one."""
        return next((stage for stage in self._stages if isinstance(stage, ByteRun)), None)

    def _run(self, pieces: Sequence[str], first: int) -> str:
        for stage in self._stages[first:]:
            if not pieces:
                return ""
            pieces = [made for piece in pieces for made in stage.push(piece)]
        return "".join(pieces)


def _stages(decoder: Decoder | None) -> list[Stage]:
    if decoder is None:
        return [_Joined()]
    specs = _flatten(json.loads(decoder.__getstate__()))
    found: list[Stage] = []
    in_text = False
    for number, spec in enumerate(specs):
        kind = spec["type"]
        make = (_IN_TEXT if in_text else _OF_TOKENS).get(kind)
        stage = None if make is None else make(spec)
        # Behind a decoder that gives a token in two pieces, pieces may be all of one text only.
        if stage is None or (
            isinstance(stage, _WordEnds) and any(one["type"] != "Fuse" for one in specs[number + 1 :])
        ):
            # What only the whole list of tokens or the whole text decides waits for it.
            found.append(_Whole([_library(one) for one in specs[number:]], in_text))
            return found
        found.append(stage)
        in_text = in_text or kind in ("ByteLevel", "Fuse")
    return found


def _flatten(spec: dict[str, Any]) -> list[dict[str, Any]]:
    if spec["type"] != "Sequence":
        return [spec]
    return [one for inner in spec["decoders"] for one in _flatten(inner)]


def _library(spec: dict[str, Any]) -> Decoder:
    """The library's decoder of a specification."""
    from tokenizers import decoders

    found: Decoder = decoders.Fuse()
    found.__setstate__(json.dumps(spec).encode())
    return found


# --- stages that take tokens ----------------------------------------------------------------------------------------


class _Joined:
    """No decoder: a space between tokens."""

    def __init__(self) -> None:
        self._first = True

    def push(self, piece: str) -> Sequence[str]:
        text = piece if self._first else f" {piece}"
        self._first = False
        return (text,)

    def finish(self) -> Sequence[str]:
        return ()


class _Each:
    """A decoder that takes each token by itself, and the first one differently."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._first = True

    def push(self, piece: str) -> Sequence[str]:
        text = self._decoder.decode([piece] if self._first else ["", piece])
        self._first = False
        return (text,)

    def finish(self) -> Sequence[str]:
        return ()


class _Mapped:
    """A decoder that takes each token by itself."""

    def __init__(self, change: Callable[[str], str]) -> None:
        self._change = change

    def push(self, piece: str) -> Sequence[str]:
        return (self._change(piece),)

    def finish(self) -> Sequence[str]:
        return ()


class _WordEnds:
    """BPEDecoder: a suffix ends a word. It becomes a space, but not in the last token."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._held = ""

    def push(self, piece: str) -> Sequence[str]:
        before = self._held.replace(self._suffix, " ")
        start, end, rest = piece.partition(self._suffix)
        self._held = end + rest
        return (before, start)

    def finish(self) -> Sequence[str]:
        held, self._held = self._held, ""
        return (held.replace(self._suffix, ""),)


class _Distinct:
    """CTC: of tokens that are the same, only the first counts."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._last: str | None = None

    def push(self, piece: str) -> Sequence[str]:
        if piece == self._last:
            return ()
        self._last = piece
        text = self._decoder.decode([piece])
        return (text,) if text else ()

    def finish(self) -> Sequence[str]:
        return ()


class ByteRun:
    """ByteFallback: tokens `<0xNN>` in a row are one text, or a replacement character each if they are not UTF-8.

    So a run is settled when it ends or is no start of UTF-8 any more, not with each character.
    """

    def __init__(self) -> None:
        self._characters: list[str] = []
        self._part = b""
        self._count = 0
        self._broken = False

    def __copy__(self) -> ByteRun:
        twin = ByteRun()
        twin._characters = list(self._characters)
        twin._part, twin._count, twin._broken = self._part, self._count, self._broken
        return twin

    def push(self, piece: str) -> Sequence[str]:
        found = _BYTE_TOKEN.fullmatch(piece)
        if found is None:
            return (*self.finish(), piece)
        self._count += 1
        if self._broken:
            return (REPLACEMENT,)
        part = self._part + bytes([int(found[1], 16)])
        try:
            text, used = codecs.utf_8_decode(part, "strict", False)
        except UnicodeDecodeError:
            self._broken = True
            self._characters.clear()
            return (REPLACEMENT,) * self._count
        self._part = part[used:]
        if text:
            self._characters.append(text)
        return ()

    def finish(self) -> Sequence[str]:
        given: Sequence[str] = ()
        if self._count and not self._broken:
            given = (REPLACEMENT,) * self._count if self._part else ("".join(self._characters),)
        self._characters, self._part, self._count, self._broken = [], b"", 0, False
        return given

    def characters(self, most: int) -> str:
        """The last characters of a run that would be text if it ended here; none in the midst of a character."""
        return "" if self._part or most < 1 else "".join(self._characters[-most:])

    @property
    def num_characters(self) -> int:
        return len(self._characters)


class _Bytes:
    """ByteLevel: the characters of tokens stand for bytes. Bytes that are no UTF-8 become replacement characters."""

    def __init__(self) -> None:
        self._part = b""

    def push(self, piece: str) -> Sequence[str]:
        try:
            data = bytes([_BYTE_OF[character] for character in piece])
        except KeyError:
            data = piece.encode()
        part = self._part + data
        text, used = codecs.utf_8_decode(part, "replace", False)
        self._part = part[used:]
        return (text,)

    def finish(self) -> Sequence[str]:
        part, self._part = self._part, b""
        return (part.decode("utf-8", "replace"),)


def _byte_of() -> dict[str, int]:
    """The byte that a character of a byte-level token stands for: itself if it can be printed, else one from U+0100."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printed]
    return {chr(byte): byte for byte in printed} | {chr(0x100 + at): byte for at, byte in enumerate(others)}


_BYTE_OF = _byte_of()


# --- stages that take pieces of one text ----------------------------------------------------------------------------


class _ReplaceInText:
    """Replaces a string in a text, and holds back what may be its start."""

    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new
        self._held = ""

    def push(self, piece: str) -> Sequence[str]:
        *done, rest = (self._held + piece).split(self._old)
        length = overlap(rest, self._old)
        self._held = rest[len(rest) - length :]
        return (self._new.join([*done, rest[: len(rest) - length]]),)

    def finish(self) -> Sequence[str]:
        held, self._held = self._held, ""
        return (held,)


class _StripText:
    """Drops up to `start` characters at the start of a text and up to `stop` at its end."""

    def __init__(self, content: str, start: int, stop: int) -> None:
        self._content, self._start, self._stop = content, start, stop
        self._held = ""

    def push(self, piece: str) -> Sequence[str]:
        while self._start and piece.startswith(self._content):
            piece, self._start = piece[1:], self._start - 1
        if piece:
            self._start = 0
        text = self._held + piece
        # More of them than `stop` at the end are not all dropped.
        end = max(len(text.rstrip(self._content)), len(text) - self._stop)
        self._held = text[end:]
        return (text[:end],)

    def finish(self) -> Sequence[str]:
        self._held = ""
        return ()


class _Whole:
    """Waits for the end, and asks the library."""

    def __init__(self, decoders: Sequence[Decoder], in_text: bool) -> None:
        self._decoders = decoders
        self._in_text = in_text
        self._pieces: list[str] = []

    def __copy__(self) -> _Whole:
        twin = _Whole(self._decoders, self._in_text)
        twin._pieces = list(self._pieces)
        return twin

    def push(self, piece: str) -> Sequence[str]:
        self._pieces.append(piece)
        return ()

    def finish(self) -> Sequence[str]:
        from tokenizers import decoders

        pieces, self._pieces = self._pieces, []
        if not pieces:
            return ()
        tokens = ["".join(pieces)] if self._in_text else pieces
        return (decoders.Sequence(list(self._decoders)).decode(tokens),)


def overlap(text: str, start: str) -> int:
    """Length of the longest end of `text` that is a start of `start`, but not all of it."""
    lengths = range(min(len(start) - 1, len(text)), 0, -1)
    return next((length for length in lengths if text.endswith(start[:length])), 0)


# --- which stage a decoder is ---------------------------------------------------------------------------------------


def _replace(spec: dict[str, Any]) -> Stage:
    old, new = spec["pattern"].get("String"), spec["content"]
    return _Mapped(lambda piece: piece.replace(old, new)) if old else _Each(_library(spec))


def _strip(spec: dict[str, Any]) -> Stage:
    def strip(piece: str) -> str:
        stage = _StripText(spec["content"], spec["start"], spec["stop"])
        return "".join(stage.push(piece))

    return _Mapped(strip)


def _replace_in_text(spec: dict[str, Any]) -> Stage | None:
    old = spec["pattern"].get("String")
    return _ReplaceInText(old, spec["content"]) if old else None


_OF_TOKENS: dict[str, Callable[[dict[str, Any]], Stage | None]] = {
    "BPEDecoder": lambda spec: _WordEnds(spec["suffix"]) if spec["suffix"] else None,
    "ByteFallback": lambda spec: ByteRun(),
    "ByteLevel": lambda spec: _Bytes(),
    "CTC": lambda spec: _Distinct(_library(spec)),
    "Fuse": lambda spec: _Mapped(str),
    "Metaspace": lambda spec: _Each(_library(spec)),
    "Replace": _replace,
    "Strip": _strip,
    "WordPiece": lambda spec: _Each(_library(spec)),
}

_IN_TEXT: dict[str, Callable[[dict[str, Any]], Stage | None]] = {
    "Fuse": lambda spec: _Mapped(str),
    "Replace": _replace_in_text,
    "Strip": lambda spec: _StripText(spec["content"], spec["start"], spec["stop"]),
}
