# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What stands beside tokenizer.json and changes what it does, read as transformers 5 reads it.

tokenizer_config.json names special tokens, may add tokens, holds chat templates, and names a class. Most classes take
tokenizer.json as it is; the ones in `CLASSES` keep its vocabulary and take their own steps before and after it.
`add_bos_token` and `add_eos_token` decide nothing beside a tokenizer.json, whose post-processor adds these tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lariat._files import read_bytes, read_json
from lariat.errors import ArtefactError

if TYPE_CHECKING:
    import tokenizers

__all__ = ["Settings", "token_text"]

CONFIG = "tokenizer_config.json"

# Names under which a configuration keeps special tokens of every model. Others that end in `_token` may be added.
NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")

Token = str | dict[str, Any]
"""A token is written as its text, or as an object with it and with how to match it."""


@dataclass(frozen=True)
class Settings:
    """Settings of a checkpoint or artefact.

    Attributes:
        folder: where they are from.
        fields: keys of tokenizer_config.json, and of special_tokens_map.json where older versions wrote one.
        older: texts and ids of added_tokens.json, which older versions wrote.
        rebuild: the steps of its class, where the class takes its own.
    """

    folder: Path
    fields: Mapping[str, Any]
    older: Mapping[str, Any]
    rebuild: Rebuild | None

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """Read them; without the files there are none.

        Raises:
            ArtefactError: if a file cannot be read or is not JSON.
        """
        fields = read_json(folder / CONFIG)
        rebuild = _rebuild_of(folder, fields)
        if "added_tokens_decoder" in fields:
            return cls(folder, fields, {}, rebuild)
        fields |= read_json(folder / "special_tokens_map.json")
        return cls(folder, fields, read_json(folder / "added_tokens.json"), rebuild)

    @property
    def tokens(self) -> dict[str, str]:
        """Texts of special tokens by their names."""
        return {name: text for name, token in self._named().items() if (text := token_text(token)) is not None}

    def cleans_up(self, tokenizer: tokenizers.Tokenizer) -> bool:
        """Whether to drop spaces before punctuation when decoding. BPE, whose tokens have their spaces, is left out."""
        forced = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"
        wanted = self.fields.get("clean_up_tokenization_spaces") is True
        return wanted and (type(tokenizer.model).__name__ != "BPE" or self.fields.get(forced) is True)

    def apply(self, tokenizer: tokenizers.Tokenizer) -> None:
        """Change a tokenizer as transformers does when it loads these settings.

        Raises:
            ArtefactError: if a token to add is not one.
        """
        if self.rebuild is not None and type(tokenizer.model).__name__ == "BPE":
            self.rebuild.steps(tokenizer, self.fields)
        tokenizer.encode_special_tokens = self.fields.get("split_special_tokens") is True
        declared = list(self._declared())
        texts = {token.content for token in declared} | _added_texts(tokenizer)
        named, extra = self._named(), self._extra()
        for token in [*named.values(), *extra]:
            text = token_text(token)
            if text and text not in texts:
                texts.add(text)
                declared.append(self._added(token, special=True))
        special = {token_text(token) for token in named.values()}
        for added in declared:
            if added.content in special and not added.special:
                added.special = True
        if declared:
            tokenizer.add_tokens(declared)

    def _named(self) -> dict[str, Token]:
        """Special tokens by name: the class's, unless the configuration says otherwise."""
        found: dict[str, Any] = dict.fromkeys(NAMES)
        if self.rebuild is not None:
            found |= self.rebuild.tokens
        for name, value in self.fields.items():
            if name in NAMES or (name.endswith("_token") and isinstance(value, (str, dict))):
                found[name] = value
        for key in ("extra_special_tokens", "model_specific_special_tokens"):
            named = self.fields.get(key)
            if isinstance(named, dict):
                found |= named
        return {name: token for name, token in found.items() if token_text(token) is not None}

    def _extra(self) -> list[Token]:
        """Special tokens without a name."""
        found = self.fields.get("extra_special_tokens") or self.fields.get("additional_special_tokens")
        return [token for token in found if token_text(token)] if isinstance(found, list) else []

    def _declared(self) -> Iterator[tokenizers.AddedToken]:
        """Tokens that the configuration lists with their ids, in the order of these."""
        listed = self.fields.get("added_tokens_decoder")
        if isinstance(listed, dict):
            for number, token in sorted(listed.items(), key=lambda entry: (len(entry[0]), entry[0])):
                if not isinstance(token, dict) or not token_text(token):
                    raise ArtefactError(
                        f"{self.folder / CONFIG}: token {number} of 'added_tokens_decoder' has no text 'content'"
                    )
                yield self._added(token, special=False)
        special = {token_text(token) for token in [*self._named().values(), *self._extra()]}
        for text, _ in sorted(self.older.items(), key=lambda entry: entry[1] if isinstance(entry[1], int) else 0):
            if text:
                yield self._added({"content": text, "normalized": text not in special}, special=text in special)

    def _added(self, token: Token, *, special: bool) -> tokenizers.AddedToken:
        from tokenizers import AddedToken

        flags = {name: token[name] for name in FLAGS if name in token} if isinstance(token, dict) else {}
        wrong = next((name for name, flag in flags.items() if not isinstance(flag, bool)), None)
        if wrong is not None:
            raise ArtefactError(
                f"{self.folder / CONFIG}: '{wrong}' of token {token_text(token)!r} is not true or false"
            )
        return AddedToken(token_text(token), **{"special": special, **flags})


