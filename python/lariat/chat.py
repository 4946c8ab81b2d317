# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Conversations as text: the chat template that came with a checkpoint, rendered as transformers renders it.

A template is a program of another party. It runs in jinja2's sandbox and sees plain data only, which keeps it from
everything but the values it is given.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lariat._files import read_json, read_text
from lariat._tokenizer_settings import CONFIG, Settings
from lariat.errors import ArtefactError, RuntimeFault

if TYPE_CHECKING:
    import jinja2

    from lariat.text import Tokenizer

__all__ = ["ChatTemplate", "stop_tokens"]

# Names that messages have for what was thought before the answer. Templates read the first, gpt-oss the second.
REASONING = ("reasoning_content", "thinking", "reasoning")

# Marks where the last message ends. Templates may strip the space.
END_MARK = "CONTINUE_FINAL_MESSAGE_TAG "


class ChatTemplate:
    """Turns messages into the text that a model continues.

    >>> ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}").render(
    ...     [{"role": "user", "content": "Hello"}]
    ... )
    '<user>Hello'
    """

    def __init__(
        self,
        source: str | Mapping[str, str],
        tokens: Mapping[str, str] | None = None,
        *,
        place: str = "the template",
    ) -> None:
        """Read a template, or several by name.

        Args:
            source: a text, or texts by name: `default`, and `tool_use` for conversations with tools.
            tokens: texts of special tokens by their names.
            place: where the source is from, for messages.

        Raises:
            ArtefactError: if a source is not a template.
        """
        self._tokens = dict(tokens or {})
        self._place = place
        sources = {"default": source} if isinstance(source, str) else dict(source)
        self._sources = sources
        self._templates = {name: self._compile(text) for name, text in sources.items()}

    @classmethod
    def of(cls, artefact: str | os.PathLike[str]) -> ChatTemplate:
        """The template of an artefact or checkpoint directory.

        chat_template.jinja and additional_chat_templates/NAME.jinja come before those of tokenizer_config.json.

        Raises:
            ArtefactError: if there is none, or it cannot be read.
        """
        folder = Path(artefact)
        settings = Settings.read(folder)
        file = folder / "chat_template.jinja"
        more = sorted((folder / "additional_chat_templates").glob("*.jinja"))
        sources = {"default": read_text(file)} if file.is_file() else {}
        sources |= {path.stem: read_text(path) for path in more}
        place = file if sources else folder / CONFIG
        sources = sources or _templates(settings.fields.get("chat_template"))
        if "default" not in sources:
            raise ArtefactError(f"{folder} has no chat template: 'lariat run' continues a plain text")
        return cls(sources, settings.tokens, place=str(place))

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool | str = False,
        **variables: Any,
    ) -> str:
        """The conversation so far, as text.

        Args:
            messages: have a `role` and a `content`; keys without a value are left out.
            tools: JSON schemas of functions that the model may call.
            documents: texts that the model may cite, with a `title` and a `text`.
            add_generation_prompt: add the beginning of an answer. Not with `continue_final_message`.
            continue_final_message: end in the last message instead, in its content or the key given here.
            **variables: what else the template knows, such as `enable_thinking`; comes before special tokens.

        Raises:
            RuntimeFault: if the template refuses the conversation, or it is not one.
        """
        chat = _conversation(messages)
        for name, given in (("tool", tools), ("document", documents)):
            for number, one in enumerate(given or ()):
                if not isinstance(one, Mapping):
                    raise RuntimeFault(f"{name} {number} is {type(one).__name__}, expected an object")
        name = "tool_use" if tools is not None and "tool_use" in self._templates else "default"
        if name not in self._templates:
            raise RuntimeFault(f"{self._place} has no template 'default', only {', '.join(sorted(self._templates))}")
        final = None
        if continue_final_message:
            # An open message is what the model continues.
            add_generation_prompt = False
            final = _open_end(chat, continue_final_message, self._sources[name])
        try:
            text = self._templates[name].render(
                **self._tokens
                | _plain(variables)
                | {
                    "messages": chat,
                    "tools": _plain(tools),
                    "documents": _plain(documents),
                    "add_generation_prompt": add_generation_prompt,
                }
            )
        except Exception as failure:  # whatever a program of another party comes to
            raise RuntimeFault(f"{self._place} cannot write the conversation: {_one_line(failure)}") from None
        return text if final is None else _cut_at_end(text, final)

    def _compile(self, source: str) -> jinja2.Template:
        try:
            return _environment().from_string(source)
        except Exception as failure:  # the same
            raise ArtefactError(f"{self._place}: {_one_line(failure)}") from None


def stop_tokens(artefact: str | os.PathLike[str], tokenizer: Tokenizer) -> tuple[int, ...]:
    """Ids that end an answer: those of generation_config.json and the end token of tokenizer_config.json.

    Raises:
        ArtefactError: if one of the files cannot be read.
    """
    folder = Path(artefact)
    found = read_json(folder / "generation_config.json").get("eos_token_id")
    ids = [one for one in (found if isinstance(found, list) else [found]) if type(one) is int and one >= 0]
    text = Settings.read(folder).tokens.get("eos_token")
    end = None if text is None else tokenizer.find(text)
    return tuple(dict.fromkeys(ids if end is None else [*ids, end]))


