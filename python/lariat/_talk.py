# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`lariat run` and `lariat chat`: text as it comes, on a terminal or through a pipe."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lariat._arguments import add_artefact, add_run, add_sampling, add_stop, generate_options, number
from lariat._streams import read_line, read_text, text_argument
from lariat.errors import RuntimeFault

if TYPE_CHECKING:
    from lariat._terminal import Palette
    from lariat.requests import GenerateOptions, Generation
    from lariat.session import Session

__all__ = ["add_chat", "add_run_command", "chat", "print_stream", "run"]

LONGEST_ANSWER = 256
# Lines of a chat that end it.
_LEAVE = ("/quit", "/exit")


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

    text = options.prompt if options.prompt is not None else read_text()
    with load(options.artefact, threads=options.threads, verify_weights=not options.no_verify) as session:
        tokens = session.tokenizer.encode(text)
        session.start()
        # The last new token needs no position.
        most = options.max_new_tokens or max(1, min(LONGEST_ANSWER, session.info.context - len(tokens) + 1))
        chosen = generate_options(options, most)
        done = print_stream(session, tokens, chosen, Palette(1, enabled=False))
        print(flush=True)
        if options.stats:
            _print_stats(session, len(tokens), done, chosen)


def chat(options: argparse.Namespace) -> int:
    """Answer one line of standard input after the other, with the conversation so far.

    `/reset` forgets the conversation; `/quit`, `/exit` and the end of the input leave. A line that cannot be answered
    is named on standard error and forgotten, and the next one is read. The exit status is 1 if none was answered.
    """
    from lariat.session import load

    failed = False
    with load(options.artefact, threads=options.threads, verify_weights=not options.no_verify) as session:
        conversation = _Conversation(options, session)
        session.start()
        while True:
            try:
                line = _next_line()
                if line is None or line.strip() in _LEAVE:
                    return int(failed and not conversation.answered)
                if line.strip() == "/reset":
                    conversation.reset()
                elif line.strip():
                    conversation.answer(line)
            except RuntimeFault as failure:
                failed = True
                print(f"error: {failure}", file=sys.stderr, flush=True)


class _Conversation:
    """What was said, by a user and by the model.

    Attributes:
        answered: whether the model ever said something.
    """

    def __init__(self, options: argparse.Namespace, session: Session) -> None:
        from lariat.chat import ChatTemplate, stop_tokens

        self._options = options
        self._session = session
        self._template = ChatTemplate.of(options.artefact)
        found = stop_tokens(options.artefact, session.tokenizer)
        self._ends = tuple(id for id in found if id < session.info.vocabulary)
        self._messages: list[dict[str, str]] = []
        self.answered = False
        self.reset()

    def reset(self) -> None:
        """Forget everything but the system message."""
        system = self._options.system
        self._messages = [] if system is None else [{"role": "system", "content": system}]

    def answer(self, line: str) -> None:
        """Print an answer to a line, as it comes.

        Raises:
            RuntimeFault: if there is none. The line is not part of the conversation then.
        """
        from lariat._terminal import Palette

        messages = [*self._messages, {"role": "user", "content": line}]
        # The template writes the special tokens itself.
        tokens = self._session.tokenizer.encode(self._template.render(messages), special=False)
        context = self._session.info.context
        # The last new token needs no position.
        left = context - len(tokens) + 1
        if left < 1:
            raise RuntimeFault(
                f"the conversation has {len(tokens)} tokens, and the context of the model is {context}: "
                "/reset starts a new one"
            )
        most = self._options.max_new_tokens or LONGEST_ANSWER
        chosen = replace(generate_options(self._options, min(most, left)), stop_tokens=self._ends)
        done = print_stream(self._session, tokens, chosen, Palette(1, enabled=False))
        print(flush=True)
        self.answered = True
        self._messages = [*messages, {"role": "assistant", "content": done.result.text or ""}]
        if self._options.stats:
            _print_stats(self._session, len(tokens), done, chosen)


def _next_line() -> str | None:
    """The next line that the user says; none at the end."""
    if sys.stdin.isatty():
        sys.stdout.write("> ")
        sys.stdout.flush()
    line = read_line()
    if line is None and sys.stdin.isatty():
        print(flush=True)
    return line


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
    parser.add_argument(
        "prompt", metavar="TEXT", nargs="?", type=text_argument, help="text to continue (default: standard input)"
    )
    _add_talk(parser)


def add_chat(parser: argparse.ArgumentParser) -> None:
    add_artefact(parser)
    parser.add_argument(
        "--system", metavar="TEXT", type=text_argument, help="message that the conversation starts with"
    )
    _add_talk(parser)


def _add_talk(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-new-tokens",
        metavar="N",
        type=number(1),
        help=f"longest continuation (default: {LONGEST_ANSWER}, or what the context of the model leaves)",
    )
    parser.add_argument("--ignore-eos", action="store_true", help="go on after an end-of-sequence token")
    add_stop(parser)
    parser.add_argument("--stats", action="store_true", help="print times, loop steps and KV bytes on standard error")
    add_sampling(parser)
    add_run(parser)
