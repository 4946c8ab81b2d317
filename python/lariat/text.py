# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text in and out of token ids, with the artefact's own tokenizer.json; decoding as tokens arrive; stop texts.

What a model writes is the text that `decode(prompt + new)` has beyond `decode(prompt)`: a word that the tokenizer
writes with the space before it keeps the space, so that prompt and continuation read on. Where the prompt ends in the
midst of a character, or of a run of byte tokens that the continuation breaks, the two texts differ before the end of
the shorter one; then the continuation begins where they differ.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lariat._decoding import CLEAN_UP, Chain, overlap
from lariat._files import read_text
from lariat._tokenizer_settings import Settings
from lariat.errors import ArtefactError, LariatError, RuntimeFault

if TYPE_CHECKING:
    import tokenizers

__all__ = ["StopText", "StoppedStream", "TextStream", "Tokenizer"]

# Stands for a special token in a text; U+D800 and what follows are in no text that a tokenizer decodes.
FIRST_MARK = 0xD800


class Tokenizer:
    """The tokenizer of a model. Neither cuts a text nor fills it up, whatever tokenizer.json says.

    >>> Tokenizer.of("ouro.lariat").encode("And God")
    [65, 110, 100, 32, 71, 111, 100]
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, *, clean_up: bool = False) -> None:
        """`clean_up` drops spaces before punctuation when it decodes, as transformers does where it is asked to."""
        self._tokenizer = tokenizer
        # A trainer leaves its last settings behind.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._clean_up = clean_up
        added = tokenizer.get_added_tokens_decoder().items()
        self._special = frozenset(token.content for id, token in added if token.special or self._is_left_out(id))

    @classmethod
    def of(cls, artefact: str | os.PathLike[str]) -> Tokenizer:
        """Read tokenizer.json of an artefact or checkpoint directory, and what stands beside it.

        Raises:
            ArtefactError: if there is none, or the `tokenizers` library refuses it.
        """
        import tokenizers

        path = Path(artefact) / "tokenizer.json"
        if not path.is_file():
            raise ArtefactError(f"{path.parent} has no tokenizer.json: give token ids instead of text")
        settings = Settings.read(path.parent)
        text = read_text(path)
        _require_continuations(text, path)
        with _library(lambda words: ArtefactError(f"{path}: {words}")):
            inner = tokenizers.Tokenizer.from_str(text)
            settings.apply(inner)
            return cls(inner, clean_up=settings.cleans_up(inner))

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids of `text`, with the special tokens that tokenizer.json adds unless `special` says not to.

        Raises:
            RuntimeFault: if the text cannot be encoded or has no tokens.
        """
        _require_characters(text)
        with _library(lambda words: RuntimeFault(f"cannot encode the text: {words}")):
            tokens = [int(token) for token in self._tokenizer.encode(text, add_special_tokens=special).ids]
        if not tokens:
            raise RuntimeFault("the text has no tokens: a model needs at least one")
        return tokens

    def find(self, token: str) -> int | None:
        """Id of a token by its text; none where there is no such token."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, without special tokens and ids that tokenizer.json does not know.

        Raises:
            RuntimeFault: if one is no id, or the tokenizer's decoder fails.
        """
        with _library(lambda words: RuntimeFault(f"cannot decode the tokens: {words}")):
            text = str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))
        if self._clean_up:
            for old, new in CLEAN_UP:
                text = text.replace(old, new)
        return text

    def _is_left_out(self, id: int) -> bool:
        """Whether `decode` leaves a token out. The library does so, too, if it was special before it was added anew."""
        whole = self._tokenizer.decode([id, id], skip_special_tokens=False)
        return whole != "" and not self._tokenizer.decode([id, id])

    @property
    def special_texts(self) -> frozenset[str]:
        """Texts of the tokens that are no part of what `decode` gives."""
        return self._special

    def token(self, id: int) -> str | None:
        """A token as the vocabulary writes it, which is not yet its text; none where there is no such id."""
        found = self._tokenizer.id_to_token(id) if 0 <= id < 2**32 else None
        return None if found is None else str(found)

    def decoder(self) -> Chain:
        """Decodes one token after the other."""
        return Chain(self._tokenizer.decoder, clean_up=self._clean_up)


