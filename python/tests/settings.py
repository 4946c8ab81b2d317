# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokenizers with files beside tokenizer.json that the package and transformers both read; see recorded_tokens.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import processors

from tests.kinds import KINDS

HERE = Path(__file__).parent
RECORDED = HERE / "recorded_tokens.json"

TEXTS = [
    "In the beginning",
    " In <unk> zz  the be",
    "In<|end|>the  日本",
    "<s>In</s> be <x>y",
    "   ",
    "a\n\nb 12345 it's é e\u0301 😀",
    "",
    "<tool> x 日 é In",
    "<|endoftext|>",
    "theme the,zz In. Isn't ' it ?",
    "In . be !",
]


def _token(content: str, **flags: bool) -> dict[str, object]:
    return {
        "content": content,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "single_word": False,
        "special": False,
        **flags,
    }


CONFIGS: dict[str, dict[str, dict[str, object]]] = {
    "nothing": {},
    "plain": {"tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast"}},
    "unknown class": {"tokenizer_config": {"tokenizer_class": "NoSuchTokenizer"}},
    "passed over": {
        "tokenizer_config": {
            "add_prefix_space": True,
            "add_bos_token": True,
            "add_eos_token": True,
            "bos_token": "<s>",
            "eos_token": "</s>",
            "model_max_length": 4,
            "padding_side": "left",
        }
    },
    "a word as special token": {"tokenizer_config": {"eos_token": "the"}},
    "special tokens as text": {"tokenizer_config": {"split_special_tokens": True}},
    "more special tokens": {
        "tokenizer_config": {"additional_special_tokens": ["<x>", "In"], "image_token": "zz", "sep_token": "."}
    },
    "named special tokens": {
        "tokenizer_config": {"extra_special_tokens": {"audio": "<x>"}, "clean_up_tokenization_spaces": True}
    },
    "clean-up at any cost": {
        "tokenizer_config": {
            "clean_up_tokenization_spaces": True,
            "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True,
        }
    },
    "listed tokens": {
        "tokenizer_config": {
            "added_tokens_decoder": {
                "0": _token("<unk>", lstrip=True),
                "12": _token("zz", special=True, rstrip=True),
                "5": _token("the", single_word=True),
            }
        }
    },
    "a token with flags": {"tokenizer_config": {"bos_token": {"__type": "AddedToken", **_token("be", lstrip=True)}}},
    "older files": {
        "special_tokens_map": {"eos_token": _token("the", lstrip=True), "additional_special_tokens": ["<x>"]},
        "added_tokens": {"zz": 901, "<y>": 900},
    },
}

CLASSES: dict[str, list[tuple[str, dict[str, object]]]] = {
    "byte-level": [
        ("GPT2Tokenizer", {}),
        ("GPT2TokenizerFast", {"add_prefix_space": True, "bos_token": None}),
        ("Qwen2Tokenizer", {"pad_token": "<pad>"}),
        ("GPTNeoXTokenizer", {}),
        ("LlamaTokenizer", {}),
    ],
    "byte-fallback": [
        ("LlamaTokenizer", {}),
        ("LlamaTokenizerFast", {"legacy": True, "add_bos_token": True}),
        ("LlamaTokenizer", {"add_prefix_space": False}),
        ("GemmaTokenizer", {}),
    ],
}

Case = tuple[str, dict[str, dict[str, object]]]


def cases() -> dict[str, Case]:
    """By their names: a kind of tokenizer and the files beside it."""
    found: dict[str, Case] = {}
    for kind in ("byte-level", "byte-fallback", "unigram", "word-piece"):
        found |= {f"{kind}, {name}": (kind, files) for name, files in CONFIGS.items()}
    for kind, classes in CLASSES.items():
        for number, (name, fields) in enumerate(classes):
            found[f"{kind}, {name} {number}"] = (kind, {"tokenizer_config": {"tokenizer_class": name, **fields}})
    return found


def recorded() -> dict[str, list[dict[str, Any]]]:
    """What transformers made of the texts, by tokenizer: `tokens`, and what they are `decoded` to."""
    found: dict[str, list[dict[str, Any]]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def write_files(folder: Path, case: Case) -> None:
    """A tokenizer that begins texts with <s> and would cut and fill up, and the files beside it."""
    kind, files = case
    inner = KINDS[kind]()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", inner.token_to_id("<s>"))]
    )
    inner.enable_truncation(3)
    inner.enable_padding(length=9, pad_token="<unk>")
    inner.save(str(folder / "tokenizer.json"))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
