# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`lariat report`: runs prompts with a profile, or reads one, and writes a page about it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lariat._arguments import (
    add_artefact,
    add_engine,
    add_run,
    add_sampling,
    add_stop,
    generate_options,
    load_options,
    number,
)
from lariat._files import read_tokens, reason, replacing
from lariat._streams import text_argument
from lariat.errors import RuntimeFault

if TYPE_CHECKING:
    from lariat.artefact import Artefact
    from lariat.profile import Profile
    from lariat.report.page import Continuation
    from lariat.requests import GenerateOptions
    from lariat.session import Session

__all__ = ["add_to", "report"]


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_artefact(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--prompt",
        metavar="TEXT",
        nargs="+",
        action="extend",
        type=text_argument,
        help="texts to continue as one batch",
    )
    source.add_argument("--tokens", metavar="IN.json", type=Path, help="list of token-id lists, run as one batch")
    source.add_argument("--profile", metavar="IN.json", type=Path, help="what 'lariat generate --profile' wrote")
    parser.add_argument("-o", dest="output", metavar="OUT.html", type=Path, required=True, help="page to write")
    parser.add_argument(
        "--max-new-tokens", metavar="N", type=number(1), default=64, help="longest continuation (default: 64)"
    )
    parser.add_argument("--ignore-eos", action="store_true", help="go on after an end-of-sequence token")
    add_stop(parser)
    add_sampling(parser)
    add_run(parser)
    add_engine(parser)


def report(options: argparse.Namespace) -> None:
    """Write the page."""
    from lariat.artefact import Artefact
    from lariat.report.page import render

    info = Artefact.open(options.artefact)
    _verify(info)
    with replacing(options.output) as temporary:
        profile = options.profile
        text = _run(options) if profile is None else render(info, _read_profile(profile), [])
        temporary.write_text(text, encoding="utf-8")


def _verify(info: Artefact) -> None:
    if info.kind != "decoder":
        raise RuntimeFault(
            f"{info.path} is an {info.kind}: a report is about generation, so there is nothing to report"
        )
    if info.pipeline != "fast":
        raise RuntimeFault(f"{info.path}: the {info.pipeline} path has no engine, so there is nothing to report")


def _read_profile(path: Path) -> Profile:
    from lariat.profile import Profile

    try:
        return Profile.parse(path.read_text(encoding="utf-8-sig"), str(path))
    except OSError as failure:
        raise RuntimeFault(f"cannot read {path}: {reason(failure)}") from None
    except UnicodeDecodeError as failure:
        raise RuntimeFault(f"{path}: byte {failure.start} is not UTF-8") from None


def _run(options: argparse.Namespace) -> str:
    from dataclasses import replace

    from lariat.report.page import render
    from lariat.session import load

    prompts: Sequence[str | list[int]] = options.prompt if options.tokens is None else read_tokens(options.tokens)
    if not prompts:
        raise RuntimeFault(f"{options.tokens}: there is no sequence, so there is nothing to report")
    chosen = replace(generate_options(options, options.max_new_tokens), profile=True)
    with load(options.artefact, **load_options(options)) as session:
        continuations, profile = _generate(session, prompts, chosen)
        return render(session.info, profile, continuations)


def _generate(
    session: Session, prompts: Sequence[str | list[int]], options: GenerateOptions
) -> tuple[list[Continuation], Profile]:
    from lariat.report.page import Continuation, Piece
    from lariat.session import Token

    has_text = (session.info.path / "tokenizer.json").is_file()
    pieces: list[list[Piece]] = [[] for _ in prompts]
    results = []
    for event in session.stream(prompts, options, with_text=has_text):
        if isinstance(event, Token):
            pieces[event.sequence].append(Piece(event.id, event.steps, event.text if has_text else f"{event.id} "))
        else:
            results.append(event)
    continuations = []
    for prompt, found, result in zip(prompts, pieces, results, strict=True):
        # What was held back until it was clear that nothing follows.
        rest = (result.text or "")[sum(len(one.text) for one in found) :] if has_text else ""
        if rest:
            found[-1] = found[-1]._replace(text=found[-1].text + rest)
        continuations.append(Continuation(_prompt_text(session, prompt, has_text), tuple(found), result.finish))
    profile = results[0].profile
    if profile is None:
        raise RuntimeFault("the run ended without a profile")
    return continuations, profile


def _prompt_text(session: Session, prompt: str | list[int], has_text: bool) -> str:
    if isinstance(prompt, str):
        return prompt
    return session.tokenizer.decode(prompt) if has_text else " ".join(map(str, prompt)) + " "