class TextStream:
    """Decodes token by token: what `push` and `finish` return adds up to what all tokens add to the text of a prompt.

    What is given never changes. A character whose bytes are spread over tokens comes out whole, with its last one or,
    where the tokenizer falls back to bytes, with the first token that is no byte: only then is the run certain.

    >>> stream = TextStream(Tokenizer.of("ouro.lariat"))
    >>> [stream.push(token) for token in "a€".encode()] + [stream.finish()]
    ['a', '', '', '€', '']
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._chain = tokenizer.decoder()
        self._run = self._chain.run
        for token in prompt:
            self._decode(token)
        # The end of the prompt's text that a token may still change.
        self._known = self._chain.rest()
        # How much of an open run of bytes is the prompt's.
        self._num_known = 0 if self._run is None else len(self._run.characters(self._run.num_characters))

    def push(self, token: int) -> str:
        """Text that `token` settles, often one word or part of one, sometimes none."""
        text = self._beyond_prompt(self._decode(token))
        if self._run is not None and not self._run.num_characters:
            self._num_known = 0
        return text

    def finish(self) -> str:
        """What is left when no token follows: bytes that never became a character, for example."""
        return self._beyond_prompt(self._chain.finish())

    def rest(self) -> str:
        """What `finish` would return, without an end."""
        twin = TextStream.__new__(TextStream)
        twin.__dict__.update(self.__dict__, _chain=self._chain.copy())
        return twin.finish()

    def run(self, most: int) -> str:
        """The last characters of bytes that are text if the next token is none or no byte, at most so many."""
        if self._run is None:
            return ""
        return self._run.characters(min(most, self._run.num_characters - self._num_known))

    def _decode(self, token: int) -> str:
        text = self._tokenizer.token(token)
        return "" if text is None or text in self._tokenizer.special_texts else self._chain.push(text)

    def _beyond_prompt(self, text: str) -> str:
        if self._known and text:
            common = len(os.path.commonprefix([self._known, text]))
            self._known = self._known[common:] if common == len(text) else ""
            text = text[common:]
        return text


class StopText:
    """Finds the first of some strings in text that arrives in pieces.

    Special tokens are no part of the text. A string that has the text of one is found where the text or the token
    stands; others are found as if the token were not there.

    Attributes:
        found: whether one was found; what follows it is dropped.
    """

    def __init__(self, strings: Sequence[str], special: Iterable[str] = ()) -> None:
        """`special` are the texts of special tokens.

        Raises:
            RuntimeFault: if a string is empty.
        """
        if not all(strings):
            raise RuntimeFault("a stop text is empty: it would stop before the first token")
        named = sorted((one for one in special if any(one in string for string in strings) and one), key=len)
        self._marks = {one: chr(FIRST_MARK + number) for number, one in enumerate(reversed(named))}
        self._patterns = [(string, "") for string in strings] + [
            self._marked(string) for string in strings if any(one in string for one in named)
        ]
        self._held = ""
        self._all_marks = "".join(self._marks.values())
        self.longest = max(map(len, strings), default=0)
        self.found = False

    def push(self, text: str) -> str:
        """Text that is certain to come before a stop string; the rest is held back."""
        if self.found:
            return ""
        self._held += text
        matches = [at for pattern, marks in self._patterns if (at := self._find(pattern, marks)) >= 0]
        if matches:
            self.found = True
            end = min(matches)
        else:
            end = min((self._start(pattern, marks) for pattern, marks in self._patterns), default=len(self._held))
        given, self._held = self._held[:end], self._held[end:]
        return self._without_marks(given)

    def push_special(self, text: str) -> str:
        """As `push`, for a special token. What it returns is text that came before."""
        return self.push(self._marks.get(text, ""))

    def names(self, text: str) -> bool:
        """Whether a string has the text of this special token."""
        return text in self._marks

    def would_find(self, text: str, special: str = "") -> bool:
        """Whether one would be found if `text` came, and then a special token."""
        twin = copy.copy(self)
        twin.push(text + self._marks.get(special, ""))
        return twin.found

    def finish(self) -> str:
        """Text held back when no more arrives."""
        held, self._held = self._held, ""
        return "" if self.found else self._without_marks(held)

    def _marked(self, string: str) -> tuple[str, str]:
        """A string with marks for the special tokens that it names, and these marks."""
        longest_first = "|".join(map(re.escape, self._marks))
        marked = re.sub(longest_first, lambda found: self._marks[found[0]], string)
        return marked, "".join(mark for mark in self._marks.values() if mark in marked)

    def _find(self, pattern: str, marks: str) -> int:
        view, places = self._view(marks)
        at = view.find(pattern)
        return at if at < 0 or places is None else places[at]

    def _start(self, pattern: str, marks: str) -> int:
        """Where the end of the held text begins that `pattern` may go on from."""
        view, places = self._view(marks)
        at = len(view) - overlap(view, pattern)
        return len(self._held) if at == len(view) else at if places is None else places[at]

    def _view(self, marks: str) -> tuple[str, list[int] | None]:
        """The held text with no other marks than these, and the places of its characters where some are left out."""
        if not any(mark in self._held for mark in self._all_marks):
            return self._held, None
        hidden = set(self._all_marks) - set(marks)
        places = [at for at, character in enumerate(self._held) if character not in hidden]
        return "".join(self._held[at] for at in places), places

    def _without_marks(self, text: str) -> str:
        return text.translate({ord(mark): None for mark in self._all_marks}) if self._all_marks else text


class StoppedStream:
    """Text of a sequence as its tokens come, up to a stop text.

    A stop text is found with the token that completes it, also where the text before it is not settled yet.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], strings: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stream = TextStream(tokenizer, prompt)
        self._stop = StopText(strings, tokenizer.special_texts)

    @property
    def found(self) -> bool:
        """Whether a stop text was found; what follows it is dropped."""
        return self._stop.found

    def push(self, token: int) -> str:
        """Text that `token` settles and no stop text begins in."""
        text = self._stop.push(self._stream.push(token))
        if self.found or not self._stop.longest:
            return text
        special = self._tokenizer.token(token) or ""
        if special in self._tokenizer.special_texts and self._stop.names(special):
            if self._stop.would_find(self._stream.rest(), special):
                text += self._stop.push(self._stream.finish())
            return text + self._stop.push_special(special)
        run = self._stream.run(self._stop.longest)
        if run and self._stop.would_find(run) and self._stop.would_find(self._stream.rest()):
            text += self._stop.push(self._stream.finish())
        return text

    def finish(self) -> str:
        """What is left when no token follows."""
        return self._stop.push(self._stream.finish()) + self._stop.finish()


