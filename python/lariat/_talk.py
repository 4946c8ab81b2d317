# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`lariat run` and `lariat chat`: text as it comes, on a terminal or through a pipe."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lariat._arguments import add_artefact, add_run, add_sampling, generate_options, number
from lariat.errors import RuntimeFault

if TYPE_CHECKING:
    from lariat._terminal import Palette
    from lariat.requests import GenerateOptions, Generation
    from lariat.session import Session

__all__ = ["add_chat", "add_run_command", "chat", "print_stream", "run"]

LONGEST_ANSWER = 256


@dataclass(frozen=True)
class Streamed:
    """A result that was printed, and when: seconds until its first token and until its last."""

    result: Generation
    first: float
    last: float


def print_stream(session: Session, prompt: str | list[int], options: GenerateOptions, palette: Palette) -> Streamed:
    """Print the text of one sequence as it comes, without a line break at the end. Token ids must have text too."""
    from lariat.session import Token

    start = time.perf_counter()
    first = last = 0.0
    num_printed, steps = 0, 1
    result: Generation | None = None
    for event in session.stream([prompt], options, with_text=True):
        if isinstance(event, Token):
            last = time.perf_counter() - start
            first = first or last
            steps, text = event.steps, event.text
        else:
            # What was held back until it was clear that nothing follows.
            text, result = (event.text or "")[num_printed:], event
        num_printed += len(text)
        sys.stdout.write(palette.paint(text, steps))
        sys.stdout.flush()
    if result is None:
        raise RuntimeFault("the run ended without a result")
    return Streamed(result, first, last)


def run(options: argparse.Namespace) -> None:
    """Continue one text."""
    from lariat._terminal import Palette
    from lariat.session import load

    text = options.prompt if options.prompt is not None else sys.stdin.read()
    with load(options.artefact, threads=options.threads) as session:
        tokens = session.tokenizer.encode(text)
        session.start()
        chosen = _choose(options, session, len(tokens))
        done = print_stream(session, tokens, chosen, Palette(1, enabled=False))
        print(flush=True)
        if options.stats:
            _print_stats(session, len(tokens), done, chosen)


def chat(options: argparse.Namespace) -> None:
    """Answer one line of standard input after the other, with the conversation so far."""
    from lariat._terminal import Palette
    from lariat.chat import ChatTemplate, stop_tokens
    from lariat.session import load

    template = ChatTemplate.of(options.artefact)
    with load(options.artefact, threads=options.threads) as session:
        found = stop_tokens(options.artefact, session.tokenizer)
        ends = tuple(id for id in found if id < session.info.vocabulary)
        start = [{"role": "system", "content": options.system}] if options.system is not None else []
        messages = list(start)
        session.start()
        while (line := _read_line()) is not None:
            if line.strip() == "/reset":
                messages = list(start)
                continue
            if not line.strip():
                continue
            messages.append({"role": "user", "content": line})
            # The template writes the special tokens itself.
            tokens = session.tokenizer.encode(template.render(messages), special=False)
            chosen = replace(_choose(options, session, len(tokens)), stop_tokens=ends)
            done = print_stream(session, tokens, chosen, Palette(1, enabled=False))
            print(flush=True)
            messages.append({"role": "assistant", "content": done.result.text or ""})
            if options.stats:
                _print_stats(session, len(tokens), done, chosen)


def _choose(options: argparse.Namespace, session: Session, num_prompt: int) -> GenerateOptions:
    """The options for a prompt of so many tokens."""
    if options.max_new_tokens is not None:
        return generate_options(options, options.max_new_tokens)
    # The last new token needs no position.
    return generate_options(options, max(1, min(LONGEST_ANSWER, session.info.context - num_prompt + 1)))


def _read_line() -> str | None:
    """The next line that the user says; none at the end."""
    if sys.stdin.isatty():
        sys.stdout.write("> ")
        sys.stdout.flush()
    line = sys.stdin.readline()
    if not line and sys.stdin.isatty():
        print(flush=True)
    return line.rstrip("\n") if line else None


def _print_stats(session: Session, num_prompt: int, done: Streamed, options: GenerateOptions) -> None:
    from lariat._terminal import Palette, summarise

    after = len(done.result.tokens) - 1
    rate = (
        f", then {after / (done.last - done.first):.1f} tokens per second"
        if after > 0 and done.last > done.first
        else ""
    )
    lines = [f"prompt of {num_prompt} tokens, first new token after {done.first:.3f} s{rate}"]
    lines += summarise(session.info, Palette(1, enabled=False), done.result, options.missing)
    print(*lines, sep="\n", file=sys.stderr)


# --- arguments ------------------------------------------------------------------------------------------------------


def add_run_command(parser: argparse.ArgumentParser) -> None:
    add_artefact(parser)
    parser.add_argument("prompt", metavar="TEXT", nargs="?", help="text to continue (default: standard input)")
    _add_talk(parser)


def add_chat(parser: argparse.ArgumentParser) -> None:
    add_artefact(parser)
    parser.add_argument("--system", metavar="TEXT", help="message that the conversation starts with")
    _add_talk(parser)


def _add_talk(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-new-tokens",
        metavar="N",
        type=number(1),
        help=f"longest continuation (default: {LONGEST_ANSWER}, or what the context of the model leaves)",
    )
    parser.add_argument("--ignore-eos", action="store_true", help="go on after an end-of-sequence token")
    parser.add_argument(
        "--stop", metavar="TEXT", nargs="+", action="extend", default=[], help="end where one of these texts appears"
    )
    parser.add_argument("--stats", action="store_true", help="print times, loop steps and KV bytes on standard error")
    add_sampling(parser)
    add_run(parser)
