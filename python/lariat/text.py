# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text in and out of token ids, with the artefact's own tokenizer.json; decoding as tokens arrive; stop strings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lariat.errors import ArtefactError, RuntimeFault

if TYPE_CHECKING:
    import tokenizers

__all__ = ["StopText", "TextStream", "Tokenizer"]

# What a decoder writes for bytes that are no character, or not yet one.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# A UTF-8 character has at most four bytes, so at most three can wait for the rest.
MOST_WAITING = 3

# Tokens decoded again as context of the next one: some decoders treat the first token of a text differently.
CONTEXT_TOKENS = 8


class Tokenizer:
    """The tokenizer of a model.

    >>> Tokenizer.of("ouro.lariat").encode("And God")
    [65, 110, 100, 32, 71, 111, 100]
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def of(cls, artefact: str | os.PathLike[str]) -> Tokenizer:
        """Read tokenizer.json of an artefact or checkpoint directory.

        Raises:
            ArtefactError: if there is none, or the `tokenizers` library refuses it.
        """
        import tokenizers

        path = Path(artefact) / "tokenizer.json"
        if not path.is_file():
            raise ArtefactError(f"{path.parent} has no tokenizer.json: give token ids instead of text")
        try:
            return cls(tokenizers.Tokenizer.from_file(str(path)))
        except Exception as failure:  # the library raises Exception itself
            raise ArtefactError(f"{path}: {' '.join(str(failure).split())}") from None

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids of `text`, with the special tokens that tokenizer.json adds unless `special` says not to.

        Raises:
            RuntimeFault: if the text cannot be encoded or has no tokens.
        """
        try:
            tokens = [int(token) for token in self._tokenizer.encode(text, add_special_tokens=special).ids]
        except Exception as failure:  # as above
            raise RuntimeFault(f"cannot encode the text: {' '.join(str(failure).split())}") from None
        if not tokens:
            raise RuntimeFault("the text has no tokens: a model needs at least one")
        return tokens

    def find(self, token: str) -> int | None:
        """Id of a token by its text; none where there is no such token."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, without special tokens and ids that tokenizer.json does not know."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))


class TextStream:
    """Decodes token by token: what `push` and `finish` return adds up to the text of all tokens.

    A character whose bytes are spread over tokens comes out whole, with its last one.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._window: list[int] = []
        self._num_given = 0

    def push(self, token: int) -> str:
        """Text that `token` completes, often one word or part of one, sometimes none."""
        self._window.append(token)
        text = self._tokenizer.decode(self._window)
        whole = text.rstrip(REPLACEMENT)
        waiting = min(len(text) - len(whole), MOST_WAITING)
        new = text[self._num_given : len(text) - waiting]
        self._num_given += len(new)
        if not waiting and len(self._window) > 2 * CONTEXT_TOKENS:
            self._window = self._window[-CONTEXT_TOKENS:]
            self._num_given = len(self._tokenizer.decode(self._window))
        return new

    def finish(self) -> str:
        """What is left when no token follows: bytes that never became a character."""
        text = self._tokenizer.decode(self._window)[self._num_given :]
        self._num_given += len(text)
        return text


class StopText:
    """Finds the first of some strings in text that arrives in pieces.

    Attributes:
        found: whether one was found; what follows it is dropped.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        if not all(strings):
            raise RuntimeFault("a stop text is empty: it would stop before the first token")
        self._strings = tuple(strings)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """Text that is certain to come before a stop string; the rest is held back."""
        if self.found:
            return ""
        self._held += text
        matches = [at for at in (self._held.find(string) for string in self._strings) if at >= 0]
        if matches:
            self.found = True
            end = min(matches)
        else:
            end = len(self._held) - max((self._overlap(string) for string in self._strings), default=0)
        given, self._held = self._held[:end], self._held[end:]
        return given

    def finish(self) -> str:
        """Text held back when no more arrives."""
        held, self._held = self._held, ""
        return "" if self.found else held

    def _overlap(self, string: str) -> int:
        """Length of the longest end of the held text that `string` starts with."""
        lengths = range(min(len(string) - 1, len(self._held)), 0, -1)
        return next((length for length in lengths if self._held.endswith(string[:length])), 0)