@contextlib.contextmanager
def _library(refuse: Callable[[str], LariatError]) -> Iterator[None]:
    """Turns what the tokenizers library raises into one of our errors."""
    try:
        yield
    except (LariatError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as failure:  # a panic of the library is no Exception
        raise refuse(" ".join(str(failure).split())) from None


def _require_continuations(text: str, path: Path) -> None:
    """Refuse merges without the prefix of continuing pieces: the library cuts it off, and ends the process over it."""
    if re.search(r'"continuing_subword_prefix"\s*:\s*"[^"]', text) is None:
        return
    with contextlib.suppress(ValueError, RecursionError, LookupError, TypeError, AttributeError):  # the library refuses
        model = json.loads(text)["model"]
        prefix = model["continuing_subword_prefix"]
        for number, merge in enumerate(model.get("merges", ())):
            second = (merge.split(" ") if isinstance(merge, str) else merge)[1]
            if not second.startswith(prefix):
                raise ArtefactError(f"{path}: piece '{second}' of merge {number} does not begin with '{prefix}'")


def _require_characters(text: str) -> None:
    """Refuse half a character, which is what Python makes of a byte that is not UTF-8, and what JSON can write."""
    try:
        text.encode()
    except UnicodeEncodeError as failure:
        before, half = text[: failure.start], ord(text[failure.start])
        if 0xDC80 <= half <= 0xDCFF:
            place = len(before.encode("utf-8", "surrogateescape"))
            raise RuntimeFault(f"the text is not UTF-8: byte {place} is 0x{half - 0xDC00:02X}") from None
        raise RuntimeFault(
            f"the text is not Unicode: character {failure.start} is U+{half:04X}, half of a surrogate pair"
        ) from None