def _templates(found: object) -> dict[str, str]:
    """Templates by name. A configuration has one, an object of them, or a list of objects with their names."""
    if isinstance(found, str):
        return {"default": found}
    if isinstance(found, list):
        found = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
    named = found.items() if isinstance(found, dict) else ()
    return {name: text for name, text in named if isinstance(name, str) and isinstance(text, str)}


# --- what a template sees -------------------------------------------------------------------------------------------


def _conversation(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages as templates expect them: plain, without keys that have no value, what was thought under both names."""
    chat = []
    for number, message in enumerate(messages):
        plain = _plain(message)
        if not isinstance(plain, dict):
            raise RuntimeFault(
                f"message {number} is {type(message).__name__}, expected an object with role and content"
            )
        plain = {key: value for key, value in plain.items() if value is not None}
        thought = next((plain[key] for key in REASONING if key in plain), None)
        chat.append(plain if thought is None else {"thinking": thought, **plain, "reasoning_content": thought})
    if not chat:
        raise RuntimeFault("the conversation has no messages, expected at least one")
    return chat


def _plain(value: Any) -> Any:
    """A value of plain JSON types: objects of other types have methods that a sandbox does not know."""
    if value is None or isinstance(value, bool):
        return value
    # Members of enumerations and the like lose what they have beside the value.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        made = [_plain(one) for one in value]
        return made if isinstance(value, list) else tuple(made)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if callable(getattr(value, "model_dump", None)):  # of pydantic, whose messages other packages return
        return _plain(value.model_dump())
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return _plain(value.item())
    return f"<{type(value).__name__}>"


def _environment() -> jinja2.Environment:
    """As transformers sets it up, which templates are written for."""
    import jinja2
    from jinja2 import ext, nodes
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(ext.Extension):
        """`{% generation %}` marks what the model is trained to write. Here it stands for its contents."""

        tags = {"generation"}

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_contents"), [], [], body).set_lineno(line)

        def _contents(self, caller: Any) -> Any:
            return caller()

    class Namespace(jinja2.utils.Namespace):
        """Keeps no names that Python gives a meaning to."""

        def __init__(*args: Any, **values: Any) -> None:
            self, rest = args[0], args[1:]
            values = dict(*rest, **values)
            for name in values:
                _require_name(name)
            jinja2.utils.Namespace.__init__(self, values)

        def __setitem__(self, name: str, value: Any) -> None:
            _require_name(name)
            jinja2.utils.Namespace.__setitem__(self, name, value)

    class Dictionary:
        """Makes dictionaries, without the attributes of the type."""

        def __call__(self, *values: Any, **named: Any) -> dict[Any, Any]:
            return dict(*values, **named)

        def fromkeys(self, *values: Any) -> dict[Any, Any]:
            return dict.fromkeys(*values)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, ext.loopcontrols]
    )
    environment.globals |= {
        "raise_exception": _refuse,
        "strftime_now": lambda format: datetime.now().strftime(format),
        "dict": Dictionary(),
        "namespace": Namespace,
    }
    environment.filters["tojson"] = _to_json
    return environment


def _to_json(
    x: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _require_name(name: object) -> None:
    import jinja2

    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace keeps no name that starts with an underscore, found {name}")


def _refuse(message: str) -> NoReturn:
    import jinja2

    raise jinja2.TemplateError(message)


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split()) or type(failure).__name__


# --- a message that goes on -----------------------------------------------------------------------------------------


def _open_end(chat: list[dict[str, Any]], choice: bool | str, source: str) -> str:
    """Mark the end of the last message; returns its text."""
    key = choice if isinstance(choice, str) else "content"
    last = chat[-1]
    found = last.get(key)
    if found is None:
        raise RuntimeFault(f"the last message has no '{key}' to continue")
    # What was thought is there under several names, and a template reads one of them.
    keys = [one for one in REASONING if last.get(one) == found] if key in REASONING else [key]
    if not any(one in source for one in keys):
        raise RuntimeFault(f"the template does not read '{key}' of a message, so it cannot be continued")
    if isinstance(found, (list, tuple)):
        block = next((one for one in reversed(found) if isinstance(one, dict) and "text" in one), None)
        if block is None:
            raise RuntimeFault(f"the last message has no text in its '{key}' to continue")
        found = block["text"]
        block["text"] = f"{found}{END_MARK}"
    else:
        for one in keys:
            last[one] = f"{found}{END_MARK}"
    return str(found)


def _cut_at_end(text: str, final: str) -> str:
    at = text.rfind(END_MARK.strip())
    if at < 0 or final.strip() not in text:
        raise RuntimeFault("the template does not write the last message as it is, so it cannot be continued")
    # Where the template strips the message, so is its end.
    return text[:at] if text.startswith(END_MARK, at) else text[:at].rstrip()
