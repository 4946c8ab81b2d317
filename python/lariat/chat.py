# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Conversations as text: the chat template that came with a checkpoint.

A template is a program of another party. It runs in jinja2's sandbox, which keeps it from everything but the values it
is given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lariat._files import reason
from lariat.errors import ArtefactError, RuntimeFault

if TYPE_CHECKING:
    import jinja2

    from lariat.text import Tokenizer

__all__ = ["ChatTemplate"]

Message = Mapping[str, str]

# Names under which a configuration keeps tokens that templates write.
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class ChatTemplate:
    """Turns messages into the text that a model continues.

    >>> ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}").render(
    ...     [{"role": "user", "content": "Hello"}]
    ... )
    '<user>Hello'
    """

    def __init__(self, source: str, tokens: Mapping[str, str] | None = None, *, place: str = "the template") -> None:
        """`tokens` are texts of special tokens by their names; `place` is where the source is from, for messages.

        Raises:
            ArtefactError: if the source is not a template.
        """
        import jinja2

        self._tokens = dict(tokens or {})
        self._place = place
        try:
            self._template = _environment().from_string(source)
        except jinja2.TemplateError as failure:
            raise ArtefactError(f"{place}: {_one_line(failure)}") from None

    @classmethod
    def of(cls, artefact: str | os.PathLike[str]) -> ChatTemplate:
        """The template of an artefact or checkpoint directory: chat_template.jinja, else that of tokenizer_config.json.

        Raises:
            ArtefactError: if there is none, or it cannot be read.
        """
        folder = Path(artefact)
        config = _read_json(folder / "tokenizer_config.json")
        tokens = {name: text for name in SPECIAL_TOKENS if (text := _token_text(config.get(name))) is not None}
        file = folder / "chat_template.jinja"
        if file.is_file():
            return cls(_read_text(file), tokens, place=str(file))
        found = config.get("chat_template")
        if isinstance(found, list):
            named = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
            found = named.get("default")
        if not isinstance(found, str):
            raise ArtefactError(f"{folder} has no chat template: 'lariat run' continues a plain text")
        return cls(found, tokens, place=str(folder / "tokenizer_config.json"))

    def render(self, messages: Sequence[Message]) -> str:
        """The conversation so far and the beginning of an answer. Messages have a `role` and a `content`.

        Raises:
            RuntimeFault: if the template refuses the conversation.
        """
        import jinja2

        try:
            return self._template.render(messages=list(messages), add_generation_prompt=True, **self._tokens)
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as failure:
            raise RuntimeFault(f"{self._place} cannot write the conversation: {_one_line(failure)}") from None


def stop_tokens(artefact: str | os.PathLike[str], tokenizer: Tokenizer) -> tuple[int, ...]:
    """Ids that end an answer: those of generation_config.json and the end token of tokenizer_config.json.

    Raises:
        ArtefactError: if one of the files cannot be read.
    """
    folder = Path(artefact)
    found = _read_json(folder / "generation_config.json").get("eos_token_id")
    ids = [one for one in (found if isinstance(found, list) else [found]) if type(one) is int and one >= 0]
    text = _token_text(_read_json(folder / "tokenizer_config.json").get("eos_token"))
    end = None if text is None else tokenizer.find(text)
    return tuple(dict.fromkeys(ids if end is None else [*ids, end]))


def _environment() -> jinja2.Environment:
    """As transformers sets it up, which templates are written for."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    return environment


def _refuse(message: str) -> NoReturn:
    import jinja2

    raise jinja2.TemplateError(message)


def _token_text(value: object) -> str | None:
    """A token is written as its text, or as an object with it."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as failure:
        raise ArtefactError(f"cannot read {path}: {reason(failure)}") from None
    except UnicodeDecodeError as failure:
        raise ArtefactError(f"{path}: byte {failure.start} is not UTF-8") from None


def _read_json(path: Path) -> dict[str, Any]:
    """The object of a file; an empty one where there is no file."""
    if not path.is_file():
        return {}
    try:
        data = json.loads(_read_text(path))
    except (ValueError, RecursionError):
        raise ArtefactError(f"{path}: not JSON") from None
    if not isinstance(data, dict):
        raise ArtefactError(f"{path}: expected an object, found {type(data).__name__}")
    return data


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split())