def token_text(value: object) -> str | None:
    """Text of a token; none where it is no token."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _added_texts(tokenizer: tokenizers.Tokenizer) -> set[str]:
    return {token.content for token in tokenizer.get_added_tokens_decoder().values()}


# --- classes that take their own steps ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rebuild:
    """A class of transformers that takes the vocabulary of tokenizer.json and its own steps.

    Attributes:
        tokens: its special tokens, where the configuration names no others.
        steps: puts its normaliser, pre-tokenizer, decoder and settings of the model in.
    """

    tokens: Mapping[str, str]
    steps: Callable[[tokenizers.Tokenizer, Mapping[str, Any]], None]


def _llama(tokenizer: tokenizers.Tokenizer, fields: Mapping[str, Any]) -> None:
    from tokenizers import decoders, pre_tokenizers

    prefix = fields.get("add_prefix_space")
    prefix = prefix if isinstance(prefix, bool) else True
    scheme = ("always" if fields.get("legacy") is True else "first") if prefix else "never"
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    _set_model(tokenizer, unk_token=None, fuse_unk=True, byte_fallback=True)


def _gemma(tokenizer: tokenizers.Tokenizer, fields: Mapping[str, Any]) -> None:
    from tokenizers import decoders, normalizers, pre_tokenizers

    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    unknown = fields.get("unk_token")
    _set_model(tokenizer, unk_token=token_text(unknown) or "<unk>", fuse_unk=True, byte_fallback=True)


def _gpt2(tokenizer: tokenizers.Tokenizer, fields: Mapping[str, Any]) -> None:
    from tokenizers import decoders, pre_tokenizers

    prefix = fields.get("add_prefix_space") is True
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    _set_model(tokenizer, unk_token=None, fuse_unk=False, byte_fallback=False)


def _gpt_neox(tokenizer: tokenizers.Tokenizer, fields: Mapping[str, Any]) -> None:
    from tokenizers import normalizers, processors

    _gpt2(tokenizer, fields)
    tokenizer.normalizer = normalizers.NFC()
    # It adds no tokens at the beginning and end, whatever tokenizer.json says.
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])


def _qwen2(tokenizer: tokenizers.Tokenizer, fields: Mapping[str, Any]) -> None:
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    prefix = fields.get("add_prefix_space") is True
    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    words += r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    _set_model(tokenizer, unk_token=None, fuse_unk=False, byte_fallback=False)


def _set_model(tokenizer: tokenizers.Tokenizer, **settings: object) -> None:
    model = tokenizer.model
    for name, value in settings.items() | {("dropout", None), ("ignore_merges", False)}:
        setattr(model, name, value)


_END = "<|endoftext|>"

CLASSES = {
    "GPT2Tokenizer": Rebuild({"bos_token": _END, "eos_token": _END, "unk_token": _END}, _gpt2),
    "GPTNeoXTokenizer": Rebuild(
        {"bos_token": _END, "eos_token": _END, "unk_token": _END, "pad_token": "<|padding|>"}, _gpt_neox
    ),
    "GemmaTokenizer": Rebuild(
        {
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "mask_token": "<mask>",
        },
        _gemma,
    ),
    "LlamaTokenizer": Rebuild({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, _llama),
    "Qwen2Tokenizer": Rebuild({"eos_token": _END, "unk_token": _END, "pad_token": _END}, _qwen2),
}


def _rebuild_of(folder: Path, fields: Mapping[str, Any]) -> Rebuild | None:
    name = fields.get("tokenizer_class")
    name = name.removesuffix("Fast") if isinstance(name, str) else ""
    file = folder / "tokenizer.json"
    # Checkpoints with byte-level vocabularies name this class by habit.
    if name == "LlamaTokenizer" and file.is_file() and b'"ByteLevel"' in read_bytes(file):
        return None
    return CLASSES.get(name)
